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


def answer(step: Callable[[], object], warm: int = 2) -> None:
    """Run `step` once for every line on stdin, and say how many seconds it took."""
    for _ in range(warm):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


def take_turns(commands: dict[str, list[str]], rounds: int) -> list[dict[str, float]]:
    """Seconds of every side in every round; who begins changes from round to round.

    Args:
        commands: a side's name -> the command that answers.
        rounds: turns of each.
    """
    with ExitStack() as stack:
        sides = {name: stack.enter_context(_Side(command)) for name, command in commands.items()}
        found = []
        for number in range(rounds):
            order = list(sides)[:: 1 if number % 2 else -1]
            row = {}
            for name in order:
                row[name] = sides[name].turn()
            found.append(row)
        return found


class _Side:
    """A process that answers."""

    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.asked, self.answers = self.process.stdin, self.process.stdout
        if self.answers is None or self.answers.readline() != "ready\n":
            raise SystemExit(f"did not start: {' '.join(command)}")

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
    ratios = [row[theirs] / row[ours] for row in rounds]
    low, median, high = statistics.quantiles(ratios, n=4)
    return {"ratio": median, "low": low, "high": high}


def told(found: dict) -> str:
    """A result as one line of JSON, for people who watch."""
    return json.dumps({key: value for key, value in found.items() if key != "rounds"})
