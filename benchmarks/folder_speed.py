"""`resnetkit train` on a folder of JPEGs against the plain torchvision loop, in turns.

    make peers
    .venv-peers/bin/python benchmarks/folder_speed.py

20,000 JPEGs of 500 x 375 pixels, resnet18 at 96 px, batch 64, random resized crop and flip. Ours is
the whole command, and its images/s in the second epoch as metrics.jsonl has it: with the cache in
memory, and without any. Theirs is counted from step 20 on. Each in a process of its own, by turns.
Writes benchmarks/results/folder_speed.json.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from commands import epochs_of, plain_folder_rate, resnetkit
from photos import make
from turns import keep

SIDES = {"cache": "memory", "no cache": "off", "torchvision": ""}


def ours(folder: Path, cache: str) -> dict[str, float]:
    """Images/s of the second epoch, and the part of it spent waiting for images."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        flags = (
            f"--model resnet18 --image-size 96 --batch-size 64 --epochs 2 --val-fraction 0.005 "
            f"--cache {cache} --out {out}"
        )
        run = resnetkit("train", str(folder), *flags.split())
        rate = epochs_of(out)[1]["images_per_second"]
    return {"rate": rate, "waiting": run["waiting"]}


def theirs(folder: Path) -> dict[str, float]:
    return {"rate": plain_folder_rate(sys.executable, folder)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="made where it does not hold the JPEGs yet")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = options.folder or Path(place)
        make(folder, options.images)
        rounds = []
        for number in range(options.rounds):
            sides = list(SIDES) if number == 0 else ["cache", "torchvision"]
            row = {
                who: theirs(folder) if who == "torchvision" else ours(folder, SIDES[who])
                for who in sides[:: 1 if number % 2 else -1]
            }
            rounds.append(row)
            print(row, flush=True)
    ratio = {
        who: statistics.median(
            row[who]["rate"] / row["torchvision"]["rate"] for row in rounds if who in row
        )
        for who in ("cache", "no cache")
    }
    waiting = statistics.median(row["cache"]["waiting"] for row in rounds)
    print({"ratio": ratio, "waiting": waiting})
    keep("folder_speed", {"images": options.images, "ratio": ratio, "waiting": waiting,
                          "rounds": rounds})  # fmt: skip


if __name__ == "__main__":
    main()
