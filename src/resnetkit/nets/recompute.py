"""Activation checkpointing: blocks are computed once more where gradients need their inside."""

import contextlib
from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def through(blocks: Sequence[nn.Module], segments: Sequence[int], x: Tensor) -> Tensor:
    """What the blocks make of x, one after the other; as `outputs` has it."""
    return outputs(blocks, segments, x, {len(blocks)})[len(blocks)]


def outputs(
    blocks: Sequence[nn.Module], segments: Sequence[int], x: Tensor, counts: Collection[int]
) -> dict[int, Tensor]:
    """What comes out after so many blocks, for several such counts.

    Args:
        blocks: in order.
        segments: how many blocks each segment has, from the first block on: only what comes into
            a segment is kept for the backward pass (Chen 2016, arXiv 1604.06174, section 3). What
            is inside the blocks after the last segment is kept as usual.
        x: for the first block.
        counts: of blocks; a segment across one of them is taken as two.
    """
    anew, found, done = sum(segments), {0: x} if 0 in counts else {}, 0
    for end in sorted({*accumulate(segments), *counts} - {0}):
        piece = blocks[done:end]
        x = _recomputed(piece, x) if end <= anew else _run(piece, x)
        done = end
        if end in counts:
            found[end] = x
    return found


def after(segments: Sequence[int], blocks: int) -> tuple[int, ...]:
    """What is left of segments after so many blocks."""
    ends = [end - blocks for end in accumulate(segments) if end > blocks]
    return tuple(b - a for a, b in pairwise([0, *ends]))


def _run(blocks: Sequence[nn.Module], x: Tensor) -> Tensor:
    for block in blocks:
        x = block(x)
    return x


def _recomputed(blocks: Sequence[nn.Module], x: Tensor) -> Tensor:
    """The blocks on x, of which only x is kept for the backward pass.

    What the blocks draw is drawn again; running statistics count the images once.
    """
    if not torch.is_grad_enabled():
        return _run(blocks, x)
    return checkpoint(
        _run, blocks, x, use_reentrant=False,
        context_fn=lambda: (contextlib.nullcontext(), _StatisticsKept(blocks)),
    )  # fmt: skip


class _StatisticsKept:
    """Within it, norms count what they see in copies that are thrown away; may be entered again."""

    def __init__(self, blocks: Sequence[nn.Module]):
        self.counting = [m for block in blocks for m in block.modules() if m._buffers]
        self.kept: list[dict] = []

    def __enter__(self) -> None:
        """Put copies in place of the running statistics."""
        self.kept = [dict(module._buffers) for module in self.counting]
        for module in self.counting:
            copies = {name: b.clone() for name, b in module._buffers.items() if b is not None}
            module._buffers.update(copies)

    def __exit__(self, *_exception: object) -> None:
        """Put them back."""
        for module, before in zip(self.counting, self.kept, strict=True):
            module._buffers.update(before)
