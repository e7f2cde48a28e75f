"""Stem, stages, head: a spec made into a torch module."""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional

from resnetkit.nets.blocks import Block, make_block
from resnetkit.nets.layers import make_antialias, make_norm
from resnetkit.nets.network import Network
from resnetkit.nets.spec import ResNetSpec


class Stem(nn.Module):
    """From the image to the first stage's channels (He 2015, table 1 and section 4.2).

    One convolution, `conv`, or several: `conv1`, ..., `conv`, norm and ReLU after each. With full
    pre-activation the last norm and ReLU belong to the first block: He 2016, appendix.
    """

    def __init__(self, spec: ResNetSpec):
        super().__init__()
        shapes = _stem_convolutions(spec)
        self.before = len(shapes) - 1
        for i, (inputs, outputs, side, stride) in enumerate(shapes, 1):
            number = "" if i == len(shapes) else str(i)
            conv = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)
            setattr(self, f"conv{number}", conv)
            normed = number or spec.order != "e"
            setattr(self, f"norm{number}", make_norm(spec, outputs) if normed else nn.Identity())
        self.activates = not spec.preactivation
        self.pool, self.antialias = _stem_pooling(spec)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, stem_width, H / 4, W / 4), or at full size when small.

        ReLU comes after max pooling: the larger of two numbers is cut at 0 as well after as
        before, in the same bits, and there are a quarter as many to cut.
        """
        for i in range(1, self.before + 1):
            x = functional.relu(self._normed(str(i), x), inplace=True)
        x = self.pool(self._normed("", x))
        return self.antialias(functional.relu(x, inplace=True) if self.activates else x)

    def _normed(self, number: str, x: Tensor) -> Tensor:
        return getattr(self, f"norm{number}")(getattr(self, f"conv{number}")(x))


class ResNet(Network):
    """A residual network, or its plain twin without shortcuts. Any height and width >= 1."""

    spec: ResNetSpec
    stem: Stem

    def __init__(self, spec: ResNetSpec):
        norm = make_norm(spec, spec.features) if spec.order == "e" else nn.Identity()
        super().__init__(spec, Stem(spec), _stages(spec), norm)

    def pooled(self, x: Tensor) -> Tensor:
        """What comes from the last block -> pooled features (N, spec.features)."""
        x = self.norm(x)
        if self.spec.preactivation:
            x = functional.relu(x)
        return self.dropout(x.mean(dim=(2, 3)))


def _stem_convolutions(spec: ResNetSpec) -> list[tuple[int, int, int, int]]:
    """(inputs, outputs, side, stride) of every convolution of the stem, in order."""
    first = {"imagenet": (7, 2), "small": (3, 1)}.get(spec.stem, (3, 2))
    widths = spec.stem_widths
    kinds = [first] + [(3, 1)] * (len(widths) - 1)
    if spec.stem_pool == "conv":
        kinds[-1] = (3, 2)
    befores = (spec.channels, *widths)
    return [(befores[i], widths[i], *kinds[i]) for i in range(len(widths))]


def _stem_pooling(spec: ResNetSpec) -> tuple[nn.Module, nn.Module]:
    """What halves before the stem's last ReLU, and what does after it."""
    if spec.stem == "small" or spec.stem_pool == "conv":
        return nn.Identity(), nn.Identity()
    if spec.antialias == "none":
        return nn.MaxPool2d(3, 2, padding=1), nn.Identity()
    dense = nn.MaxPool2d(3, 1, padding=1) if spec.antialias == "blur" else nn.Identity()
    return dense, make_antialias(spec, 2)


def _stages(spec: ResNetSpec) -> Iterator[list[Block]]:
    """The blocks of every stage: its first takes the stride and the new width, the others keep.

    Drop rates rise linearly from the image to the last block (Huang 2016, section 3, equation 4).
    """
    inputs, number, blocks = spec.stem_widths[-1], 0, sum(spec.depths)
    for depth, width, stride in zip(spec.depths, spec.widths, spec.strides, strict=True):
        stage = []
        for place in range(depth):
            number += 1
            drop_path = spec.drop_path * number / blocks
            step, first = 1 if place else stride, number == 1
            block = make_block(spec, inputs, width, step, first=first, drop_path=drop_path)
            stage.append(block)
            inputs = width * spec.expansion
        yield stage
