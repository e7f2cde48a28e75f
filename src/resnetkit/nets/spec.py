"""`ResNetSpec` and `MLPSpec`: a frozen dataclass that says a network whole."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, Self

from resnetkit.config import check_ranges, check_types, from_plain, option, to_plain
from resnetkit.errors import UserError

Block = Literal["basic", "bottleneck"]
Stem = Literal["imagenet", "deep", "tiered", "small"]
Shortcut = Literal["A", "B", "C", "none"]
Order = Literal["a", "b", "c", "d", "e"]

EXPANSION = {"basic": 1, "bottleneck": 4}
"""Channels of a block's output over the width of its stage (He 2015, figure 5)."""

CONVOLUTIONS = {"basic": 2, "bottleneck": 3}
"""Weighted layers in the residual branch of a block."""


def _dropout() -> Any:
    return option(0.0, "in training: share of the head's inputs left out", least=0, most=0.99)


def _drop_path() -> Any:
    meaning = "in training: how often the last block's branch is left out; the linear rule"
    return option(0.0, meaning, least=0, most=0.99)


class _Described:
    """What every spec can do."""

    def to_dict(self) -> dict:
        """The spec as plain data, for JSON."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: dict, *, where: str = "spec") -> Self:
        """The spec from plain data; unknown keys and wrong types raise UserError."""
        return from_plain(cls, data, where=where)


@dataclass(frozen=True, kw_only=True)
class ResNetSpec(_Described):
    """A residual network of He et al. (2015, arXiv 1512.03385; 2016, arXiv 1603.05027).

    Its variants are fields: the letters c, d, s and t (He 2019, arXiv 1812.01187), ResNeXt (Xie
    2016, arXiv 1611.05431), wide (Zagoruyko 2016, arXiv 1605.07146), squeeze-and-excitation (Hu
    2017, arXiv 1709.01507), ECA (Wang 2019, arXiv 1910.03151), anti-aliasing (Zhang 2019, arXiv
    1904.11486), group norm (Wu 2018, arXiv 1803.08494), stochastic depth (Huang 2016, arXiv
    1603.09382), ResNet-RS (Bello 2021, arXiv 2103.07579).

    Raises UserError (a ValueError) when made from values that describe no network.
    """

    block: Block = option("basic", "two 3x3 convolutions, or 1x1, 3x3, 1x1")
    depths: tuple[int, ...] = option((2, 2, 2, 2), "blocks in each stage", least=1, most=10_000)
    widths: tuple[int, ...] = option((64, 128, 256, 512), "width of each stage", least=1)
    strides: tuple[int, ...] = option((1, 2, 2, 2), "1 keeps a stage's size, 2 halves it", least=1)
    inner: int = option(1, "width of a bottleneck's 3x3 over its stage's (ResNeXt, wide)", least=1)
    groups: int = option(1, "groups of a bottleneck's 3x3 (ResNeXt)", least=1)
    reduce_first: int = option(1, "width of the 3x3 over that of the 1x1 before it", least=1)
    stem: Stem = option("imagenet", "7x7 stride 2; three 3x3, the first of stride 2; one 3x3")
    stem_width: int = option(64, "channels after the stem", least=1)
    stem_pool: Literal["max", "conv"] = option("max", "max pooling, or a 3x3 of stride 2 (RS)")
    shortcut: Shortcut = option("B", "option A, B or C of He 2015 section 4.1; none: a plain net")
    shortcut_pool: bool = option(False, "average pooling takes the stride before a projection (d)")
    shortcut_kernel: Literal[1, 3] = option(1, "side of a projection that has a stride")
    order: Order = option("a", "where norm and ReLU stand: (a) to (e) of He 2016 figure 4")
    activates_first: bool = option(
        True, "orders (d), (e): the first block activates before its paths split"
    )
    stride_on: Literal["3x3", "1x1"] = option("3x3", "a bottleneck's stride; the paper: first 1x1")
    norm: Literal["batch", "group"] = option("batch", "over the batch, or over groups of channels")
    norm_groups: int = option(32, "groups of group norm", least=1)
    attention: Literal["none", "se", "eca"] = option("none", "channel attention ends the branch")
    se_reduction: int = option(16, "channels over those inside squeeze-and-excitation", least=1)
    antialias: Literal["none", "average", "blur"] = option(
        "none", "what takes the strides of 3x3 convolutions and of the stem's max pooling"
    )
    dropout: float = _dropout()
    drop_path: float = _drop_path()
    channels: int = option(3, "channels of the input", least=1, most=10_000)
    classes: int = option(1000, "outputs of the head", least=1, most=10_000_000)

    def __post_init__(self):
        """Check that the values describe a network."""
        check_types(self)
        check_ranges(self)
        if not len(self.depths) == len(self.widths) == len(self.strides) > 0:
            raise UserError(
                f"depths, widths and strides must be of one length, a number for each stage, not "
                f"{len(self.depths)}, {len(self.widths)}, {len(self.strides)}"
            )
        for reason, wrong in self._contradictions().items():
            if wrong:
                raise UserError(reason)

    def _contradictions(self) -> dict[str, bool]:
        """What does not go together, and whether it is asked for."""
        counts = [self.stem_width, *(width * self.expansion for width in self.widths)]
        inside = [width * self.inner for width in self.widths]
        first = [width // self.reduce_first for width in inside]
        part = {"deep": 2, "tiered": 8}.get(self.stem, 1)
        return {
            "shortcut A pads with zeros and cannot lower the number of channels": (
                self.shortcut == "A" and any(b < a for a, b in pairwise(counts))
            ),
            "inner, groups and reduce_first belong to bottlenecks": (
                self.block == "basic" and (self.inner, self.groups, self.reduce_first) != (1, 1, 1)
            ),
            f"groups {self.groups} and reduce_first {self.reduce_first} must divide the width of "
            f"every 3x3": any(n % self.groups or n % self.reduce_first for n in (*inside, *first)),
            f"a {self.stem} stem's width must be a multiple of {part}": self.stem_width % part != 0,
            "a small stem does not pool": self.stem == "small" and self.stem_pool == "conv",
            "shortcut_pool and shortcut_kernel need projections: shortcut B or C": (
                self.shortcut in ("A", "none") and (self.shortcut_pool or self.shortcut_kernel > 1)
            ),
            "shortcut_pool takes the stride of the shortcut: shortcut_kernel must be 1": (
                self.shortcut_pool and self.shortcut_kernel > 1
            ),
            f"norm_groups {self.norm_groups} must divide every number of channels": (
                self.norm == "group" and any(n % self.norm_groups for n in self.normed_channels)
            ),
        }

    @property
    def normed_channels(self) -> set[int]:
        """Channels that some norm sees."""
        inside = {width * self.inner for width in self.widths}
        first = {width // self.reduce_first for width in inside}
        return {*self.stem_widths, *(w * self.expansion for w in self.widths), *inside, *first}

    @property
    def stem_widths(self) -> tuple[int, ...]:
        """Channels after each of the stem's convolutions."""
        last = self.stem_width
        before = {"deep": (last // 2, last // 2), "tiered": (3 * last // 8, last // 2)}
        pooled = (last,) if self.stem_pool == "conv" else ()
        return *before.get(self.stem, ()), last, *pooled

    @property
    def expansion(self) -> int:
        """Channels of a block's output over the width of its stage."""
        return EXPANSION[self.block]

    @property
    def features(self) -> int:
        """Length of the pooled feature vector that the head reads."""
        return self.widths[-1] * self.expansion

    @property
    def layers(self) -> int:
        """The field's number: stem, weighted layers on the longest path of the blocks, head."""
        return 1 + CONVOLUTIONS[self.block] * sum(self.depths) + 1

    @property
    def preactivation(self) -> bool:
        """Whether norm and ReLU come before the convolutions (He 2016, orders (d) and (e))."""
        return self.order in ("d", "e")

    @property
    def draws(self) -> bool:
        """Whether training leaves out what is drawn by chance."""
        return self.dropout > 0 or self.drop_path > 0


@dataclass(frozen=True, kw_only=True)
class MLPSpec(_Described):
    """A fully connected network on images, residual or plain.

    A layer from the pixels, blocks of two layers of one width, a linear head. A block is
    x + g(x) in the order of He 2016 (arXiv 1603.05027, figure 4e): norm, ReLU, layer, twice.

    Raises UserError (a ValueError) when made from values that describe no network.
    """

    depths: tuple[int, ...] = option((2,), "how many blocks, a single number", least=1, most=10_000)
    width: int = option(256, "of every layer between pixels and head", least=1, most=100_000)
    shortcut: Literal["identity", "none"] = option("identity", "none: a plain network, g(x) alone")
    norm: Literal["none", "batch", "layer"] = option("batch", "over the batch, or over the layer")
    dropout: float = _dropout()
    drop_path: float = _drop_path()
    size: int = option(28, "side of the images in pixels: no other fits", least=1)
    channels: int = option(1, "channels of the input", least=1, most=10_000)
    classes: int = option(10, "outputs of the head", least=1, most=10_000_000)

    def __post_init__(self):
        """Check that the values describe a network."""
        check_types(self)
        check_ranges(self)
        if len(self.depths) != 1:
            raise UserError(f"depths of a fully connected network is one number: {self.depths}")

    @property
    def features(self) -> int:
        """Length of the vector that the head reads."""
        return self.width

    @property
    def layers(self) -> int:
        """The layer from the pixels, two a block, the head."""
        return 2 + 2 * self.depths[0]

    @property
    def draws(self) -> bool:
        """Whether training leaves out what is drawn by chance."""
        return self.dropout > 0 or self.drop_path > 0


Spec = ResNetSpec | MLPSpec


def fitting_groups(spec: ResNetSpec) -> int:
    """Groups of group norm for a network: 32, or as many as leave two channels in each."""
    return math.gcd(32, *(channels // 2 for channels in spec.normed_channels))


def read_spec(data: dict, *, where: str = "spec") -> Spec:
    """The spec that `to_dict` made plain data of; what is none raises UserError."""
    kind = MLPSpec if isinstance(data, dict) and "width" in data else ResNetSpec
    return kind.from_dict(data, where=where)


def only_size(spec: Spec) -> int | None:
    """The side of the images that a network is for; None where it takes any."""
    return spec.size if isinstance(spec, MLPSpec) else None


def for_size(spec: Spec, size: int) -> Spec:
    """The spec for images of so many pixels a side."""
    return replace(spec, size=size) if isinstance(spec, MLPSpec) else spec
