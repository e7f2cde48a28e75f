"""Every experiment from beginning to end, as small as can be: data, verdict, figures, pages."""

from dataclasses import replace
from importlib import import_module

import pytest

import resnetkit as rk
from resnetkit.lab import run as laboratory

TINY = {
    "identity": {"steps": 4},
    "propagation": {"layers": 8, "images": 8},
    "shortcuts": {"layers": 8, "images": 40, "epochs": 1},
    "orders": {"depths": [8], "images": 40, "epochs": 1},
    "depth-speed": {"models": ["resnet18", "resnet34"], "images": 20, "epochs": 1},
    "inside-out": {"images": 40, "epochs": 2, "judged": 40},
    "bad-g": {"images": 40, "epochs": 1, "judged": 40},
    "schedules": {"rates": [0.1], "images": 40, "epochs": 1},
    "batch-size": {"batches": [16, 64], "images": 64, "epochs": 1},
    "resolution": {"sides": [14, 28], "images": 40, "epochs": 1},
    "generalisation": {"many": 40, "few": 20, "epochs": 1, "long": 2},
    "labels": {"images": 400, "epochs": 1},
    "fully-connected": {"layers": [4, 6], "images": 40, "epochs": 1},
    "landscape": {"layers": 8, "images": 40, "epochs": 1, "side": 3, "judged": 32},
}
"""`thousand-layers` is left out: a single step takes as long as all of these."""


@pytest.mark.parametrize("name", TINY)
def test_it_runs_to_its_verdict(name, tmp_path, monkeypatch):
    one = laboratory.experiment_of(name)
    home = import_module(f"resnetkit.lab.experiments.{name.replace('-', '_')}")
    sizes = one.small | TINY[name] | {"seeds": 2}
    monkeypatch.setattr("resnetkit.lab.bench.JUDGED_BY", 0.002)
    monkeypatch.setattr(home, "EXPERIMENT", replace(one, small=sizes))
    found = rk.run_experiment(name, out=tmp_path, threads=1, workers=1)
    assert found.verdict.outcome in ("held", "did not hold", "undecided")
    assert (tmp_path / name / "figure.zh.svg").stat().st_size > 2000
    assert found.verdict.why.en in (tmp_path / name / "README.md").read_text(encoding="utf-8")
