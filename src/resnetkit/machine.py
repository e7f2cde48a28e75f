"""The machine a run is on: device, threads, and what must be equal for equal bits."""

import os
import platform
from importlib.metadata import version

import torch

from resnetkit.errors import UserError


def ready_machine(
    device: str = "auto", threads: int | None = None, workers: int | None = None
) -> tuple[torch.device, int]:
    """Choose the device, set torch's threads, and say how many workers load images.

    Args:
        device: auto, cpu, cuda or mps.
        threads: that torch computes with; by default the cores that we may use.
        workers: threads that load images; by default as many as torch computes with.

    Raises:
        UserError: there is no such device, or a number makes no sense.
    """
    if threads is not None and threads < 1:
        raise UserError(f"--threads must be at least 1, not {threads}")
    if workers is not None and workers < 0:
        raise UserError(f"--workers must be at least 0, not {workers}")
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    return choose_device(device), torch.get_num_threads() if workers is None else workers


def choose_device(name: str = "auto") -> torch.device:
    """`auto`: CUDA, else Apple's MPS, else the CPU; raises UserError when there is no such one."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, found in there.items() if found))
    if not there[name]:
        found = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise UserError(f"no device {name} on this machine; there is {found}")
    return torch.device(name)


def computes_bf16(device: torch.device) -> bool:
    """Whether the hardware itself multiplies in bf16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
    return False


def environment(device: torch.device) -> dict[str, str]:
    """What the bits of a run depend on besides its recipe and data."""
    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
    else:
        name = torch.cpu.get_capabilities().get("cpu_name", platform.processor())
        hardware = f"{name}, {torch.backends.cpu.get_cpu_capability()}"
    libraries = ("resnetkit", "torch", "numpy", "pillow", "simplejpeg")
    return {
        "device": device.type,
        "hardware": hardware,
        "threads": str(torch.get_num_threads()),
        "ranks": "1",
        **{name: version(name) for name in libraries},
    }
