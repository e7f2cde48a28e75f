"""A batch in pieces that are computed one after the other, and what a network says of one."""

from typing import NamedTuple

from torch import Tensor

from resnetkit.data.loader import Batch


class Piece(NamedTuple):
    """Indices (n,), uint8 images (n, size, size, channels) and labels (n,) of a part of a batch."""

    indices: Tensor
    images: Tensor
    labels: Tensor
    last: bool


class Said(NamedTuple):
    """Of a piece: the sum of its images' losses, all together and of the whole network alone.

    And how many of them are right, and the whole network's logits (n, classes).
    """

    loss: Tensor
    own: Tensor
    right: Tensor
    logits: Tensor


def pieces_of(batch: Batch, count: int) -> list[Piece]:
    """A batch in so many pieces."""
    parts = (batch.indices, batch.images, batch.labels)
    split = zip(*(part.tensor_split(count) for part in parts), strict=True)
    return [Piece(*each, last=i == count) for i, each in enumerate(split, 1)]
