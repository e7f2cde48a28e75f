"""Whether the recipe of `resnetkit find` beats the default one that is given the same total time.

    python benchmarks/find_gains.py                       # an hour: 20 minutes, and 10 of training
    python benchmarks/find_gains.py --minutes 2 --train-minutes 1

Fashion-MNIST as folders of PNGs, 200 pictures of each of 10 classes to train on. `find` searches,
and its recipe is trained; the default recipe is trained for the minutes of the search and the
seconds of that training together, its epochs set by the time that its first ones take. Seconds are
of training, without validation, on both sides. Both are judged once on the 10,000 pictures of the
test part. Writes benchmarks/results/find_gains.json.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from commands import resnetkit
from resnetkit.data.sources import open_dataset
from turns import keep

EACH, TIMED = 200, 2
"""Training pictures of a class; epochs by which the default's speed is told."""


def write_pictures(folder: Path, seed: int) -> None:
    """PNGs in train/ and test/, a folder a class; which are trained on is drawn by the seed."""
    dataset, rng = open_dataset("fashion-mnist"), np.random.default_rng(seed)
    for part, source in dataset.parts.items():
        for label, name in enumerate(dataset.classes):
            place = folder / part / name.replace("/", "-")
            place.mkdir(parents=True)
            members = np.flatnonzero(source.labels == label)
            chosen = rng.permutation(members)[:EACH] if part == "train" else members
            for i in chosen:
                Image.fromarray(source.image(int(i), 1)[..., 0]).save(place / f"{i}.png")


def trained(data: Path, out: Path, *flags: str) -> dict:
    """Seconds of the training, and how good it is on the test part."""
    run = resnetkit("train", str(data), "--out", str(out), *flags)
    test = resnetkit("evaluate", str(out), str(data))
    return {"epochs": run["epochs"], "seconds": run["seconds"], "test_top1": test["top1"]}


def seconds_of_an_epoch(data: Path, place: Path, seed: int) -> float:
    """Of the default recipe."""
    flags = ("--epochs", str(TIMED), "--seed", str(seed))
    return trained(data, place / "timed", *flags)["seconds"] / TIMED


def compared(minutes: float, train_minutes: float, seed: int) -> dict:
    """Both ways, from the same pictures."""
    with tempfile.TemporaryDirectory() as folder:
        place, data = Path(folder), Path(folder) / "pictures"
        write_pictures(data, seed)
        begun, recipe = place / "begun.yaml", place / "found.yaml"
        begun.write_text(f"seed: {seed}\n", encoding="utf-8")
        found = resnetkit(
            "find", str(data), "--minutes", str(minutes), "--train-minutes", str(train_minutes),
            "--recipe", str(begun), "--out", str(recipe),
        )  # fmt: skip
        ours = trained(data, place / "found", "--recipe", str(recipe))
        total = 60 * minutes + ours["seconds"]
        epochs = max(1, round(total / seconds_of_an_epoch(data, place, seed)))
        flags = ("--epochs", str(epochs), "--seed", str(seed))
        default = trained(data, place / "default", *flags)
    tried = [one["settings"] for one in found["tried"]]
    return {"seed": seed, "found": ours, "default": default, "best": tried[0], "tried": len(tried)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--train-minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        rows.append(compared(options.minutes, options.train_minutes, seed))
        print(json.dumps(rows[-1], indent=1), flush=True)
        about = {"minutes": options.minutes, "train_minutes": options.train_minutes}
        keep("find_gains", about | {"runs": rows})


if __name__ == "__main__":
    main()
