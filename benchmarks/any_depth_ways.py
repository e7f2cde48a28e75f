"""Ways to train one file of many depths, compared on the validation part.

    python benchmarks/any_depth_ways.py            # anew
    python benchmarks/any_depth_ways.py --go-on    # with the runs that any_depth_ways.json holds

resnet32 for 6 epochs of 20,000 images, 10,000 others held out, one seed, the test part not looked
at. Ways differ in how many networks a step trains and in what those inside learn from; two train
the whole alone, with and without stochastic depth, and cut it afterwards. Beside them networks of
the same depths alone. Writes benchmarks/results/any_depth_ways.json.
"""

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import resnetkit as rk
from any_depth import COMMON, cut
from arms import run_ways
from resnetkit.classifier import Classifier
from resnetkit.data.augment import step_seed
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Recipe
from resnetkit.training.session import RunResult

LAYERS = (8, 14, 20, 32)
ABOUT = {"model": f"resnet{LAYERS[-1]}", "epochs": 6, "limit": 20_000}
INSIDE = LAYERS[:-1]


def one(recipe: Recipe, step: int) -> tuple[int, ...]:
    return (INSIDE[step_seed(recipe.seed, step, 0) % len(INSIDE)],)


def evenly(recipe: Recipe, step: int) -> tuple[int, ...]:
    return (INSIDE[0], INSIDE[1:][step_seed(recipe.seed, step, 0) % len(INSIDE[1:])])


def every_one(_recipe: Recipe, _step: int) -> tuple[int, ...]:
    return INSIDE


ANY: dict[str, Any] = {"any_depth": True}
WAYS: dict[str, tuple[dict, Callable | None]] = {
    "the smallest and another, from labels": (ANY, evenly),
    "the smallest and another, taught": (ANY | {"taught": 1.0}, evenly),
    "the smallest and another, by 1 / layers": (ANY, None),
    "one inside, from labels": (ANY, one),
    "one inside, taught": (ANY | {"taught": 1.0}, one),
    "all of them, from labels": (ANY, every_one),
    "the whole alone, then cut": ({}, None),
    "the same with stochastic depth": ({"drop_path": 0.5}, None),
    **{f"resnet{n} alone": ({"model": f"resnet{n}"}, None) for n in LAYERS},
}
"""A way's name -> settings of the run, and what says which networks inside a step trains."""


def trained(way: str, seed: int) -> dict:
    """How a run went, and what each depth is worth on the validation part."""
    own, inner_at = WAYS[way]
    settings: dict[str, Any] = COMMON | ABOUT | own
    changed: Any = patch("resnetkit.training.trainer.inner_at", inner_at)
    with tempfile.TemporaryDirectory() as place, changed if inner_at else nullcontext():
        run = rk.train("fashion-mnist", out=str(Path(place) / "run"), seed=seed, threads=1,
                       workers=1, observer=Observer(), **settings)  # fmt: skip
        assert isinstance(run, RunResult)
        clf = rk.load(Path(place) / "run")
    depths = {}
    if clf.inner:
        depths = {n: top1(clf.at(n)) for n in LAYERS}
    elif "alone, then cut" in way or "stochastic" in way:
        depths = {n: top1(cut(clf, n)) for n in LAYERS}
    return {"seconds": run.seconds, "val_top1": run.val_top1, "depths": depths}


def top1(clf: Classifier) -> float:
    """On the validation part."""
    return rk.evaluate(clf, "fashion-mnist", part="val", workers=1).to_dict()["top1"]


if __name__ == "__main__":
    run_ways("any_depth_ways", __doc__, trained, list(WAYS))
