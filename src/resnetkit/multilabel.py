"""What is counted on predictions where an image may have several classes, or none."""

from dataclasses import dataclass

import numpy as np

from resnetkit.config import to_plain
from resnetkit.metrics import ClassResult, calibration_error, shares, wilson_interval

LIKELY = 0.5
"""A class whose probability is above this is taken to be on the image."""


@dataclass(frozen=True)
class MultiLabelClass(ClassResult):
    """One class: images that have it, and how predictions of it fared at probability 0.5.

    `ap` is the average precision over all thresholds, None without images.
    """

    ap: float | None


@dataclass(frozen=True)
class MultiLabelResult:
    """What a network got right on images of several classes each.

    Attributes:
        images: how many were judged, each once.
        map: mean average precision over the classes that have images; None without any.
        top1, top5: share of images whose likeliest class, or one of whose five likeliest, is
            among its classes; an image without a class counts as wrong.
        interval: 95% interval of top1 (Wilson score).
        loss: binary cross-entropy in nats, the sum over an image's classes, the mean over images.
        ece: expected calibration error of the probability of every class on every image, 15 bins.
        classes: a row a class.
        logits, labels: what was judged, both (images, classes).
    """

    images: int
    map: float | None
    top1: float
    interval: tuple[float, float]
    top5: float
    loss: float
    ece: float
    classes: tuple[MultiLabelClass, ...]
    logits: np.ndarray
    labels: np.ndarray

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        kept = {name: v for name, v in vars(self).items() if name not in ("logits", "labels")}
        return to_plain(kept | {"classes": [to_plain(row) for row in self.classes]})


def judge_multi_label(
    logits: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> MultiLabelResult:
    """Count.

    Args:
        logits: (images, classes), any float type.
        labels: (images, classes), 1 for each class that an image has.
        names: the classes' names.
    """
    exact, has = logits.astype(np.float64), labels.astype(bool)
    losses = np.logaddexp(0, exact) - exact * has
    best = np.argsort(-exact, axis=1, kind="stable")
    among = np.take_along_axis(has, best, axis=1)
    right = among[:, 0]
    classes = tuple(
        _one_class(name, exact[:, i], has[:, i]) for i, name in enumerate(names)
    )  # fmt: skip
    precisions = [row.ap for row in classes if row.ap is not None]
    return MultiLabelResult(
        images=len(labels),
        map=float(np.mean(precisions)) if precisions else None,
        top1=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(labels)),
        top5=float(among[:, :5].any(axis=1).mean()),
        loss=float(losses.sum(axis=1).mean()),
        ece=calibration_error(sigmoid(exact).ravel(), has.ravel()),
        classes=classes,
        logits=logits,
        labels=labels,
    )


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Every class's own probability, in float64."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64)))


def precision_recall(scores: np.ndarray, has: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall at every threshold, the highest first: equal scores are one threshold.

    Args:
        scores: (images,).
        has: (images,) whether an image has the class; at least one does.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = np.cumsum(has[order])[last]
    return right / (last + 1), right / right[-1]


def average_precision(scores: np.ndarray, has: np.ndarray) -> float | None:
    """The sum of precision x rise of recall over all thresholds (not interpolated).

    None where no image has the class.
    """
    if not has.any():
        return None
    precision, recall = precision_recall(scores, has)
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def _one_class(name: str, logits: np.ndarray, has: np.ndarray) -> MultiLabelClass:
    claimed = sigmoid(logits) > LIKELY
    right, images = int((claimed & has).sum()), int(has.sum())
    found = shares(right, images, int(claimed.sum()))
    return MultiLabelClass(name, images, *found, average_precision(logits, has))
