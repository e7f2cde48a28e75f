"""Evaluate and predict, over any callable: uint8 NHWC batch -> logits (or features)."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from resnetkit.data.decode import BadImage
from resnetkit.data.loader import Loader
from resnetkit.data.sources import Source, Subset
from resnetkit.data.strata import Task, task_of
from resnetkit.data.transform import Transform
from resnetkit.errors import UserError
from resnetkit.metrics import Result, judge, log_softmax
from resnetkit.multilabel import LIKELY, MultiLabelResult, judge_multi_label, sigmoid
from resnetkit.ranks import Ranks

Model = Callable[[torch.Tensor], torch.Tensor]
"""uint8 (N, size, size, channels) -> (N, outputs)."""


@runtime_checkable
class LateModel(Protocol):
    """A model that knows some of its answers only when it has seen all images."""

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """As a `Model`; the answers may change yet."""
        ...

    def finish(self, outputs: torch.Tensor) -> torch.Tensor:
        """The answers to all calls, one below the other (N, outputs), as they are in the end."""
        ...


BATCH_SIZE = 128
"""Images at a time, where nothing else is said."""

TOP = 3
"""So many likeliest classes are named, where nothing else is said."""


@dataclass(frozen=True)
class Prediction:
    """A picture's likeliest classes with their probabilities; or why it could not be read.

    Where a picture may have several classes, every class has a probability of its own, and
    `labels` names all that are above 0.5, the likeliest first; otherwise it is None.
    """

    path: str
    top: tuple[tuple[str, float], ...] = ()
    error: str | None = None
    labels: tuple[str, ...] | None = None

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        top = [{"class": name, "probability": share} for name, share in self.top]
        plain = {"path": self.path, "top": top}
        return plain if self.labels is None else plain | {"labels": list(self.labels)}


@dataclass(frozen=True)
class Outputs:
    """What a model gave for the readable images of a source: a row an image, in its order."""

    indices: np.ndarray
    labels: np.ndarray
    outputs: np.ndarray
    skipped: list[BadImage] = field(default_factory=list)


def run(
    model: Model,
    source: Source,
    transform: Transform,
    *,
    batch_size: int = BATCH_SIZE,
    workers: int = 2,
    skip_bad: bool = True,
    advance: Callable[[int], None] = lambda _: None,
    ranks: Ranks | None = None,
) -> Outputs:
    """Run a model over every image of a source once, without gradients.

    Several ranks share the images; each gets the outputs of all of them.

    Args:
        model: the callable; a `LateModel` has the last word.
        source: the images.
        transform: the geometry that the model expects.
        batch_size: images at a time.
        workers: threads that decode.
        skip_bad: list what cannot be read in `skipped`; otherwise the first raises BadImage.
        advance: called with the number of images of every batch done.
        ranks: who shares the images.
    """
    if ranks and ranks.count > 1:
        shared = Subset(source, np.arange(*ranks.share(len(source))))
        found = run(
            model, shared, transform, batch_size=batch_size, workers=workers, skip_bad=skip_bad,
            advance=advance,
        )  # fmt: skip
        return _of_all_ranks(found, ranks)
    loader = Loader(source, transform, batch_size, workers=workers, skip_bad=skip_bad)
    batches = []
    with torch.inference_mode():
        for batch, (first, end) in zip(loader.epoch(), pairwise(loader.bounds), strict=True):
            if len(batch.labels):
                out = model(batch.images).float().cpu().numpy()
                batches.append((batch.indices.numpy(), batch.labels.numpy(), out))
            advance(end - first)
    columns = [np.concatenate(column) for column in zip(*batches, strict=True)]
    if not columns:
        columns = [np.empty(0, np.int64), source.labels[:0], np.empty((0, 0), np.float32)]
    elif isinstance(model, LateModel):
        columns[-1] = model.finish(torch.from_numpy(columns[-1])).numpy()
    return Outputs(*columns, sorted(loader.skipped, key=lambda bad: bad.path))


def evaluate(
    model: Model,
    source: Source,
    transform: Transform,
    classes: tuple[str, ...],
    *,
    batch_size: int = BATCH_SIZE,
    workers: int = 2,
    skip_bad: bool = True,
    advance: Callable[[int], None] = lambda _: None,
    ranks: Ranks | None = None,
) -> tuple[Result | MultiLabelResult, list[BadImage]]:
    """Judge a model on labelled images: every readable one counts exactly once.

    Args:
        model, source, transform, batch_size, workers, skip_bad, advance, ranks: as of `run`.
        classes: the classes' names.

    Returns:
        The result, and the images that could not be read.
    """
    found = run(
        model, source, transform, batch_size=batch_size, workers=workers, skip_bad=skip_bad,
        advance=advance, ranks=ranks,
    )  # fmt: skip
    check_readable(found)
    return judge_by_task(found.outputs, found.labels, classes), found.skipped


def check_readable(found: Outputs) -> None:
    """Raise UserError where there is nothing to judge by."""
    if not len(found.labels):
        first = f": {found.skipped[0]}" if found.skipped else ""
        raise UserError(f"none of the {len(found.skipped)} images can be read{first}")


def judge_by_task(
    logits: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]
) -> Result | MultiLabelResult:
    """Count what a network got right, as the shape of the labels asks for."""
    count = judge_multi_label if task_of(labels) == "multi-label" else judge
    return count(logits, labels, classes)


def probabilities(logits: np.ndarray, task: Task) -> np.ndarray:
    """Logits (images, classes) -> float64: by softmax; of several classes, each by sigmoid."""
    return sigmoid(logits) if task == "multi-label" else np.exp(log_softmax(logits))


def _of_all_ranks(found: Outputs, ranks: Ranks) -> Outputs:
    """Every rank's labels and outputs one after the other, and all that could not be read."""
    (width,) = ranks.largest(found.outputs.shape[1])
    outputs = found.outputs.reshape(-1, width)
    labels, outputs = (
        np.concatenate([t.numpy() for t in ranks.gather(torch.from_numpy(array))])
        for array in (found.labels, outputs)
    )
    told = ranks.exchange(json.dumps([[bad.path, bad.reason] for bad in found.skipped]))
    skipped = [BadImage(path, reason) for text in told for path, reason in json.loads(text)]
    return Outputs(np.arange(len(labels)), labels, outputs, skipped)


def name_likeliest(
    found: Outputs,
    logits: np.ndarray,
    paths: list[str],
    classes: tuple[str, ...],
    top: int,
    task: Task = "single-label",
) -> list[Prediction]:
    """The likeliest classes of every path in the order given; what could not be read is named.

    Args:
        found: the run over these paths.
        logits: (readable images, classes).
        paths: the files that were run.
        classes: the classes' names.
        top: how many classes to name.
        task: whether a picture has one class or any number of them.
    """
    predictions = [Prediction(path) for path in paths]
    shares = probabilities(logits, task) if len(logits) else []
    for index, row in zip(found.indices, shares, strict=True):
        likeliest = np.argsort(-row, kind="stable")
        named = tuple((classes[i], float(row[i])) for i in likeliest[:top])
        labels = None
        if task == "multi-label":
            labels = tuple(classes[i] for i in likeliest if row[i] > LIKELY)
        predictions[index] = Prediction(paths[index], named, labels=labels)
    reasons = {bad.path: bad.reason for bad in found.skipped}
    return [p if p.top else Prediction(p.path, error=reasons[p.path]) for p in predictions]
