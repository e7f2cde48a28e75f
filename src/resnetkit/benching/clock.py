"""Seconds of a call, and of a large matrix product to compare them with."""

import time
from collections.abc import Callable

import torch

MATRIX_SIDE = {"cuda": 8192, "mps": 4096, "cpu": 2048}
"""Large enough for a product to run at a device's full rate, small enough to be repeated."""


def timed(call: Callable[[], object], device: torch.device, runs: int) -> list[float]:
    """Seconds of each of some runs, the device's work included."""
    seconds = []
    for _ in range(runs):
        wait_for(device)
        begun = time.perf_counter()
        call()
        wait_for(device)
        seconds.append(time.perf_counter() - begun)
    return seconds


def wait_for(device: torch.device) -> None:
    """Until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class MatrixProduct:
    """The product of two square matrices: what the machine's multipliers can do.

    Args:
        precision: fp32 or bf16.
        device: where.
        side: numbers in a row; by default the device's of MATRIX_SIDE.

    Attributes:
        side: numbers in a row.
        operations: of one product; a multiplication and its addition are two.
    """

    def __init__(self, precision: str, device: torch.device, side: int | None = None):
        self.device, self.side = device, side or MATRIX_SIDE[device.type]
        self.operations = 2 * self.side**3
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.a, self.b, self.out = (
            torch.rand(self.side, self.side, device=device).to(dtype) for _ in range(3)
        )  # of equal numbers a GPU makes a product sooner

    @torch.inference_mode()
    def __call__(self) -> None:
        """Multiply once; fp32 on CUDA as cuDNN's convolutions do it, which is TF32 by default."""
        if self.device.type != "cuda":
            torch.mm(self.a, self.b, out=self.out)
            return
        matmul = torch.backends.cuda.matmul
        before, matmul.allow_tf32 = matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.mm(self.a, self.b, out=self.out)
        matmul.allow_tf32 = before

    def rates(self, runs: int) -> list[float]:
        """Operations a second of some products, after one that does not count."""
        timed(self, self.device, 1)
        return [self.operations / seconds for seconds in timed(self, self.device, runs)]
