"""How many images at a time: what memory has room for, and what is quickest."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from resnetkit.machine import available_memory
from resnetkit.nets.create import build
from resnetkit.nets.spec import Spec

MOST_AT_A_TIME = 256
GAIN = 1.05
"""A larger batch must be so many times as quick for a still larger one to be tried."""

LIVE = 2
"""Times the largest layer's input and output: the shortcut waits beside the branch."""

_FLOAT = 4


def quickest_batch(rate: Callable[[int], float | None]) -> int | None:
    """Try 1, 2, 4, ... images at a time until that gains little or memory runs out.

    Args:
        rate: images/s at a batch, None where it does not fit memory.

    Returns:
        The quickest of those tried; None where not even one image fits.
    """
    best, best_rate, batch = None, 0.0, 1
    while batch <= MOST_AT_A_TIME:
        found = rate(batch)
        if found is None:
            break
        gains = found >= GAIN * best_rate
        if found > best_rate:
            best, best_rate = batch, found
        if not gains:
            break
        batch *= 2
    return best


def fitting_batch(rate: Callable[[int], float | None], batch: int) -> int | None:
    """The batch asked for, or the first of its halves that fits memory; None where none does."""
    while batch and rate(batch) is None:
        batch //= 2
    return batch or None


def image_bytes(spec: Spec, size: int) -> int:
    """Memory that an image of `size` pixels takes on its way through the network, about."""
    most = 0

    def count(_module, inputs, output):
        nonlocal most
        most = max(most, inputs[0].numel() + output.numel())

    with torch.device("meta"), torch.no_grad():
        net = build(replace(spec, depths=tuple(min(d, 2) for d in spec.depths))).eval()
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        net(torch.empty(1, spec.channels, size, size))
    return LIVE * _FLOAT * most


def has_room(needed: int, device: torch.device) -> bool:
    """Whether so many bytes can be had; an accelerator says so itself when it comes to it.

    On the CPU the system hands out more than it has, and ends the process that takes it.
    """
    free = available_memory() if device.type == "cpu" else None
    return free is None or needed <= free
