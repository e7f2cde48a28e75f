"""All depths of one Classifier, judged side by side: how good each is, and how quick here."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import torch

from resnetkit import inference
from resnetkit.classifier import Classifier
from resnetkit.config import Precision
from resnetkit.data.decode import BadImage
from resnetkit.data.sources import Source
from resnetkit.early_exit import EarlyExit
from resnetkit.engine import Engine
from resnetkit.errors import UserError
from resnetkit.exits import Calibration, choose_exits, temperature
from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.nets.summary import Summary, summarise
from resnetkit.ranks import Ranks


@dataclass(frozen=True)
class Depth:
    """One of a classifier's depths, or an early exit from one.

    Attributes:
        layers: of the network; of the one that answers first.
        parameters: of the network; of the whole.
        multiply_adds: for an image, in the mean.
        images_per_second: that it computed on this machine, decoding left out.
        result: how it was judged.
        early_exit: the loss of accuracy that was allowed; None where one network answers all.
        exited: part of the images that the first network answered.
    """

    layers: int
    parameters: int
    multiply_adds: float
    images_per_second: float
    result: Result | MultiLabelResult
    early_exit: float | None = None
    exited: float = 1.0

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        names = [f.name for f in fields(self) if f.name != "result"]
        return {name: getattr(self, name) for name in names} | self.result.to_dict()


def judge_depths(
    classifier: Classifier,
    source: Source,
    *,
    batch_size: int = inference.BATCH_SIZE,
    workers: int = 2,
    skip_bad: bool = True,
    advance: Callable[[int], None] = lambda _: None,
    ranks: Ranks | None = None,
    precision: Precision = "auto",
) -> tuple[list[Depth], list[BadImage]]:
    """Judge every depth on the same images, batch by batch one after the other.

    Args:
        classifier: one that was trained with `--any-depth`.
        source: labelled images.
        batch_size, workers, skip_bad, advance, ranks: as `inference.run` has them.
        precision: as `Classifier.engine` has it.

    Returns:
        The depths, the shallowest first, and the images that could not be read.

    Raises:
        UserError: it has one depth.
    """
    if not classifier.inner:
        raise UserError("it has one depth: only a network trained with --any-depth has several")
    engines = _engines(classifier, precision)
    _Turns(list(engines.values()))(_blank(classifier, batch_size))  # weights are packed
    whole = engines[classifier.net.layers]
    ways = {(e.layers, e.threshold): e for e in classifier.calibration.exits[::-1]}
    exits = [EarlyExit(way, engines[way.layers], whole) for way in [*ways.values()][::-1]]
    layers = [*engines, *(model.exit.layers for model in exits)]
    turns = _Turns([*engines.values(), *exits])
    found = inference.run(
        turns, source, classifier.transform, batch_size=batch_size, workers=workers,
        skip_bad=skip_bad, advance=advance, ranks=ranks,
    )  # fmt: skip
    inference.check_readable(found)
    results = [
        inference.judge_by_task(logits, found.labels, classifier.classes)
        for logits in np.split(found.outputs, len(layers), axis=1)
    ]
    rows = zip(layers, turns.models, turns.rates, results, strict=True)
    known = costs(classifier)
    return [_row(known, *row) for row in rows], found.skipped


def _row(
    known: dict[int, Summary],
    layers: int,
    model: inference.Model,
    rate: float,
    result: Result | MultiLabelResult,
) -> Depth:
    cost, whole = known[layers], known[max(known)]
    if not isinstance(model, EarlyExit):
        return Depth(layers, cost.parameters, cost.multiply_adds, rate, result)
    share = model.exited / max(1, model.images)
    adds = cost.multiply_adds + (1 - share) * whole.multiply_adds
    return Depth(layers, whole.parameters, adds, rate, result, model.exit.loss, share)


def calibrate(
    classifier: Classifier,
    source: Source,
    *,
    batch_size: int = inference.BATCH_SIZE,
    workers: int = 2,
    ranks: Ranks | None = None,
    precision: Precision = "auto",
) -> Calibration:
    """Every depth's temperature, and when to stop early, from images that none was trained on.

    Of images with several classes there is nothing to be learned.
    """
    if classifier.task == "multi-label" or not classifier.inner:
        return Calibration()
    turns = _Turns(list(_engines(classifier, precision).values()))
    found = inference.run(
        turns, source, classifier.transform, batch_size=batch_size, workers=workers,
        skip_bad=False, ranks=ranks,
    )  # fmt: skip
    outputs = np.split(found.outputs, len(classifier.depths), axis=1)
    logits = dict(zip(classifier.depths, outputs, strict=True))
    warmth = {layers: temperature(each, found.labels) for layers, each in logits.items()}
    calibrated = {layers: each / warmth[layers] for layers, each in logits.items()}
    adds = {layers: cost.multiply_adds for layers, cost in costs(classifier).items()}
    exits = choose_exits(calibrated, found.labels, adds)
    return Calibration({str(layers): t for layers, t in warmth.items()}, exits)


def costs(classifier: Classifier) -> dict[int, Summary]:
    """What every depth costs for an image, by its layers, the shallowest first."""
    size = classifier.transform.size
    return {n: summarise(classifier.at(n).spec, size, size) for n in classifier.depths}


def _engines(classifier: Classifier, precision: Precision) -> dict[int, Engine]:
    return {layers: classifier.at(layers).engine(precision) for layers in classifier.depths}


def _blank(classifier: Classifier, images: int) -> torch.Tensor:
    size, channels = classifier.transform.size, classifier.transform.channels
    return torch.zeros(images, size, size, channels, dtype=torch.uint8)


class _Turns:
    """Several models as one: their logits side by side, and how long each has taken."""

    def __init__(self, models: list[inference.Model]):
        self.models = models
        self.images, self.seconds = 0, [0.0 for _ in models]

    @property
    def rates(self) -> list[float]:
        """Images/s of every model; 0 where this rank has had none."""
        return [self.images / seconds if seconds else 0.0 for seconds in self.seconds]

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, size, size, channels) -> float32 (N, models * classes)."""
        found = [self._timed(i, partial(model, batch)) for i, model in enumerate(self.models)]
        self.images += len(batch)
        return torch.cat(found, 1)

    def finish(self, outputs: torch.Tensor) -> torch.Tensor:
        """What those say in the end that ask another network for some images."""
        own = list(outputs.chunk(len(self.models), 1))
        for i, model in enumerate(self.models):
            if isinstance(model, inference.LateModel):
                own[i] = self._timed(i, partial(model.finish, own[i]))
        return torch.cat(own, 1)

    def _timed(self, number: int, work: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What a model's work comes to, on the CPU; its time is counted as that model's."""
        began = time.perf_counter()
        said = work().float().cpu()  # waits for the device
        self.seconds[number] += time.perf_counter() - began
        return said
