"""A small network that learns from a trained deep one, against the same network alone.

    python benchmarks/distilling.py            # anew
    python benchmarks/distilling.py --go-on    # with the runs that distilling.json holds already

resnet56 -> resnet20 on Fashion-MNIST, the same steps for all: 30,000 images, 12 epochs, 10,000
others held out, three seeds, each with a teacher of its own; the test part is looked at once. The
teacher is the whole of a file of many depths: in so few steps a resnet56 trained alone is hardly
better than a resnet20 (any_depth.json). Teachers stay in runs/distilling, where --go-on looks for
them. Writes benchmarks/results/distilling.json.
"""

import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import resnetkit as rk
from any_depth import COMMON, top1
from arms import Runs, run_arms, seeded_options
from resnetkit.machine import choose_device
from resnetkit.training.observer import Observer
from resnetkit.training.session import RunResult
from turns import keep

TEACHERS = Path("runs/distilling")
TEACHER, ALONE = "resnet56 of many depths", "resnet20"
WAYS: dict[str, dict[str, Any]] = {
    TEACHER: {"model": "resnet56", "any_depth": True},
    ALONE: {},
    "taught, half": {"teacher_weight": 0.5},
    "taught, nine tenths": {"teacher_weight": 0.9},
    "taught alone, temperature 1": {"teacher_weight": 1.0, "teacher_temperature": 1.0},
    "taught, half, and features": {"teacher_weight": 0.5, "teacher_features": 20.0},
}


def trained(way: str, seed: int) -> dict:
    """How a run went; teachers are kept where they are looked for."""
    teacher = TEACHERS / f"seed-{seed}"
    settings: dict[str, Any] = COMMON | {"model": ALONE} | WAYS[way]
    if way not in (TEACHER, ALONE):
        settings |= {"teacher": (str(teacher),)}
    with tempfile.TemporaryDirectory() as place:
        out = teacher if way == TEACHER else Path(place) / "run"
        shutil.rmtree(out, ignore_errors=True)
        run = rk.train("fashion-mnist", out=str(out), seed=seed, threads=1, workers=1,
                       observer=Observer(), **settings)  # fmt: skip
        assert isinstance(run, RunResult)
        test = top1(rk.load(out).to(choose_device()))
    return {"seconds": run.seconds, "val_top1": run.val_top1, "test_top1": test}


def told(runs: Runs) -> dict[str, dict[str, float]]:
    """Every way's mean over the seeds, and what it gained over the network alone."""
    alone = statistics.mean(row["test_top1"] for row in runs[ALONE])
    return {
        way: {
            "val_top1": statistics.mean(row["val_top1"] for row in rows),
            "test_top1": statistics.mean(row["test_top1"] for row in rows),
            "gained": statistics.mean(row["test_top1"] for row in rows) - alone,
        }
        for way, rows in runs.items()
    }


def main() -> None:
    options = seeded_options("distilling", __doc__)
    seeds, more = range(options.seeds), {"at_once": options.at_once}
    there = [seed for seed in seeds if options.go_on and (TEACHERS / f"seed-{seed}").exists()]
    teachers = [(TEACHER, seed) for seed in seeds if seed not in there]
    run_arms("distilling", trained, teachers, go_on=options.go_on, again=teachers, **more)
    others = [(way, seed) for seed in seeds for way in WAYS if way != TEACHER]
    runs = run_arms("distilling", trained, others, go_on=True, **more)
    print(json.dumps(told(runs), indent=1))
    keep("distilling", {"ways": told(runs), "runs": runs})


if __name__ == "__main__":
    main()
