"""How likely a given label is right, from out-of-fold logits (numpy alone)."""

from dataclasses import dataclass

import numpy as np

from resnetkit.metrics import log_softmax

ANCHORS, FEWEST = 0.4, 10
"""The surest images of a class by which mistakes are counted: a part of them, and at the least."""

UNSEEN = 0.1
"""Added to every count: what has not been seen may still happen."""

TEMPERATURES = np.geomspace(0.1, 3, 60)


@dataclass(frozen=True)
class Judged:
    """What is thought of every label.

    Attributes:
        right: the chance that it is right, (images,).
        likely: the likeliest other class, (images,).
        noise: the share of labels that is thought to be wrong.
    """

    right: np.ndarray
    likely: np.ndarray
    noise: float


def right_probability(logits: np.ndarray, labels: np.ndarray) -> Judged:
    """The chance that each label is right, by Bayes' rule.

    How often a class is labelled as which other is counted on the images that networks are surest
    of (anchors, as in Patrini 2017, arXiv 1609.03683, section 4.1, but by counting labels, not by
    averaging probabilities). Logits are sharpened until they say the classes from which those
    mistakes make the labels that were given. Chosen on Fashion-MNIST with planted mistakes, where
    it finds more than the confident joint (Northcutt 2021, arXiv 1911.00068).

    Args:
        logits: (images, classes), each by a network that has not learned that image's label.
        labels: (images,), int64.
    """
    logits, every = logits.astype(np.float64), np.arange(len(labels))
    mistakes = count_mistakes(logits, labels)
    chances = np.exp(log_softmax(logits / _temperature(logits, labels, mistakes)))
    joint = chances * mistakes[:, labels].T
    right = joint[every, labels] / joint.sum(1)
    joint[every, labels] = -1
    return Judged(right, joint.argmax(1), float(1 - right.mean()))


def count_mistakes(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(classes, classes): how often an image of the row's class is labelled as the column's."""
    classes, sure = logits.shape[1], np.exp(log_softmax(logits))
    likely, found = logits.argmax(1), np.eye(classes)
    for label in range(classes):
        members = np.flatnonzero(likely == label)
        order = np.argsort(-sure[members, label], kind="stable")
        anchors = members[order][: max(FEWEST, int(len(members) * ANCHORS))]
        counts = np.bincount(labels[anchors], minlength=classes) + UNSEEN
        found[label] = counts / counts.sum()
    return found


def _temperature(logits: np.ndarray, labels: np.ndarray, mistakes: np.ndarray) -> float:
    """What makes the given labels likeliest, of classes that are then mistaken so."""
    ways = mistakes[:, labels].T

    def surprise(temperature: float) -> float:
        likely = (np.exp(log_softmax(logits / temperature)) * ways).sum(1)
        return float(-np.log(likely).mean())

    return float(min(TEMPERATURES, key=surprise))
