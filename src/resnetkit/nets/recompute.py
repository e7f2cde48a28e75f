"""Activation checkpointing: a block is computed once more where its gradient needs its inside."""

import contextlib
from collections.abc import Generator

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
        context_fn=lambda: (contextlib.nullcontext(), _statistics_kept(block)),
    )  # fmt: skip


@contextlib.contextmanager
def _statistics_kept(block: nn.Module) -> Generator[None]:
    """Within the block, norms count what they see in copies that are thrown away."""
    counting = [module for module in block.modules() if module._buffers]
    kept = [dict(module._buffers) for module in counting]
    for module in counting:
        copies = {name: b.clone() for name, b in module._buffers.items() if b is not None}
        module._buffers.update(copies)
    try:
        yield
    finally:
        for module, before in zip(counting, kept, strict=True):
            module._buffers.update(before)
