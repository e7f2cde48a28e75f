"""Stem, stages, head: a spec made into a torch module."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnetkit.nets.blocks import make_block
from resnetkit.nets.initialise import initialise
from resnetkit.nets.spec import ResNetSpec


class Stem(nn.Module):
    """From the image to the first stage's channels (He 2015, table 1 and section 4.2).

    With full pre-activation the norm and ReLU belong to the first block: He 2016, appendix.
    ReLU comes after pooling: the larger of two numbers is cut at 0 as well after as before, in
    the same bits, and there are a quarter as many to cut.
    """

    def __init__(self, spec: ResNetSpec):
        super().__init__()
        kernel, stride = (7, 2) if spec.stem == "imagenet" else (3, 1)
        self.conv = nn.Conv2d(
            spec.channels, spec.stem_width, kernel, stride, padding=kernel // 2, bias=False
        )
        self.norm = nn.Identity() if spec.order == "e" else nn.BatchNorm2d(spec.stem_width)
        self.activate = not spec.preactivation
        self.pool = nn.MaxPool2d(3, 2, padding=1) if spec.stem == "imagenet" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, stem_width, H / 4, W / 4), or at full size when small."""
        x = self.pool(self.norm(self.conv(x)))
        return functional.relu(x) if self.activate else x


class ResNet(nn.Module):
    """A residual network, or its plain twin without shortcuts.

    Attributes:
        spec: the ResNetSpec that it was made from.
        head: the last linear layer; `net.head(net.features(x))` equals `net(x)`.
    """

    def __init__(self, spec: ResNetSpec):
        super().__init__()
        self.spec = spec
        self.stem = Stem(spec)
        self.stages = nn.ModuleList()
        inputs = spec.stem_width
        for index in range(len(spec.depths)):
            self.stages.append(_stage(spec, index, inputs))
            inputs = spec.widths[index] * spec.expansion
        self.norm = nn.BatchNorm2d(inputs) if spec.order == "e" else nn.Identity()
        self.head = nn.Linear(inputs, spec.classes)
        initialise(self)

    @property
    def layers(self) -> int:
        """The number of layers as the field counts them."""
        return self.spec.layers

    def features(self, x: Tensor) -> Tensor:
        """Pooled features: (N, channels, H, W) -> (N, spec.features). Any H, W >= 1."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        x = self.norm(x)
        if self.spec.preactivation:
            x = functional.relu(x)
        return x.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits: (N, channels, H, W) -> (N, classes)."""
        return self.head(self.features(x))


def with_layout(net: ResNet, *, channels_last: bool) -> ResNet:
    """The network with its weights laid out for images as NHWC or as NCHW in memory."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return net.to(memory_format=layout)  # ty: ignore[no-matching-overload]


def _stage(spec: ResNetSpec, index: int, inputs: int) -> nn.Sequential:
    """The blocks of one stage: the first takes the stride and the new width, the others keep."""
    width = spec.widths[index]
    outputs = width * spec.expansion
    first = make_block(spec, inputs, width, spec.strides[index], first=index == 0)
    rest = (make_block(spec, outputs, width, 1, first=False) for _ in range(spec.depths[index] - 1))
    return nn.Sequential(first, *rest)
