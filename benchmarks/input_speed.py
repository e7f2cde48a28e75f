"""Decode + random resized crop + flip to 224 px on one core, against torchvision, in turns.

    make peers
    .venv-peers/bin/python benchmarks/input_speed.py

The same 300 JPEGs of 500 x 375 pixels in files that the system has in memory. Ours are batches of
the Loader; `cache` is the second and every later epoch with `--cache memory`. Theirs is ImageFolder
with RandomResizedCrop (of the same least area), RandomHorizontalFlip, ToTensor and Normalize.
Writes benchmarks/results/input_speed.json.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from peer_libraries import peer_libraries
from photos import make
from resnetkit.data.augmentation import Augmentation
from resnetkit.data.cache import Cached, MemoryStore
from resnetkit.data.loader import Loader
from resnetkit.data.sources import open_dataset
from resnetkit.data.transform import Transform
from resnetkit.machine import ready_machine
from turns import answer, keep, median_of, ratio, take_turns

IMAGES, SIZE, LEAST_AREA = 300, 224, 0.35
SIDES = ("ours", "cache", "torchvision")


def our_epoch(folder: str, *, cached: bool):
    source = open_dataset(folder).parts["train"]
    if cached:
        source = Cached(source, MemoryStore(2**32))
    how = Augmentation(crop="resized", least_area=LEAST_AREA, erase=0)
    loader = Loader(source, Transform(size=SIZE), 50, augmentation=how)
    return lambda: sum(len(batch.labels) for batch in loader.epoch())


def their_epoch(folder: str):
    torchvision, _ = peer_libraries()
    t = torchvision.transforms
    steps = [t.RandomResizedCrop(SIZE, scale=(LEAST_AREA, 1)), t.RandomHorizontalFlip(),
             t.ToTensor(), t.Normalize((0.5,) * 3, (0.25,) * 3)]  # fmt: skip
    data = torchvision.datasets.ImageFolder(folder, t.Compose(steps))
    return lambda: sum(len(data[i][0]) > 0 for i in range(len(data)))


def side(who: str, folder: str) -> None:
    if who == "torchvision":
        torch.set_num_threads(1)
    else:
        ready_machine("cpu", threads=1)
    answer(
        their_epoch(folder) if who == "torchvision" else our_epoch(folder, cached=who == "cache")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--side", nargs=2)
    options = parser.parse_args()
    if options.side:
        return side(*options.side)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), IMAGES)
        sides = {who: [__file__, "--side", who, folder] for who in SIDES}
        rounds = take_turns(sides, options.rounds)
    found = {who: IMAGES / median_of(rounds, who) for who in SIDES}
    against = {who: ratio(rounds, who, "torchvision") for who in SIDES[:2]}
    print({who: round(rate) for who, rate in found.items()}, against)
    keep("input_speed", {"images_per_second": found, "against_torchvision": against,
                         "rounds": rounds})  # fmt: skip


if __name__ == "__main__":
    main()
