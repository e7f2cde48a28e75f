"""All depths of one Classifier, judged side by side: how good each is, and how quick here."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from resnetkit import inference
from resnetkit.classifier import Classifier
from resnetkit.config import Precision
from resnetkit.data.decode import BadImage
from resnetkit.data.sources import Source
from resnetkit.engine import Engine
from resnetkit.errors import UserError
from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.nets.summary import summarise
from resnetkit.ranks import Ranks


@dataclass(frozen=True)
class Depth:
    """One of a classifier's depths.

    Attributes:
        layers: of the network.
        parameters, multiply_adds: of the network, for one image.
        images_per_second: that it computed on this machine, decoding left out.
        result: how it was judged.
    """

    layers: int
    parameters: int
    multiply_adds: int
    images_per_second: float
    result: Result | MultiLabelResult

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        named = ("layers", "parameters", "multiply_adds", "images_per_second")
        return {name: getattr(self, name) for name in named} | self.result.to_dict()


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
    size, channels = classifier.transform.size, classifier.transform.channels
    turns = _Turns([classifier.at(layers).engine(precision) for layers in classifier.depths])
    turns(torch.zeros(batch_size, size, size, channels, dtype=torch.uint8))  # weights are packed
    turns.begin()
    found = inference.run(
        turns, source, classifier.transform, batch_size=batch_size, workers=workers,
        skip_bad=skip_bad, advance=advance, ranks=ranks,
    )  # fmt: skip
    inference.check_readable(found)
    width = len(classifier.classes)
    depths = []
    for i, layers in enumerate(classifier.depths):
        logits = found.outputs[:, i * width : (i + 1) * width]
        result = inference.judge_by_task(logits, found.labels, classifier.classes)
        cost, rate = summarise(classifier.at(layers).spec, size, size), turns.rate(i)
        depths.append(Depth(layers, cost.parameters, cost.multiply_adds, rate, result))
    return depths, found.skipped


class _Turns:
    """Several engines as one model: their logits side by side, and how long each has taken."""

    def __init__(self, engines: list[Engine]):
        self.engines = engines
        self.begin()

    def begin(self) -> None:
        """Count from here on."""
        self.images, self.seconds = 0, [0.0 for _ in self.engines]

    def rate(self, place: int) -> float:
        """Images/s of an engine."""
        return self.images / self.seconds[place]

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, size, size, channels) -> float32 (N, engines * classes)."""
        found = []
        for i, engine in enumerate(self.engines):
            began = time.perf_counter()
            found.append(engine(batch).float().cpu())  # waits for the device
            self.seconds[i] += time.perf_counter() - began
        self.images += len(batch)
        return torch.cat(found, 1)
