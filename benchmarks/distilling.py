"""A small network that learns from a trained deep one, against the same network alone.

    python benchmarks/distilling.py            # anew
    python benchmarks/distilling.py --go-on    # with the runs that distilling.json holds already

resnet56 -> resnet20 on Fashion-MNIST, the same steps for all students: 30,000 images, 12 epochs,
10,000 others held out, three seeds; the test part is looked at once. The teacher learned from
seed 0's 30,000 images, for 40 epochs and without label smoothing: in 12 a resnet56 is hardly better
than a resnet20 (any_depth.json), and has nothing to teach. Of the other seeds' held-out images it
has seen half: the way is chosen by seed 0's. It stays in runs/distilling/teacher, where --go-on
goes on with it. Writes benchmarks/results/distilling.json.
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

TEACHER_AT = Path("runs/distilling/teacher")
TEACHER, ALONE = "resnet56, the teacher", "resnet20"
WAYS: dict[str, dict[str, Any]] = {
    ALONE: {},
    "taught, nine tenths": {"teacher_weight": 0.9},
    "taught alone, temperature 1": {"teacher_weight": 1.0, "teacher_temperature": 1.0},
    "taught, nine tenths, and features": {"teacher_weight": 0.9, "teacher_features": 20.0},
}


def trained(way: str, seed: int) -> dict:
    """How a student's run went, or the teacher's, which is kept."""
    if way == TEACHER:
        begin = COMMON | {"model": "resnet56", "epochs": 40, "label_smoothing": 0.0, "seed": seed}
        return _judged(TEACHER_AT, {"resume": True} if TEACHER_AT.exists() else begin)
    settings: dict[str, Any] = COMMON | {"model": "resnet20", "seed": seed} | WAYS[way]
    if way != ALONE:
        settings |= {"teacher": (str(TEACHER_AT),)}
    with tempfile.TemporaryDirectory() as place:
        return _judged(Path(place) / "run", settings)


def _judged(out: Path, settings: dict[str, Any]) -> dict:
    data = () if "resume" in settings else ("fashion-mnist",)
    run = rk.train(*data, out=str(out), threads=1, workers=1, observer=Observer(), **settings)
    assert isinstance(run, RunResult)
    test = top1(rk.load(out).to(choose_device()))
    return {"seconds": run.seconds, "val_top1": run.val_top1, "test_top1": test}


def told(runs: Runs) -> dict[str, dict[str, float]]:
    """Every way on seed 0's held-out images, its mean on the test part, and what it gained there
    over the network alone.
    """
    alone = statistics.mean(row["test_top1"] for row in runs[ALONE])
    return {
        way: {
            "val_top1": rows[0]["val_top1"],
            "test_top1": statistics.mean(row["test_top1"] for row in rows),
            "gained": statistics.mean(row["test_top1"] for row in rows) - alone,
        }
        for way, rows in runs.items()
    }


def main() -> None:
    options = seeded_options("distilling", __doc__)
    if not options.go_on:
        shutil.rmtree(TEACHER_AT, ignore_errors=True)
    more: dict[str, Any] = {"at_once": options.at_once}
    again = [] if (TEACHER_AT / "classifier").exists() else [(TEACHER, 0)]
    run_arms("distilling", trained, [(TEACHER, 0)], go_on=options.go_on, again=again, **more)
    jobs = [(way, seed) for seed in range(options.seeds) for way in WAYS]
    runs = run_arms("distilling", trained, jobs, go_on=True, **more)
    print(json.dumps(told(runs), indent=1))
    keep("distilling", {"ways": told(runs), "runs": runs})


if __name__ == "__main__":
    main()
