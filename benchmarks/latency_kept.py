"""Whether the depth that `--latency` chooses answers within the time that was asked for.

    python benchmarks/latency_kept.py

A network of five depths; ten times are asked for, from the quickest depth's to the slowest's. The
depths are measured once, as `predict --latency` does; then the chosen one answers one picture 300
times. Writes benchmarks/results/latency_kept.json.
"""

import tempfile
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

WARM, RUNS = 20, 300


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


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        clf = several_depths(Path(place))
    image = torch.zeros(1, 28, 28, 1, dtype=torch.uint8)
    rows = []
    for ms in asked_times(clf):
        chosen = rk.deepest_within(clf, f"{ms:.3f}ms")
        engine = chosen.engine()
        timed(lambda engine=engine: engine(image), clf.device, WARM)
        found = Latency.of(timed(lambda engine=engine: engine(image), clf.device, RUNS))
        assert found
        rows.append({"asked": ms, "layers": chosen.net.layers, "p50": found.p50, "p95": found.p95})
        print(f"{ms:7.2f} ms: {chosen.net.layers:2} layers, p95 {found.p95:.2f} ms", flush=True)
    kept = sum(row["p95"] <= row["asked"] for row in rows)
    print(f"{kept} of {len(rows)} within the time asked for")
    keep("latency_kept", {"kept": kept, "of": len(rows), "rows": rows})


if __name__ == "__main__":
    main()
