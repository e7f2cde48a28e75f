"""`Network`: what is common to all networks here, stem, stages of blocks, head."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from resnetkit.nets.initialise import initialise
from resnetkit.nets.recompute import through
from resnetkit.nets.spec import Spec


class Network(nn.Module, ABC):
    """From images to logits.

    Attributes:
        spec: what it was made from.
        head: the last linear layer; `net.head(net.features(x))` equals `net(x)`.
        segments: how many blocks are computed anew together in the backward pass, from the first
            on, instead of keeping what is inside them: less memory, up to a third more time, the
            same bits (`recompute.py`). By default none are.
    """

    def __init__(
        self, spec: Spec, stem: nn.Module, stages: Iterable[Sequence[nn.Module]], norm: nn.Module
    ):
        super().__init__()
        self.spec = spec
        self.segments: tuple[int, ...] = ()
        self.stem = stem
        self.stages = nn.ModuleList(nn.Sequential(*blocks) for blocks in stages)
        self.norm = norm
        self.dropout = nn.Dropout(spec.dropout) if spec.dropout else nn.Identity()
        self.head = nn.Linear(spec.features, spec.classes)
        initialise(self)

    @property
    def layers(self) -> int:
        """The number of layers as the field counts them."""
        return self.spec.layers

    @property
    def blocks(self) -> list[nn.Module]:
        """All blocks, from the image to the head."""
        return [block for stage in self.stages for block in stage.children()]

    @abstractmethod
    def pooled(self, x: Tensor) -> Tensor:
        """What comes from the last block -> features (N, spec.features)."""

    def features(self, x: Tensor) -> Tensor:
        """Features: (N, channels, H, W) -> (N, spec.features)."""
        return self.pooled(through(self.blocks, self.segments, self.stem(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits: (N, channels, H, W) -> (N, classes)."""
        return self.head(self.features(x))


N = TypeVar("N", bound=Network)


def with_layout(net: N, *, channels_last: bool) -> N:
    """The network with its weights laid out for images as NHWC or as NCHW in memory."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return net.to(memory_format=layout)  # ty: ignore[no-matching-overload]


def has_channels_last(net: Network) -> bool:
    """Whether the weights are laid out for images as NHWC in memory."""
    layout = torch.channels_last
    return all(p.is_contiguous(memory_format=layout) for p in net.parameters() if p.ndim == 4)
