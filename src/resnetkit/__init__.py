"""resnetkit: residual networks, built, trained, judged and put to work.

import resnetkit as rk

net = rk.create("resnet18", classes=10, channels=1)
run = rk.train("photos/", model="resnet18", epochs=5)
clf = rk.load(run.run)
clf.predict(["photo.jpg"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnetkit.api import evaluate, evaluate_depths, find_pictures, load, predict, train
    from resnetkit.benching.run import bench
    from resnetkit.checking import check
    from resnetkit.classifier import Classifier
    from resnetkit.combining import average, combine
    from resnetkit.comparing import compare
    from resnetkit.converting import convert
    from resnetkit.errors import UserError
    from resnetkit.finding.find import find
    from resnetkit.lab.run import run_experiment
    from resnetkit.latency import deepest_within
    from resnetkit.nets.create import create
    from resnetkit.nets.depth import deepen
    from resnetkit.nets.spec import MLPSpec, ResNetSpec
    from resnetkit.nets.summary import summarise
    from resnetkit.nets.zoo import models
    from resnetkit.published import published
    from resnetkit.suspects import find_label_errors
    from resnetkit.training.observer import Observer
    from resnetkit.training.recipe import Recipe
    from resnetkit.training.session import Session
    from resnetkit.weights import load_weights, state_dict

_HOMES = {
    "Classifier": "classifier",
    "MLPSpec": "nets.spec",
    "Observer": "training.observer",
    "Recipe": "training.recipe",
    "ResNetSpec": "nets.spec",
    "Session": "training.session",
    "UserError": "errors",
    "average": "combining",
    "bench": "benching.run",
    "check": "checking",
    "combine": "combining",
    "compare": "comparing",
    "convert": "converting",
    "create": "nets.create",
    "deepen": "nets.depth",
    "deepest_within": "latency",
    "evaluate": "api",
    "evaluate_depths": "api",
    "find": "finding.find",
    "find_label_errors": "suspects",
    "find_pictures": "api",
    "load": "api",
    "load_weights": "weights",
    "models": "nets.zoo",
    "predict": "api",
    "published": "published",
    "run_experiment": "lab.run",
    "state_dict": "weights",
    "summarise": "nets.summary",
    "train": "api",
}

__all__ = [
    "Classifier", "MLPSpec", "Observer", "Recipe", "ResNetSpec", "Session", "UserError", "average",
    "bench", "check", "combine", "compare", "convert", "create", "deepen", "deepest_within",
    "evaluate", "evaluate_depths", "find", "find_label_errors", "find_pictures", "load",
    "load_weights", "models", "predict", "published", "run_experiment", "state_dict", "summarise",
    "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Fetch a public name from its home when first used: torch is not imported before that."""
    if name not in _HOMES:
        raise AttributeError(f"module 'resnetkit' has no attribute {name!r}")
    return getattr(import_module(f"resnetkit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
