"""How deep a network may be to answer in time: every depth's latency, measured once a machine and
tried again before a depth is chosen, for a machine is not always as quick.
"""

import hashlib
import json
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import torch

from resnetkit.benching.clock import timed
from resnetkit.benching.results import Latency
from resnetkit.classifier import Classifier
from resnetkit.config import Precision, to_plain
from resnetkit.data.fashion_mnist import cache_folder
from resnetkit.engine import Engine
from resnetkit.errors import UserError
from resnetkit.files import write_whole
from resnetkit.machine import choose_precision, environment
from resnetkit.ranks import require_one_process
from resnetkit.training.observer import Observer

ROUNDS = 10
"""In which all depths take turns; the slowest counts."""

WARM, LEAST_RUNS, MOST_RUNS, SECONDS = 5, 30, 200, 0.5
"""Runs of a depth that do not count; and as many others as take about so long."""

MARGIN = 0.8
"""Of the time that is asked for: what a depth may have taken in the slowest round."""

MARGIN_NOW = 0.9
"""Of the time that is asked for: what it may take when it is tried again."""

BUSY = 3
"""Times as long as now that a depth took where it was measured: what else was at work then."""

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def parse_latency(text: str) -> float:
    """Seconds of a time such as 5ms; raises UserError."""
    for unit, factor in _UNITS.items():
        number = text.strip().removesuffix(unit)
        if number != text.strip() and number.replace(".", "", 1).isdecimal() and float(number) > 0:
            return float(number) * factor
    raise UserError(f"--latency must be a time such as 5ms, not {text!r}")


def deepest_within(
    classifier: Classifier,
    latency: str,
    *,
    precision: Precision = "auto",
    observer: Observer | None = None,
) -> Classifier:
    """The deepest network of a classifier that answers in time.

    What counts is one picture through the network, decoded already: 95% of the runs.

    Args:
        classifier: trained with `--any-depth`, on its device.
        latency: such as 5ms.
        precision: as `Classifier.engine` has it.
        observer: is told what was chosen.

    Raises:
        UserError: it is no time, or the shallowest network takes longer.
    """
    asked, observer = 1000 * parse_latency(latency), observer or Observer()
    require_one_process("--latency measures")
    took = _p95s(latencies(classifier, precision, observer))
    fits = [layers for layers in took if took[layers] <= MARGIN * asked]
    first = max(fits, default=min(took))
    if BUSY * _now(classifier, first, precision) < took[first]:
        observer.say("this machine is much quicker than when it was measured: it is measured anew")
        took = _p95s(latencies(classifier, precision, observer, anew=True))
    for layers in sorted(took, reverse=True):
        if took[layers] > MARGIN * asked:
            continue
        took[layers] = _now(classifier, layers, precision)
        if took[layers] <= MARGIN_NOW * asked:
            observer.say(
                f"--latency {latency}: {layers} layers, {took[layers]:.2f} ms on this machine"
            )
            return classifier.at(layers)
    layers = min(took, key=lambda layers: took[layers])
    raise UserError(
        f"no depth answers within {latency}: the quickest, of {layers} layers, takes "
        f"{took[layers]:.2f} ms on this machine, and part of the time is kept in reserve; "
        f"what was measured is kept in {_file(classifier, precision)}"
    )


def _now(classifier: Classifier, layers: int, precision: Precision) -> float:
    """Milliseconds that so many layers take at this moment."""
    return _round(classifier, classifier.at(layers).engine(precision)).p95


def _p95s(found: dict[int, Latency]) -> dict[int, float]:
    return {layers: latency.p95 for layers, latency in found.items()}


def latencies(
    classifier: Classifier,
    precision: Precision = "auto",
    observer: Observer | None = None,
    *,
    anew: bool = False,
) -> dict[int, Latency]:
    """Milliseconds of one picture at every depth, by its layers: of the slowest round.

    They are kept in the user's cache folder, for this hardware, these libraries and threads;
    `anew` measures whether they are there or not.
    """
    file = _file(classifier, precision)
    found = None if anew else _kept(file, classifier)
    if found is None:
        found = _measured(classifier, precision, observer or Observer())
        kept = {str(layers): vars(each) for layers, each in found.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        about = _about(classifier, precision)
        write_whole(file, json.dumps(about | {"latencies": kept}, indent=1) + "\n")
    return found


def _file(classifier: Classifier, precision: Precision) -> Path:
    """Where it is kept what was measured."""
    about = json.dumps(_about(classifier, precision), sort_keys=True)
    name = hashlib.sha256(about.encode()).hexdigest()[:16]
    return cache_folder() / "latency" / f"{name}.json"


def _about(classifier: Classifier, precision: Precision) -> dict[str, Any]:
    """All that it depends on how long an answer takes, and how that is measured."""
    return {
        "specs": [classifier.at(layers).spec.to_dict() for layers in classifier.depths],
        "transform": to_plain(classifier.transform),
        "precision": choose_precision(precision, classifier.device),
        "rounds": ROUNDS,
        "machine": environment(classifier.device),
    }


def _kept(file: Path, classifier: Classifier) -> dict[int, Latency] | None:
    """What was measured before; None where it was not, or the file is damaged."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))["latencies"]
        return {layers: Latency(**kept[str(layers)]) for layers in classifier.depths}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _measured(
    classifier: Classifier, precision: Precision, observer: Observer
) -> dict[int, Latency]:
    engines = {layers: classifier.at(layers).engine(precision) for layers in classifier.depths}
    rounds = []
    with observer.counting("how quickly each depth answers", ROUNDS) as count:
        for _ in range(ROUNDS):
            found = {layers: _round(classifier, engine) for layers, engine in engines.items()}
            rounds.append(found)
            count(1)
    return {
        layers: max((each[layers] for each in rounds), key=lambda latency: latency.p95)
        for layers in engines
    }


def _round(classifier: Classifier, engine: Engine) -> Latency:
    size, channels = classifier.transform.size, classifier.transform.channels
    image = torch.zeros(1, size, size, channels, dtype=torch.uint8, device=classifier.device)
    call = partial(engine, image)
    about = statistics.median(timed(call, classifier.device, WARM))
    runs = min(max(LEAST_RUNS, round(SECONDS / about)), MOST_RUNS)
    latency = Latency.of(timed(call, classifier.device, runs))
    assert latency
    return latency
