"""Ways to train one file of many depths, compared on the validation part.

    python benchmarks/any_depth_ways.py            # anew
    python benchmarks/any_depth_ways.py --go-on    # with the runs that any_depth_ways.json holds

resnet32 for 6 epochs of 20,000 images, 10,000 others held out, one seed, the test part not looked
at. Ways differ in how many networks a step trains, in what those inside learn from, and in what
their losses weigh; two train the whole alone, with and without stochastic depth, and cut it
afterwards. Beside them networks of the same depths alone. Writes
benchmarks/results/any_depth_ways.json.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch import Tensor

import resnetkit as rk
from any_depth import COMMON, cut
from arms import run_ways
from resnetkit.classifier import Classifier
from resnetkit.data.augment import step_seed
from resnetkit.training import trainer
from resnetkit.training.depths import inner_loss
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


def weighing(times: float) -> Callable[..., Tensor]:
    """The loss of a network inside, so many times."""
    return lambda *arguments: times * inner_loss(*arguments)


ANY: dict[str, Any] = {"any_depth": True}
WAYS: dict[str, tuple[dict, dict[str, Callable]]] = {
    "the smallest and another, from labels": (ANY, {"inner_at": evenly}),
    "the smallest and another, taught": (ANY | {"taught": 1.0}, {"inner_at": evenly}),
    "the smallest and another, by 1 / layers": (ANY, {}),
    "the same, inside weighs half": (ANY, {"inner_loss": weighing(0.5)}),
    "the same, inside weighs twice": (ANY, {"inner_loss": weighing(2.0)}),
    "one inside, from labels": (ANY, {"inner_at": one}),
    "one inside, taught": (ANY | {"taught": 1.0}, {"inner_at": one}),
    "all of them, from labels": (ANY, {"inner_at": every_one}),
    "the whole alone, then cut": ({}, {}),
    "the same with stochastic depth": ({"drop_path": 0.5}, {}),
    **{f"resnet{n} alone": ({"model": f"resnet{n}"}, {}) for n in LAYERS},
}
"""A way's name -> settings of the run, and what stands in for functions of the trainer."""


def trained(way: str, seed: int) -> dict:
    """How a run went, and what each depth is worth on the validation part."""
    own, changed = WAYS[way]
    assert changed.keys() <= vars(trainer).keys()
    settings: dict[str, Any] = COMMON | ABOUT | own
    with tempfile.TemporaryDirectory() as place, patch.dict(vars(trainer), changed):
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
