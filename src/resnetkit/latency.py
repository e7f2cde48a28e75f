"""How deep a network may be to answer in time: every depth's latency, measured once a machine and
tried again before a depth is chosen, for a machine is not always as quick.
"""

import hashlib
import json
from functools import partial
from pathlib import Path

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
from resnetkit.training.observer import Observer

RUNS, WARM = 200, 20

ROUNDS = 10
"""In which all depths take turns; the slowest counts."""

MARGIN = 0.8
"""Of the time that is asked for: what a depth may have taken in the slowest round."""

MARGIN_NOW = 0.9
"""Of the time that is asked for: what it may take when it is tried again."""

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
    seconds, observer = parse_latency(latency), observer or Observer()
    found = latencies(classifier, precision)
    for layers in sorted(found, reverse=True):
        if found[layers].p95 > 1000 * MARGIN * seconds:
            continue
        network = classifier.at(layers)
        now = _round(network, network.engine(precision))
        if now.p95 <= 1000 * MARGIN_NOW * seconds:
            observer.say(f"--latency {latency}: {layers} layers, {now.p95:.2f} ms on this machine")
            return network
    layers, least = min(found.items(), key=lambda item: item[1].p95)
    raise UserError(
        f"no depth answers within {latency}: the quickest, of {layers} layers, takes "
        f"{least.p95:.2f} ms on this machine, and a fifth is kept in reserve"
    )


def latencies(classifier: Classifier, precision: Precision = "auto") -> dict[int, Latency]:
    """Milliseconds of one picture at every depth, by its layers.

    They are kept in the user's cache folder, for this hardware, these libraries and threads.
    """
    precision = choose_precision(precision, classifier.device)
    about = {
        "specs": [classifier.at(layers).spec.to_dict() for layers in classifier.depths],
        "transform": to_plain(classifier.transform),
        "precision": precision,
        "rounds": ROUNDS,
        "machine": environment(classifier.device),
    }
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    file = cache_folder() / "latency" / f"{name}.json"
    found = _kept(file, classifier)
    if found is None:
        found = _measured(classifier, precision)
        kept = {str(layers): vars(each) for layers, each in found.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(about | {"latencies": kept}, indent=1) + "\n")
    return found


def _kept(file: Path, classifier: Classifier) -> dict[int, Latency] | None:
    """What was measured before; None where it was not, or the file is damaged."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))["latencies"]
        return {layers: Latency(**kept[str(layers)]) for layers in classifier.depths}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _measured(classifier: Classifier, precision: Precision) -> dict[int, Latency]:
    engines = {layers: classifier.at(layers).engine(precision) for layers in classifier.depths}
    rounds = [
        {layers: _round(classifier, engine) for layers, engine in engines.items()}
        for _ in range(ROUNDS)
    ]
    return {
        layers: max((each[layers] for each in rounds), key=lambda latency: latency.p95)
        for layers in engines
    }


def _round(classifier: Classifier, engine: Engine) -> Latency:
    size, channels = classifier.transform.size, classifier.transform.channels
    image = torch.zeros(1, size, size, channels, dtype=torch.uint8, device=classifier.device)
    call = partial(engine, image)
    timed(call, classifier.device, WARM)
    latency = Latency.of(timed(call, classifier.device, RUNS))
    assert latency
    return latency
