"""Whether the recipe of `resnetkit find` beats the default one that is given the same total time.

    python benchmarks/find_gains.py               # 40 minutes: 20 of search, 20 of training
    python benchmarks/find_gains.py --go-on       # with the seeds that find_gains.json holds

Fashion-MNIST as folders of PNGs, 200 pictures of each of 10 classes to train on. `find` searches,
and its recipe is trained; the default recipe is trained for about as long as both together, its
epochs set by the time that its first ones take. The two sides run at the same time, a core each, so
that whatever else the machine does meets both. Seconds are of training, without validation, on both
sides. Both are judged once on the 10,000 pictures of the test part. Writes
benchmarks/results/find_gains.json.
"""

import argparse
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from commands import resnetkit
from resnetkit.data.sources import Dataset, Source, open_dataset
from turns import keep, kept

EACH, TIMED = 200, 5
"""Training pictures of a class; epochs by which the default's speed is told."""

ONE_CORE = ("--threads", "1", "--workers", "1")

Minutes = tuple[float, float]
"""Of the search, and of the training by what it found."""


def write_pictures(folder: Path, seed: int) -> None:
    """PNGs in train/ and test/, a folder a class; which are trained on is drawn by the seed."""
    dataset, rng = open_dataset("fashion-mnist"), np.random.default_rng(seed)
    for part, source in dataset.parts.items():
        for label in range(len(dataset.classes)):
            members = np.flatnonzero(source.labels == label)
            chosen = rng.permutation(members)[:EACH] if part == "train" else members
            write_class(folder / part, dataset, source, label, chosen)


def write_class(
    folder: Path, dataset: Dataset, source: Source, label: int, chosen: np.ndarray
) -> None:
    """PNGs of a class, in a folder of its own."""
    place = folder / dataset.classes[label].replace("/", "-")
    place.mkdir(parents=True)
    for i in chosen:
        Image.fromarray(source.image(int(i), 1)[..., 0]).save(place / f"{i}.png")


def trained(data: Path, out: Path, *flags: str) -> dict:
    """Seconds of the training, and how good it is on the test part."""
    run = resnetkit("train", str(data), "--out", str(out), *flags, *ONE_CORE)
    test = resnetkit("evaluate", str(out), str(data), *ONE_CORE)
    return {"epochs": run["epochs"], "seconds": run["seconds"], "test_top1": test["top1"]}


def find_and_train(data: Path, place: Path, minutes: Minutes, seed: int) -> dict:
    """Our side: what was found, and how good a training by it is."""
    begun, recipe = place / "begun.yaml", place / "found.yaml"
    begun.write_text(f"seed: {seed}\n", encoding="utf-8")
    search, training = map(str, minutes)
    found = resnetkit(
        "find", str(data), "--minutes", search, "--train-minutes", training,
        "--recipe", str(begun), "--out", str(recipe), *ONE_CORE,
    )  # fmt: skip
    tried = [{"settings": one["settings"], "rounds": one["rounds"]} for one in found["tried"]]
    return trained(data, place / "found", "--recipe", str(recipe)) | {"tried": tried}


def default(data: Path, place: Path, minutes: Minutes, seed: int) -> dict:
    """The other side: as many epochs of the default recipe as there is time for."""
    seeded = ("--seed", str(seed))
    timed = trained(data, place / "timed", *seeded, "--epochs", str(TIMED))
    epochs = max(1, round(60 * sum(minutes) / timed["seconds"] * TIMED))
    return trained(data, place / "default", *seeded, "--epochs", str(epochs))


def compared(minutes: Minutes, seed: int) -> dict:
    """Both ways, from the same pictures, at the same time."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        place, data = Path(folder), Path(folder) / "pictures"
        write_pictures(data, seed)
        sides = {"found": find_and_train, "default": default}
        begun = {
            name: pool.submit(side, data, place, minutes, seed) for name, side in sides.items()
        }
        search, training = minutes
        about = {"seed": seed, "minutes": search, "train_minutes": training}
        return about | {name: side.result() for name, side in begun.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--train-minutes", type=float, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--go-on",
        action="store_true",
        help="with the runs of as many minutes that find_gains.json holds",
    )
    options = parser.parse_args()
    rows = kept("find_gains").get("runs", []) if options.go_on else []
    minutes = (options.minutes, options.train_minutes)
    rows = [row for row in rows if (row["minutes"], row["train_minutes"]) == minutes]
    for seed in set(options.seeds) - {row["seed"] for row in rows}:
        rows.append(compared(minutes, seed))
        print(json.dumps(rows[-1], indent=1), flush=True)
        keep("find_gains", {"runs": rows})


if __name__ == "__main__":
    main()
