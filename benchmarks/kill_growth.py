"""Kill runs around and within the moment their network grows; resumed, they end in equal bits.

    python benchmarks/kill_growth.py --runs 10

In turn: before the growth (the newest checkpoint holds the smaller network), within it (the deeper
network is being made), after it (the newest checkpoint holds that one). Every kill is verified to
have been of its kind.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kill_resume import SESSION, contents, equal, finish, newest_step

RECIPE = (
    "--model resnet8 --limit 3200 --epochs 3 --batch-size 64 --seed 3 --ema 0.99 --erase 0.25 "
    "--drop-path 0.1 --val-fraction 0.02 --grow-at 0.5 --grow-to resnet20"
).split()
GROWS_AT = 75
KINDS = ("before", "within", "after")
MARKED = """
import sys
from resnetkit.cli import main
from resnetkit.training import trainer

deepen = trainer.deepen

def marked(*given, **named):
    print("growing now", file=sys.stderr, flush=True)
    return deepen(*given, **named)

trainer.deepen = marked
sys.exit(main())
"""
"""The command itself, which says when its network begins to grow."""


def start(out: Path, *, resume: bool) -> subprocess.Popen:
    flags = ["--resume"] if resume else RECIPE
    command = [sys.executable, "-c", MARKED, "train", "fashion-mnist", "--out", str(out)]
    return subprocess.Popen([*command, *flags, *SESSION], stderr=subprocess.PIPE, text=True)


def killed(out: Path, kind: str, draw: random.Random) -> bool:
    """Start a run and kill it; whether it was at a moment of that kind."""
    process = start(out, resume=False)
    least = {"before": draw.randint(5, GROWS_AT - 15), "after": draw.randint(GROWS_AT + 1, 130)}
    if kind == "within":
        assert process.stderr is not None
        while (line := process.stderr.readline()) and "growing now" not in line:
            pass
    else:
        while (newest_step(out) or 0) < least[kind] and process.poll() is None:
            time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    step = newest_step(out) or 0
    there = step > GROWS_AT if kind == "after" else 0 < step <= GROWS_AT
    there &= kind == "after" or "grown from" not in said
    return process.returncode == -signal.SIGKILL and there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    draw, good = random.Random(0), 0
    with tempfile.TemporaryDirectory(prefix="kill-growth-") as place:
        finish(start(Path(place) / "undisturbed", resume=False))
        undisturbed = contents(Path(place) / "undisturbed")
        grown = [row["grown"] for row in undisturbed["metrics"] if "grown" in row]
        assert grown == [[{"step": GROWS_AT, "to": "resnet20"}]]
        for number in range(options.runs):
            kind, tries = KINDS[number % len(KINDS)], 0
            out = Path(place) / f"run-{number}-0"
            while not killed(out, kind, draw):
                tries += 1
                out = Path(place) / f"run-{number}-{tries}"
            step = newest_step(out)
            finish(start(out, resume=True))
            same = equal(contents(out), undisturbed)
            good += same
            print(f"run {number}: killed {kind} the growth, resumed at step {step}: "
                  f"{'equal' if same else 'DIFFERS'}", flush=True)  # fmt: skip
    print(f"{good} of {options.runs} bit-equal")
    sys.exit(good != options.runs)


if __name__ == "__main__":
    main()
