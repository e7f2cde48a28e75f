"""Two programs take turns on one machine: each in a process of its own, one working at a time.

A side is a script that ends in `answer(step)`; who measures asks each for a turn after the other,
so that what the machine does at that moment meets both alike. A process of its own keeps the
settings of one side (threads, allocator) from the other.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


def answer(step: Callable[[], object], warm: int = 2) -> None:
    """Run `step` once for every line on stdin, and say how many seconds it took."""
    for _ in range(warm):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(seconds(step), flush=True)


def seconds(step: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def take_turns(commands: dict[str, list[str]], rounds: int) -> list[dict[str, float]]:
    """Seconds of every side in every round; who begins changes from round to round.

    Args:
        commands: a side's name -> the arguments with which python runs it.
        rounds: turns of each.
    """
    with ExitStack() as stack:
        sides = {name: stack.enter_context(_Side(command)) for name, command in commands.items()}
        for side in sides.values():
            side.wait()
        found = []
        for number in range(rounds):
            order = list(sides)[:: 1 if number % 2 else -1]
            row = {name: sides[name].turn() for name in order}
            found.append({name: row[name] for name in sides})
        return found


class _Side:
    """A process that answers."""

    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1,
        )  # fmt: skip
        self.command, self.asked, self.answers = command, self.process.stdin, self.process.stdout

    def wait(self) -> None:
        """Until it has started and warmed up; all may do so at once."""
        if self.answers is None or self.answers.readline() != "ready\n":
            raise SystemExit(f"did not start: {' '.join(self.command)}")

    def turn(self) -> float:
        """Seconds of one turn."""
        print(file=self.asked)
        assert self.answers is not None
        return float(self.answers.readline())

    def __enter__(self) -> "_Side":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def ratio(rounds: list[dict[str, float]], ours: str, theirs: str) -> dict[str, float]:
    """How many times as fast `ours` is: the median over the rounds, and the quartiles."""
    low, median, high = statistics.quantiles([row[theirs] / row[ours] for row in rounds], n=4)
    return {"ratio": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


def median_of(rounds: list[dict[str, float]], side: str) -> float:
    """A side's median seconds."""
    return statistics.median(row[side] for row in rounds)


def keep(name: str, content: dict) -> None:
    """Write benchmarks/results/<name>.json, the machine named in it."""
    from resnetkit.machine import environment

    RESULTS.mkdir(exist_ok=True)
    content = {"machine": environment(torch.device("cpu")), **content}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def kept(name: str) -> dict:
    """What benchmarks/results/<name>.json holds; empty where it is not there."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}
