"""What is counted on predictions; training and evaluation count alike."""

import math
from dataclasses import dataclass

import numpy as np

from resnetkit.config import to_plain


@dataclass(frozen=True)
class ClassResult:
    """One class: images that are of it, and how predictions of it fared (each in 0..1)."""

    name: str
    images: int
    recall: float
    precision: float
    f1: float


@dataclass(frozen=True)
class Result:
    """What a network got right on labelled images.

    Attributes:
        images: how many were judged, each once.
        top1, top5: share whose label is the likeliest, or among the five likeliest, class.
        interval: 95% interval of top1 (Wilson score).
        balanced: balanced accuracy, the mean of the recalls of all classes that have images.
        loss: mean cross-entropy in nats.
        ece: expected calibration error, 15 bins.
        classes: a row a class.
        confusion: [true class][predicted class] counts.
    """

    images: int
    top1: float
    interval: tuple[float, float]
    balanced: float
    top5: float
    loss: float
    ece: float
    classes: tuple[ClassResult, ...]
    confusion: np.ndarray

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        plain = {
            "classes": [to_plain(c) for c in self.classes],
            "confusion": self.confusion.tolist(),
        }
        return to_plain(vars(self) | plain)


def judge(logits: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> Result:
    """Count.

    Args:
        logits: (images, classes), any float type.
        labels: (images,) whole numbers in 0..classes-1.
        names: the classes' names.
    """
    log_probabilities = log_softmax(logits)
    own = log_probabilities[np.arange(len(labels)), labels]
    predicted = logits.argmax(axis=1)
    right = predicted == labels
    confidence = np.exp(log_probabilities.max(axis=1))
    confusion = confusion_matrix(labels, predicted, len(names))
    classes = per_class(confusion, names)
    return Result(
        images=len(labels),
        top1=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(labels)),
        balanced=float(np.mean([each.recall for each in classes if each.images])),
        top5=top_k(logits, labels, 5),
        loss=float(-own.mean()),
        ece=calibration_error(confidence, right),
        classes=classes,
        confusion=confusion,
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the softmax over the last axis, in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def top_k(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of images with fewer than k classes scoring above their label; ties count for it."""
    own = logits[np.arange(len(labels)), labels]
    return float(((logits > own[:, None]).sum(axis=1) < k).mean())


def wilson_interval(right: int, images: int, z: float = 1.959964) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927): honest for few images and for shares near 0 and 1."""
    share = right / images
    centre = share + z * z / (2 * images)
    half = z * math.sqrt(share * (1 - share) / images + z * z / (4 * images * images))
    scale = 1 + z * z / images
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error over equal bins of confidence (Guo 2017, arXiv 1706.04599)."""
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, confidence, bins) - np.bincount(place, right, bins)
    return float(np.abs(gaps).sum() / len(confidence))


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts [true class][predicted class]."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def per_class(confusion: np.ndarray, names: tuple[str, ...]) -> tuple[ClassResult, ...]:
    """Recall, precision and their harmonic mean of every class; 0 where there is nothing."""
    rows = []
    for i, name in enumerate(names):
        right, images, claimed = confusion[i, i], confusion[i].sum(), confusion[:, i].sum()
        rows.append(ClassResult(name, int(images), *shares(right, images, claimed)))
    return tuple(rows)


def shares(right: int, images: int, claimed: int) -> tuple[float, float, float]:
    """Recall, precision and their harmonic mean F1; 0 where there is nothing."""
    recall, precision = (float(right / n) if n else 0.0 for n in (images, claimed))
    both = recall + precision
    return recall, precision, 2 * recall * precision / both if both else 0.0
