"""`ResNetSpec`: one frozen dataclass that says a residual network whole."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from resnetkit.config import check_ranges, from_plain, option, to_plain
from resnetkit.errors import UserError

Block = Literal["basic", "bottleneck"]
Stem = Literal["imagenet", "small"]
Shortcut = Literal["A", "B", "C", "none"]
Order = Literal["a", "b", "c", "d", "e"]

EXPANSION = {"basic": 1, "bottleneck": 4}
"""Channels of a block's output over the width of its 3x3 convolution (He 2015, figure 5)."""

CONVOLUTIONS = {"basic": 2, "bottleneck": 3}
"""Weighted layers in the residual branch of a block."""


@dataclass(frozen=True, kw_only=True)
class ResNetSpec:
    """A residual network of He et al. (2015, arXiv 1512.03385; 2016, arXiv 1603.05027).

    Raises UserError (a ValueError) when made from values that describe no network.
    """

    block: Block = option("basic", "two 3x3 convolutions, or 1x1, 3x3, 1x1")
    depths: tuple[int, ...] = option((2, 2, 2, 2), "blocks in each stage", least=1)
    widths: tuple[int, ...] = option((64, 128, 256, 512), "width of the 3x3 in each stage", least=1)
    strides: tuple[int, ...] = option((1, 2, 2, 2), "1 keeps a stage's size, 2 halves it", least=1)
    stem: Stem = option("imagenet", "7x7 stride 2 and max pooling, or one 3x3")
    stem_width: int = option(64, "channels after the stem", least=1)
    shortcut: Shortcut = option("B", "option A, B or C of He 2015 section 4.1; none: a plain net")
    order: Order = option("a", "where norm and ReLU stand: (a) to (e) of He 2016 figure 4")
    stride_on: Literal["3x3", "1x1"] = option("3x3", "a bottleneck's stride; the paper: first 1x1")
    channels: int = option(3, "channels of the input", least=1, most=10_000)
    classes: int = option(1000, "outputs of the head", least=1, most=10_000_000)

    def __post_init__(self):
        """Check that the values describe a network."""
        choices = {"block": Block, "stem": Stem, "shortcut": Shortcut, "order": Order}
        for name, allowed in choices.items():
            if getattr(self, name) not in get_args(allowed):
                words = ", ".join(get_args(allowed))
                raise UserError(f"{name} {getattr(self, name)!r} is not one of {words}")
        if self.stride_on not in ("3x3", "1x1"):
            raise UserError(f"stride_on {self.stride_on!r} is not one of 3x3, 1x1")
        check_ranges(self)
        if not len(self.depths) == len(self.widths) == len(self.strides) > 0:
            raise UserError(
                f"depths, widths and strides must be of one length, a number for each stage, not "
                f"{len(self.depths)}, {len(self.widths)}, {len(self.strides)}"
            )
        if self.shortcut == "A" and self._shrinks():
            raise UserError("shortcut A pads with zeros and cannot lower the number of channels")

    def _shrinks(self) -> bool:
        counts = [self.stem_width, *(width * self.expansion for width in self.widths)]
        return any(after < before for before, after in pairwise(counts))

    @property
    def expansion(self) -> int:
        """Channels of a block's output over its width."""
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
    def usual_size(self) -> int:
        """Side in pixels of the images that such networks are usually compared at."""
        return 224 if self.stem == "imagenet" else 32

    def to_dict(self) -> dict:
        """The spec as plain data, for JSON."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: dict, *, where: str = "spec") -> "ResNetSpec":
        """The spec from plain data; unknown keys and wrong types raise UserError."""
        return from_plain(cls, data, where=where)
