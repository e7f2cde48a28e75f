"""Rare classes: what each way of making up for them gives, on Fashion-MNIST made lopsided.

    python benchmarks/imbalance.py            # anew
    python benchmarks/imbalance.py --go-on    # with the runs that imbalance.json holds already

Class k keeps 6000 x 50^(-k/9) of its training images: 6,000 of the first, 120 of the last. Beside
the ways, as many images with all classes equal: what could be gained if nothing were rare. The test
part stays as it is; every trained network is judged once on it. `--recipe fast`, three seeds, a
tenth of every class held out. Writes benchmarks/results/imbalance.json.
"""

import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import resnetkit as rk
from arms import Runs, run_arms, seeded_options
from resnetkit.data.sources import Dataset, Subset, open_dataset
from resnetkit.machine import choose_device
from resnetkit.training.observer import Observer
from resnetkit.training.session import RunResult
from turns import keep

MOST, TIMES = 6000, 50
NOTHING, EQUAL = "nothing", "as many images, all classes equal"
WAYS: dict[str, dict[str, Any]] = {
    NOTHING: {},
    "class weights": {"class_weights": "balanced"},
    "balanced sampling": {"sampling": "balanced"},
    "logit adjustment": {"logit_adjust": 1.0},
    "focal loss": {"focal": 2.0},
    EQUAL: {},
}


def lopsided(classes: int) -> list[int]:
    """How many images each class keeps: the later, the fewer."""
    return [round(MOST * TIMES ** (-k / (classes - 1))) for k in range(classes)]


def equal(classes: int) -> list[int]:
    """As many in all, the same of each class."""
    return [sum(lopsided(classes)) // classes] * classes


def first_ones(dataset: Dataset, counts: list[int]) -> Dataset:
    """The data set with so many training images of each class, the first ones."""
    train = dataset.parts["train"]
    kept = [np.flatnonzero(train.labels == k)[:count] for k, count in enumerate(counts)]
    some = Subset(train, np.sort(np.concatenate(kept)))
    return replace(dataset, parts=dataset.parts | {"train": some})


def trained(way: str, seed: int) -> dict:
    """How a run went, and how good it is on the test part."""

    def opened(*arguments: Any, **options: Any) -> Dataset:
        dataset = open_dataset(*arguments, **options)
        counts = equal if way == EQUAL else lopsided
        return first_ones(dataset, counts(len(dataset.classes)))

    with (
        tempfile.TemporaryDirectory() as place,
        patch("resnetkit.training.images.open_dataset", opened),
    ):
        settings: dict[str, Any] = {"recipe": "fast", "val_fraction": 0.1} | WAYS[way]
        run = rk.train("fashion-mnist", out=str(Path(place) / "run"), seed=seed, threads=1,
                       workers=1, observer=Observer(), **settings)  # fmt: skip
        assert isinstance(run, RunResult)
        clf = rk.load(Path(place) / "run").to(choose_device())
    test = rk.evaluate(clf, "fashion-mnist", workers=1).to_dict()
    recalls = {row["name"]: row["recall"] for row in test["classes"]}
    return {"seconds": run.seconds, "val_top1": run.val_top1, "test_top1": test["top1"],
            "test_balanced": test["balanced"], "recalls": recalls}  # fmt: skip


def told(runs: Runs) -> dict[str, dict[str, float]]:
    """Balanced accuracy of every way: the seeds' mean, lowest and highest, and what it gained."""
    balanced = {way: [row["test_balanced"] for row in rows] for way, rows in runs.items()}
    nothing = statistics.mean(balanced[NOTHING])
    return {
        way: {"mean": statistics.mean(found), "low": min(found), "high": max(found),
              "gained": statistics.mean(found) - nothing}
        for way, found in balanced.items()
    }  # fmt: skip


def main() -> None:
    options = seeded_options("imbalance", __doc__)
    jobs = [(way, seed) for seed in range(options.seeds) for way in WAYS]
    runs = run_arms("imbalance", trained, jobs, go_on=options.go_on, at_once=options.at_once)
    print(json.dumps(told(runs), indent=1))
    keep("imbalance", {"ways": told(runs), "runs": runs})


if __name__ == "__main__":
    main()
