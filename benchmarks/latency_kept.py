"""Whether the depth that `--latency` chooses answers within the time that was asked for.

    python benchmarks/latency_kept.py

A network of five depths; ten times are asked for, from the quickest depth's to the slowest's. The
depths are measured once, as `predict --latency` does; then the chosen one answers one picture 300
times. A time that no depth is said to keep counts as not kept. Writes
benchmarks/results/latency_kept.json.
"""

import tempfile
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch

import resnetkit as rk
from resnetkit.benching.clock import timed
from resnetkit.benching.results import Latency
from resnetkit.classifier import Classifier
from resnetkit.latency import MARGIN, latencies
from resnetkit.training.observer import Observer
from turns import keep

WARM, RUNS, PAUSE = 20, 300, 3
"""Answers that do not count, those that do, and the seconds before them."""


def several_depths(place: Path) -> Classifier:
    """Hardly trained: how long an answer takes does not depend on the weights."""
    rk.train("fashion-mnist", out=str(place / "run"), model="resnet56", any_depth=True, limit=320,
             epochs=1, observer=Observer())  # fmt: skip
    return rk.load(place / "run")


def asked_times(clf: Classifier) -> list[float]:
    """Ten times in ms: just enough for every depth, and on the way to the next one's."""
    just = [each.p95 / MARGIN for each in latencies(clf).values()]
    between = [(a + b) / 2 for a, b in pairwise(just)]
    return sorted(1.001 * ms for ms in (*just, *between, 2 * just[-1]))


def answered(clf: Classifier, ms: float, image: torch.Tensor) -> dict:
    """The depth chosen for so many milliseconds, and how long it takes a little later."""
    try:
        chosen = rk.deepest_within(clf, f"{ms:.3f}ms")
    except rk.UserError as error:
        return {"refused": str(error)}
    time.sleep(PAUSE)
    call = partial(chosen.engine(), image)
    timed(call, clf.device, WARM)
    found = Latency.of(timed(call, clf.device, RUNS))
    assert found
    return {"layers": chosen.net.layers, "p50": found.p50, "p95": found.p95}


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        clf = several_depths(Path(place))
    image = torch.zeros(1, 28, 28, 1, dtype=torch.uint8)
    rows = []
    for ms in asked_times(clf):
        rows.append({"asked": ms} | answered(clf, ms, image))
        print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    kept = sum(row["p95"] <= row["asked"] for row in rows if "p95" in row)
    print(f"{kept} of {len(rows)} within the time asked for")
    keep("latency_kept", {"kept": kept, "of": len(rows), "rows": rows})


if __name__ == "__main__":
    main()
