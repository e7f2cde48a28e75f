"""What recipes are worth on few pictures: the order in which `resnetkit find` tries is from it.

    python benchmarks/few_pictures.py               # all of them, 7 minutes each on a core
    python benchmarks/few_pictures.py --minutes 20

Fashion-MNIST as PNGs, 200 of each of 10 classes to train on, drawn otherwise than find_gains.py's;
judged by 10,000 other training pictures: the test part is not looked at. Each recipe has as many
epochs as fill the time at the speed of its first ones. Writes benchmarks/results/few_pictures.json.
"""

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from commands import resnetkit, rows_of
from find_gains import EACH, ONE_CORE, write_class
from resnetkit.data.sources import open_dataset
from turns import keep

JUDGES, SEED, TIMED = 1000, 100, 6
"""Pictures of a class that judge, the draw, and epochs by which the speed is told."""

QUICK, MIXED = ("--model", "resnet8x2h"), ("--erase", "0", "--mixup")
SMALL_BATCH = ("--batch-size", "32", "--lr", "0.05")
WAYS: dict[str, tuple[str, ...]] = {
    "default": (),
    "small batches": ("--mirror", *SMALL_BATCH),
    "quick, mixup 0.2": ("--mirror", *QUICK, *MIXED, "0.2"),
    "quick, mixup 0.2, small batches": ("--mirror", *QUICK, *MIXED, "0.2", *SMALL_BATCH),
    "quick, mixup 1": ("--mirror", *QUICK, *MIXED, "1"),
    "quick, mixup 1, small batches": ("--mirror", *QUICK, *MIXED, "1", *SMALL_BATCH),
    "wider, mixup 0.2": ("--mirror", "--model", "resnet14x2h", *MIXED, "0.2"),
    "wider, mixup 1": ("--mirror", "--model", "resnet14x2h", *MIXED, "1"),
    "wider, mixup 0.2 and erasing": ("--mirror", "--model", "resnet14x2h", "--mixup", "0.2"),
    "wider, erasing": ("--mirror", "--model", "resnet14x2h", "--alternate", "--erase", "0.5"),
}


def write_pictures(folder: Path) -> None:
    """PNGs in train/ and test/, a folder a class, all of the training part."""
    dataset, rng = open_dataset("fashion-mnist"), np.random.default_rng(SEED)
    source = dataset.parts["train"]
    for label in range(len(dataset.classes)):
        drawn = rng.permutation(np.flatnonzero(source.labels == label))
        write_class(folder / "train", dataset, source, label, drawn[:EACH])
        write_class(folder / "test", dataset, source, label, drawn[JUDGES : 2 * JUDGES])


def trained(way: str, data: Path, place: Path, minutes: float) -> dict:
    """How good a recipe is after so long."""
    out, flags = place / way, (*WAYS[way], "--val-fraction", "0.1", *ONE_CORE)
    resnetkit("train", str(data), "--out", f"{out}-timed", *flags, "--epochs", str(TIMED))
    ends = [row["seconds"] for row in rows_of(Path(f"{out}-timed"))]
    epochs = max(1, round(60 * minutes / (ends[-1] - ends[0]) * (len(ends) - 1)))
    run = resnetkit("train", str(data), "--out", str(out), *flags, "--epochs", str(epochs))
    judged = resnetkit("evaluate", str(out), str(data), *ONE_CORE)
    row = {"way": way, "minutes": minutes, "epochs": epochs, "seconds": run["seconds"]}
    print(row | {"top1": judged["top1"]}, flush=True)
    return row | {"top1": judged["top1"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        place, data = Path(folder), Path(folder) / "pictures"
        write_pictures(data)
        one = partial(trained, data=data, place=place, minutes=options.minutes)
        keep("few_pictures", {"runs": list(pool.map(one, WAYS))})


if __name__ == "__main__":
    main()
