"""The machine a run is on: device, threads, and what must be equal for equal bits."""

import ctypes
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from resnetkit.errors import UserError

MOST_THREADS = 1024


def ready_machine(
    device: str = "auto",
    threads: int | None = None,
    workers: int | None = None,
    local: tuple[int, int] = (0, 1),
) -> tuple[torch.device, int]:
    """Choose the device, set torch's threads, and say how many workers load images.

    Args:
        device: auto, cpu, cuda or mps.
        threads: that torch computes with; by default this rank's part of the cores.
        workers: threads that load images; by default as many as torch computes with.
        local: this rank's number on this machine, and how many ranks there are here.

    Raises:
        UserError: there is no such device, or a number makes no sense.
    """
    check_threads("threads", threads, least=1)
    check_threads("workers", workers, least=0)
    rank, ranks = local
    torch.set_num_threads(threads or max(1, _cores() // ranks))
    keep_freed_memory()
    chosen = choose_device(device)
    if chosen.type == "cuda":
        there = torch.cuda.device_count()
        if ranks > there:
            raise UserError(f"{ranks} ranks on this machine and {there} GPUs: one a rank is needed")
        chosen = torch.device("cuda", rank)
    elif chosen.type == "mps" and ranks > 1:
        raise UserError("several ranks cannot share Apple's GPU: say --device cpu, or start one")
    return chosen, torch.get_num_threads() if workers is None else workers


def check_threads(name: str, count: int | None, *, least: int) -> None:
    """Raise UserError for a number of threads that makes no sense."""
    if count is not None and not least <= count <= MOST_THREADS:
        raise UserError(f"--{name} must be {least} to {MOST_THREADS}, not {count}")


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def keep_freed_memory() -> None:
    """Have glibc keep what is freed: every step asks for the same large blocks again.

    Otherwise it gives them back to the system each time and gets them again empty, page by page:
    a tenth of a training step. The peak stays the same. No bit of a result depends on it.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def available_memory() -> int:
    """Bytes that this process can have without pushing others out; 0 where it cannot be told."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable")]
        group = Path("/sys/fs/cgroup")
        most, used = ((group / f"memory.{what}").read_text() for what in ("max", "current"))
        found += [int(most) - int(used)] if most.strip().isdigit() else []
    except (OSError, ValueError):
        pass  # another system, or a container that hides it
    return max(0, min(found, default=0))


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


def uses_cuda(name: str) -> bool:
    """Whether `choose_device` takes a CUDA GPU for this word."""
    return name in ("auto", "cuda") and torch.cuda.is_available()


def repeatable(device: torch.device) -> None:
    """Ask CUDA for kernels that add in the same order every time; the CPU's do without asking."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
        deterministic: Any = torch.utils.deterministic
        deterministic.fill_uninitialized_memory = False


def computes_bf16(device: torch.device) -> bool:
    """Whether the hardware itself multiplies in bf16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
    return False


def environment(device: torch.device, ranks: int = 1) -> dict[str, str]:
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
        "ranks": str(ranks),
        "cudnn": str(torch.backends.cudnn.version()) if device.type == "cuda" else "none",
        **{name: version(name) for name in libraries},
    }
