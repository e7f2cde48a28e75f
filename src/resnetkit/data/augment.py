"""What happens to a training picture, drawn from numbers that belong to it alone.

A picture's draws are a function of (seed, epoch, position in the epoch's order): they do not
depend on who loads it, in which batch it lies, or where a run was interrupted.
"""

import math

import numpy as np

from resnetkit.data.augmentation import Augmentation
from resnetkit.data.transform import Transform

DRAWS = 12
"""Uniform numbers that every picture has to itself; a multiple of 4."""

_ORDER, _PICTURES = 0, 1  # which stream of random numbers of an epoch
_STEP = 5  # which stream of random numbers of a seed


def augment(
    image: np.ndarray, transform: Transform, how: Augmentation, draws: np.ndarray
) -> np.ndarray:
    """uint8 (height, width, channels) -> uint8 (size, size, channels).

    Args:
        image: the decoded picture; not changed.
        transform: the preprocessing that the network is saved with.
        how: what may happen.
        draws: DRAWS uniform numbers in [0, 1).
    """
    if how.crop == "resized":
        out = transform.resize(image, _random_box(image, how.least_area, draws[0:4]))
    else:
        out = transform.image(image)
    if how.crop == "shift" and how.shift:
        out = _shifted(out, how.shift, draws[4:6])
    if how.flip and draws[6] < 0.5:
        out = out[:, ::-1]
    if draws[7] < how.erase:
        out = _erased(out, draws[8:12])
    return out


def epoch_order(seed: int, epoch: int, images: int) -> np.ndarray:
    """The order of an epoch: a permutation that is a function of (seed, epoch) alone."""
    return np.random.Generator(_stream(seed, epoch, _ORDER)).permutation(images)


def picture_draws(seed: int, epoch: int, start: int, count: int) -> np.ndarray:
    """The draws of the pictures at positions start, start + 1, ...: float64 (count, DRAWS).

    Philox is a counter-based generator (Salmon 2011): position p begins at counter p * DRAWS / 4,
    so that its row is the same whichever batch it is asked for in.
    """
    stream = _stream(seed, epoch, _PICTURES)
    stream.advance(start * DRAWS // 4)
    return np.random.Generator(stream).random((count, DRAWS))


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for what is drawn on the device within a step: a function of (seed, step, rank)."""
    drawn = np.random.SeedSequence([seed, _STEP, step, rank]).generate_state(1, np.uint64)
    return int(drawn[0] >> np.uint64(1))


def _stream(seed: int, epoch: int, which: int) -> np.random.Philox:
    return np.random.Philox(np.random.SeedSequence([seed, epoch, which]))


def _random_box(image: np.ndarray, least_area: float, draws: np.ndarray):
    """A box of random area, its sides as 3/4 to 4/3 (Szegedy 2014, arXiv 1409.4842, section 6)."""
    height, width = image.shape[:2]
    area = height * width * (least_area + (1 - least_area) * draws[0])
    ratio = math.exp(math.log(4 / 3) * (2 * draws[1] - 1))
    box_width = min(width, math.sqrt(area * ratio))
    box_height = min(height, math.sqrt(area / ratio))
    left = draws[2] * (width - box_width)
    top = draws[3] * (height - box_height)
    return left, top, left + box_width, top + box_height


def _shifted(image: np.ndarray, most: int, draws: np.ndarray) -> np.ndarray:
    """Moved by up to `most` pixels; what comes in at the edge repeats it."""
    down, right = (int((2 * most + 1) * draw) for draw in draws)
    padded = np.pad(image, ((most, most), (most, most), (0, 0)), mode="edge")
    return padded[down : down + image.shape[0], right : right + image.shape[1]]


def _erased(image: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """A box of 2% to 33% of the area made mid-grey (Zhong 2017, arXiv 1708.04896, section 3)."""
    height, width = image.shape[:2]
    area = height * width * (0.02 + 0.31 * draws[0])
    ratio = math.exp(math.log(1 / 0.3) * (2 * draws[1] - 1))
    box_height = max(1, min(height, round(math.sqrt(area * ratio))))
    box_width = max(1, min(width, round(math.sqrt(area / ratio))))
    top = int(draws[2] * (height - box_height + 1))
    left = int(draws[3] * (width - box_width + 1))
    out = image.copy()
    out[top : top + box_height, left : left + box_width] = 128
    return out
