"""One file of many depths against networks of those depths trained alone.

    python benchmarks/any_depth.py            # anew
    python benchmarks/any_depth.py --go-on    # with the runs that any_depth.json holds already

30,000 images of Fashion-MNIST, 10,000 others held out, 12 epochs, the same recipe and the same
images for all; every trained network is judged once on the test part. Beside them: an ordinary
network, and a plain one, of 56 layers that are cut to the same depths afterwards, the statistics
of their norms measured anew on the training images. Runs share the machine, one thread each: how
long each takes alone is `depth_steps.py`'s to say. Writes benchmarks/results/any_depth.json.
"""

import copy
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import resnetkit as rk
from arms import Runs, run_arms, seeded_options
from commands import rows_of
from resnetkit.any_depth import Depth
from resnetkit.classifier import Classifier
from resnetkit.data.sources import array_of, open_dataset
from resnetkit.machine import choose_device, choose_precision
from resnetkit.nets.nested import inner_network, inner_spec
from resnetkit.nets.norms import measure_statistics
from resnetkit.training.observer import Observer
from resnetkit.training.session import RunResult
from turns import keep

LAYERS, IMAGES, EPOCHS, LOSS = (8, 14, 20, 32, 56), 30_000, 12, 0.001
COMMON = {"epochs": EPOCHS, "limit": IMAGES, "val_fraction": 1 / 6}
ONE, PLAIN = "one file", "plain56, cut"
ARMS: dict[str, dict] = {
    ONE: {"model": "resnet56", "any_depth": True},
    **{f"resnet{n}": {"model": f"resnet{n}"} for n in LAYERS[::-1]},
    PLAIN: {"model": "plain56"},
}


def trained(arm: str, seed: int) -> dict:
    """Seconds of training; on the test part, how good and how quick every depth is that it has."""
    with tempfile.TemporaryDirectory() as place:
        settings: dict[str, Any] = COMMON | ARMS[arm]
        run = rk.train("fashion-mnist", out=str(Path(place) / "run"), seed=seed, threads=1,
                       workers=1, observer=Observer(), **settings)  # fmt: skip
        assert isinstance(run, RunResult)
        clf = rk.load(Path(place) / "run").to(choose_device())
        rows = rows_of(Path(place) / "run")
    depths, found = {}, []
    if arm == ONE:
        found = rk.evaluate_depths(clf, "fashion-mnist", workers=1, batch_size=256).depths
        depths = {str(d.layers): d.result.top1 for d in found if d.early_exit is None}
    elif clf.net.layers == max(LAYERS):
        depths = {str(n): top1(cut(clf, n)) for n in LAYERS}
    return {"seconds": run.seconds, "val_top1": run.val_top1, "test_top1": top1(clf),
            "epochs": rows, "depths": depths,
            "side_by_side": [side_by_side(depth) for depth in found]}  # fmt: skip


def side_by_side(depth: Depth) -> dict:
    """A depth or an early exit, as all were judged in turn, a batch of 256 at a time."""
    about = ("layers", "early_exit", "exited", "images_per_second", "parameters", "multiply_adds")
    return {name: getattr(depth, name) for name in about} | {"top1": depth.result.top1}


def top1(clf: Classifier) -> float:
    """On the test part."""
    return rk.evaluate(clf, "fashion-mnist", workers=1).to_dict()["top1"]


def cut(clf: Classifier, layers: int) -> Classifier:
    """The first blocks of every stage of a network that was trained as a whole, plain ones too.

    Their statistics are measured anew.
    """
    ordinary = replace(clf.spec, shortcut="B" if clf.spec.shortcut == "none" else clf.spec.shortcut)
    spec = replace(clf.spec, depths=inner_spec(ordinary, layers).depths)
    part = Classifier(
        inner_network(copy.deepcopy(clf.net), spec), clf.transform, clf.classes, clf.training
    )
    images = array_of(open_dataset("fashion-mnist").parts["train"])
    assert images is not None
    batches = torch.tensor(images[:2048]).split(128)
    measure_statistics(part.net, (clf.transform.normalise(b.to(clf.device)) for b in batches))
    return part


def told(runs: Runs) -> dict:
    """What is asked: every depth of the one file against a network of that depth, and the time."""
    one, alone = runs[ONE], {n: runs[f"resnet{n}"] for n in LAYERS}
    minus = {
        str(n): statistics.mean(row["depths"][str(n)] for row in one)
        - statistics.mean(row["test_top1"] for row in rows)
        for n, rows in alone.items()
    }
    return COMMON | {
        "precision": choose_precision("auto", choose_device()),
        "minus_alone": minus,
        "mean_minus_alone": statistics.mean(minus.values()),
        "stopped_early": [stopped_early(row["side_by_side"]) for row in one],
    }


def stopped_early(found: list[dict]) -> dict:
    """Early exit for the loss of 0.1% that is stored, against the whole."""
    whole = next(row for row in found if row["layers"] == max(LAYERS))
    exits = [row for row in found if row["early_exit"] is not None and row["early_exit"] <= LOSS]
    early = max(exits, key=lambda row: row["early_exit"], default=None)
    if early is None:
        return {}
    faster = early["images_per_second"] / whole["images_per_second"]
    return {"minus_whole": early["top1"] - whole["top1"], "times_as_fast": faster}


def main() -> None:
    options = seeded_options("any_depth", __doc__)
    jobs = [(arm, seed) for arm in ARMS for seed in range(options.seeds)]
    runs = run_arms("any_depth", trained, jobs, go_on=options.go_on, at_once=options.at_once)
    print(json.dumps(told(runs), indent=1))
    keep("any_depth", told(runs) | {"runs": runs})


if __name__ == "__main__":
    main()
