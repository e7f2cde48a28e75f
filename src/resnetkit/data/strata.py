"""What is shared out evenly when images are: classes, or the rarest of an image's several."""

from typing import Literal

import numpy as np

Task = Literal["single-label", "multi-label"]
"""An image has one class, or any number of them."""


def task_of(labels: np.ndarray) -> Task:
    """Labels (images,) are numbers of classes; labels (images, classes) are 0 or 1 a class."""
    return "multi-label" if labels.ndim == 2 else "single-label"


def multi_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Numbers of classes (images,) as uint8 (images, classes), a single 1 in each row."""
    hot = np.zeros((len(labels), classes), np.uint8)
    hot[np.arange(len(labels)), labels] = 1
    return hot


def strata(labels: np.ndarray) -> np.ndarray:
    """A group for every image, (images,): its class, or of several the one with fewest images.

    Sharing out these groups evenly does so exactly for the rarest class, whose images are all in
    one group, and nearly for the others. Images without a class are a group of their own.
    """
    if task_of(labels) == "single-label":
        return labels
    groups = np.full(len(labels), labels.shape[1], np.int64)
    for label in np.argsort(-class_counts(labels, labels.shape[1]), kind="stable"):
        groups[labels[:, label] > 0] = label  # the rarest comes last and stays
    return groups


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """Images of each class, (classes,); an image of several counts for each of them."""
    if task_of(labels) == "multi-label":
        return labels.sum(axis=0, dtype=np.int64)
    return np.bincount(labels, minlength=classes)
