"""The machine a run is on: device, threads, and what must be equal for equal bits."""

import ctypes
import os
import platform
import typing
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from resnetkit.config import Precision
from resnetkit.errors import UserError, not_one_of

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
        if not libc.mallopt(_MMAP_THRESHOLD, 2**30):  # some releases take half a heap at the most
            libc.mallopt(_MMAP_THRESHOLD, 2**25)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def available_memory() -> int | None:
    """Bytes that this process can still take, within a container's limit too; None: unknown."""
    found = [
        *_numbers(Path("/proc/meminfo"), "MemAvailable:", 1024),
        *_within_container(Path("/sys/fs/cgroup")),
    ]
    return min(found, default=None)


def _numbers(file: Path, key: str, unit: int) -> list[int]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) * unit for line in lines if line.split()[:1] == [key]]


def _within_container(group: Path) -> list[int]:
    """What the limit leaves; pages of files that were read give way."""
    try:
        limit = int((group / "memory.max").read_text(encoding="utf-8"))
        used = int((group / "memory.current").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no limit is the word `max`
        return []
    return [limit - used + sum(_numbers(group / "memory.stat", "inactive_file", 1))]


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


def quicker_in_bf16(device: torch.device) -> bool:
    """Whether the hardware computes in bf16, and sooner than in fp32.

    An Intel core without AMX multiplies in bf16 with one of the two units that it has for fp32:
    steps and predictions take 1.3 to 1.7 times as long.
    """
    if device.type != "cpu" or not computes_bf16(device):
        return computes_bf16(device)
    can = torch.cpu.get_capabilities()
    return bool(can.get("amx_bf16")) or not str(can.get("cpu_name")).startswith("Intel")


def choose_precision(
    asked: Precision, device: torch.device, say: Callable[[str], None] = lambda _: None
) -> Precision:
    """fp32 or bf16. `auto` is bf16 where that is the quicker of the two.

    Where the hardware has no bf16, bf16 that was asked for is fp32 too: software is slower still.

    Args:
        asked: raises UserError for any other word.
        device: that computes.
        say: is told where it is not what was asked for.
    """
    if asked not in typing.get_args(Precision):
        raise UserError(f"precision: {not_one_of(asked, typing.get_args(Precision))}")
    if asked == "auto":
        return "bf16" if quicker_in_bf16(device) else "fp32"
    if asked == "bf16" and not computes_bf16(device):
        say("this hardware does not compute in bf16: fp32 instead")
        return "fp32"
    return asked


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


@dataclass(frozen=True)
class Machine:
    """What it was measured on: device, its name, threads, precision, version of torch."""

    device: str
    hardware: str
    threads: int
    precision: str
    torch: str

    @classmethod
    def of(cls, device: torch.device, precision: str) -> "Machine":
        """This one, at the precision that was decided."""
        known = environment(device)
        threads = torch.get_num_threads()
        return cls(known["device"], known["hardware"], threads, precision, known["torch"])

    def __str__(self) -> str:
        """In a few words."""
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        return f"{self.device}, {self.precision}, {threads}: {self.hardware}"
