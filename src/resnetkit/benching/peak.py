"""Peak memory of a training step, and the largest batch that fits.

On the CPU what a step takes can be told only by a process that does nothing else: `python -m
resnetkit.benching.peak` reads what to train as JSON from stdin and answers on stdout.
"""

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from resnetkit.benching.clock import wait_for
from resnetkit.benching.step import training_step
from resnetkit.benching.subjects import Subject
from resnetkit.config import Precision, from_plain, to_plain
from resnetkit.data.transform import Transform
from resnetkit.errors import is_out_of_memory
from resnetkit.machine import ready_machine
from resnetkit.nets.create import create
from resnetkit.nets.spec import read_spec

STEPS = 3
"""The first one makes what the later ones keep."""

NO_MEMORY = 3
"""The exit code of a child that was told that there is no more memory."""


@dataclass(frozen=True)
class Peak:
    """The batch that fits, None where none does, and the most bytes held, None if not known."""

    batch: int | None
    bytes: int | None = None


def training_peak(
    subject: Subject, batch: int, least: int, precision: Precision, device: torch.device
) -> Peak:
    """Take a few steps; where memory does not suffice, with half as many images, and so on."""
    while batch >= least:
        measure = _in_child if device.type == "cpu" else _here
        fits, most = measure(subject, batch, precision, device)
        if fits:
            return Peak(batch, most)
        batch //= 2
    return Peak(None)


def _here(
    subject: Subject, batch: int, precision: Precision, device: torch.device
) -> tuple[bool, int | None]:
    """On an accelerator; what this process holds there already does not count."""
    cuda = device.type == "cuda"
    try:
        if cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) if cuda else 0
        step = training_step(subject.network(), subject.transform, batch, precision, device)
        for _ in range(STEPS):
            step()
        wait_for(device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False, None
    return True, torch.cuda.max_memory_allocated(device) - before if cuda else None


def _in_child(
    subject: Subject, batch: int, precision: Precision, _: torch.device
) -> tuple[bool, int | None]:
    """Whether it fits, and the peak of a fresh process; None where the child broke otherwise."""
    asked = {
        "spec": subject.spec.to_dict(),
        "transform": to_plain(subject.transform),
        "batch": batch,
        "precision": precision,
        "threads": torch.get_num_threads(),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "resnetkit.benching.peak"],
        input=json.dumps(asked), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == NO_MEMORY or done.returncode < 0:
        return False, None
    return True, int(done.stdout) if done.returncode == 0 else None


def child(asked: dict) -> int:
    """Take the steps that were asked for; returns the most bytes that this process has held."""
    ready_machine("cpu", asked["threads"])
    net = create(read_spec(asked["spec"]))
    transform = from_plain(Transform, asked["transform"], where="transform")
    step = training_step(net, transform, asked["batch"], asked["precision"], torch.device("cpu"))
    for _ in range(STEPS):
        step()
    return most_resident()


def most_resident() -> int:
    """The most bytes of memory that this process has held since its program began.

    On Linux not by getrusage, which counts what its parent held at the fork as well.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _be_the_first_to_go() -> None:
    """Where memory is used up, the system is to end this process and not the one that asks."""
    score = Path("/proc/self/oom_score_adj")
    if os.access(score, os.W_OK):
        score.write_text("1000", encoding="utf-8")


def _main() -> int:
    _be_the_first_to_go()
    try:
        print(child(json.load(sys.stdin)))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return NO_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(_main())
