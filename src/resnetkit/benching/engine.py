"""The network as `bench` runs it forwards: the one place that says how."""

from collections.abc import Callable

import torch
from torch import Tensor

from resnetkit.data.transform import Transform
from resnetkit.nets.resnet import ResNet, with_layout

Engine = Callable[[Tensor], Tensor]
"""float (N, channels, H, W) or uint8 (N, H, W, channels) -> float32 logits (N, classes)."""


def inference_model(
    net: ResNet, precision: str, device: torch.device, transform: Transform | None = None
) -> Engine:
    """A network made ready to run forwards only.

    Args:
        net: the network; it is moved, and is not to be used for anything else afterwards.
        precision: fp32 or bf16.
        device: where to.
        transform: how bytes become floats; without one only floats can be given.
    """
    net = with_layout(net.eval().to(device), channels_last=True)

    @torch.inference_mode()
    def run(batch: Tensor) -> Tensor:
        if batch.dtype == torch.uint8:
            assert transform is not None, "bytes need a transform"
            batch = transform.normalise(batch)
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = net(batch)
        return logits.float()

    return run
