"""Activation checkpointing: a block is computed once more where its gradient needs its inside."""

import contextlib

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recomputed(block: nn.Module, x: Tensor) -> Tensor:
    """block(x), of which only x is kept for the backward pass (Chen 2016, arXiv 1604.06174).

    What the block draws is drawn again; running statistics count the images once.
    """
    if not torch.is_grad_enabled():
        return block(x)
    return checkpoint(
        block, x, use_reentrant=False,
        context_fn=lambda: (contextlib.nullcontext(), _StatisticsKept(block)),
    )  # fmt: skip


class _StatisticsKept:
    """Within it, norms count what they see in copies that are thrown away; may be entered again."""

    def __init__(self, block: nn.Module):
        self.counting = [module for module in block.modules() if module._buffers]
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
