"""From logits on the validation part: confidences that mean something, and when a shallow answer
is good enough (numpy alone)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from resnetkit.errors import UserError
from resnetkit.metrics import log_softmax

LOSSES = (0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02)
"""Of accuracy, for which it is decided in advance when to stop early."""

SURE = 1.645
"""Standard errors of the mean loss that are kept in reserve: 95% of a normal distribution."""

COLDEST, HOTTEST = 0.01, 100.0
"""Ends of the search for a temperature."""


@dataclass(frozen=True)
class Exit:
    """A shallow network answers first; where it is not sure, the whole one does.

    Attributes:
        loss: of accuracy that was allowed on the validation part.
        layers: of the network that answers first.
        threshold: probability of its likeliest class from which on its answer stays.
        share: of the validation images whose answer stays.
        top1: accuracy of both together there.
    """

    loss: float
    layers: int
    threshold: float
    share: float
    top1: float

    def __post_init__(self):
        """Check what a file may say."""
        for name, most in (("loss", 1.0), ("threshold", math.inf), ("share", 1.0), ("top1", 1.0)):
            if not 0 <= getattr(self, name) <= most:
                raise UserError(f"the {name} of an early exit cannot be {getattr(self, name)}")


@dataclass(frozen=True)
class Calibration:
    """What was learned on the validation part of a classifier's depths.

    Attributes:
        temperatures: what logits are divided by, by layers as text.
        exits: when to stop early, for a few losses of accuracy.
    """

    temperatures: dict = field(default_factory=dict)
    exits: tuple[Exit, ...] = ()

    def __post_init__(self):
        """Check what a file may say."""
        for layers, found in self.temperatures.items():
            if type(found) not in (int, float) or not 0 < found < math.inf:
                raise UserError(f"the temperature of {layers} layers cannot be {found!r:.60}")


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """What to divide logits by, so that confidences are as likely to be right as they say.

    The minimum of the cross-entropy (Guo 2017, arXiv 1706.04599, section 4.2), which is convex in
    the inverse of the temperature: where its derivative changes sign. Labels are right but for
    one image more than there are (Platt 1999, section 2.2): where all answers were right,
    confidences are as high as so few images can tell.

    Args:
        logits: (images, classes).
        labels: (images,).
    """
    doubt = 1 / (len(labels) + 2)
    own = logits[np.arange(len(labels)), labels].mean(dtype=np.float64)
    given = (1 - doubt) * own + doubt * logits.mean(dtype=np.float64)
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(60):
        middle = np.sqrt(low * high)
        expected = (np.exp(log_softmax(logits * middle)) * logits).sum(1).mean()
        low, high = (low, middle) if expected > given else (middle, high)
    return float(1 / np.sqrt(low * high))


def choose_exits(
    logits: Mapping[int, np.ndarray], labels: np.ndarray, costs: Mapping[int, float]
) -> tuple[Exit, ...]:
    """For every loss of LOSSES the cheapest way that loses no more; none where nothing is saved.

    The upper end of a way's loss, at 95% confidence, must be within it, and so it must be for all
    higher thresholds: of many the one that looks best on these images is a lucky one, and loses
    more on others. Tests in a fixed order that end at the first that fails keep the confidence of
    one (Angelopoulos 2021, arXiv 2110.01052, section 2.2.2).

    Args:
        logits: calibrated ones (images, classes) of every network, by its layers.
        labels: (images,).
        costs: of an image in every network.
    """
    whole = max(logits)
    right = {layers: each.argmax(1) == labels for layers, each in logits.items()}
    found = []
    for loss in LOSSES:
        ways = [
            _most_exits(loss, layers, logits[layers], right[layers], right[whole])
            for layers in logits
            if layers != whole
        ]
        spent = [costs[way.layers] + (1 - way.share) * costs[whole] for way in ways]
        if ways and min(spent) < costs[whole]:
            found.append(ways[int(np.argmin(spent))])
    return tuple(found)


def loss_text(loss: float) -> str:
    """A loss of accuracy as a person gives it, such as 0.05%."""
    return f"{100 * loss:g}%"


def exit_for(exits: tuple[Exit, ...], loss: float) -> Exit | None:
    """What was chosen for the largest loss that is no larger than this one."""
    return max((e for e in exits if e.loss <= loss + 1e-9), key=lambda e: e.loss, default=None)


def _most_exits(
    loss: float, layers: int, logits: np.ndarray, right: np.ndarray, right_whole: np.ndarray
) -> Exit:
    """As many early answers as are sure to lose no more than `loss`.

    One image more than there are is counted as lost: that nothing changed on few says little.
    """
    sure, images = np.exp(log_softmax(logits)).max(1), len(right)
    order = np.argsort(-sure, kind="stable")
    changes = right[order].astype(int) - right_whole[order]
    gained, changed = (
        np.concatenate([[0], np.cumsum(each)]) for each in (changes, np.abs(changes))
    )
    least, most = (gained - 1) / images, (changed + 1) / images
    error = np.sqrt(np.maximum(most - least**2, 0) / images)
    sorted_sure = np.concatenate([sure[order], [-np.inf]])
    ends = np.concatenate([[True], sorted_sure[:-1] > sorted_sure[1:]])  # equals exit together
    kept = least - SURE * error >= -loss - 1e-12
    kept[0] = True  # no early answer at all
    counts = np.flatnonzero(ends)
    count = int(counts[np.cumprod(kept[counts]).sum() - 1])
    threshold = float(sorted_sure[count - 1]) if count else 2.0
    top1 = float(right_whole.mean() + gained[count] / images)
    return Exit(loss, layers, threshold, count / images, top1)
