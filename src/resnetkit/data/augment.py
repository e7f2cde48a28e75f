"""What happens to a training picture, drawn from numbers that belong to it alone.

A picture's draws are a function of (seed, epoch, position in the epoch's order): they do not
depend on who loads it, in which batch it lies, or where a run was interrupted.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch

from resnetkit.data.augmentation import Augmentation
from resnetkit.data.colours import COLOUR_DRAWS, with_colours
from resnetkit.data.policies import draws_needed, with_policy
from resnetkit.data.transform import Transform

DRAWS = 12
"""Uniform numbers that every picture has to itself; a multiple of 4."""

MOST_RATIO = 4 / 3
"""Of a random box's sides."""

# which stream of random numbers of an epoch
_ORDER, _PICTURES, _MIRROR, _POLICY, _COLOURS = 0, 1, 6, 7, 8
_STEP = 5  # which stream of random numbers of a seed


def training_side(transform: Transform, how: Augmentation) -> int:
    """Pixels of a picture's shorter side from which the smallest box still has `transform.size`."""
    if how.crop == "scaled":
        return math.ceil(transform.size / how.least_side)
    if how.crop != "resized":
        return transform.least_side
    return math.ceil(transform.size / math.sqrt(how.least_area / MOST_RATIO))


def square(
    image: np.ndarray, transform: Transform, how: Augmentation, draws: np.ndarray
) -> np.ndarray:
    """uint8 (height, width, channels) -> (size, size, channels): the centre, or a random box.

    The box is mirrored already where that is drawn, while its pixels are still in the cache.
    """
    if not how.cuts:
        return transform.image(image)
    mirrored = how.flip and draws[6] < 0.5
    cut_out = _random_square if how.crop == "scaled" else _random_box
    return transform.cut(image, cut_out(image, how, draws[0:4]), mirrored=mirrored)


def augment(squares: torch.Tensor, how: Augmentation, draws: np.ndarray) -> torch.Tensor:
    """What else happens to a batch of squares: uint8 (n, size, size, channels), on any device.

    Args:
        squares: may be changed in place.
        how: what may happen.
        draws: as `picture_draws` gave them for `how`.
    """
    if how.crop == "shift" and how.shift:
        squares = _shifted(squares, how.shift, draws[:, 4:6])
    if how.flip and not how.cuts:
        mirrored = sent(np.flatnonzero(draws[:, 6] < 0.5), squares.device)
        squares.index_copy_(0, mirrored, squares.index_select(0, mirrored).flip(2))
    if how.by_pillow:
        pictures, policy = squares.cpu().numpy(), DRAWS + draws_needed(how)
        if how.policy != "none":
            with_policy(pictures, how, draws[:, DRAWS:policy])
        if how.recolours:
            with_colours(pictures, how, draws[:, policy:])
        squares = torch.from_numpy(pictures).to(squares.device)
    if how.erase:
        boxes = _erased_boxes(squares.shape, how.erase, draws[:, 7:12])
        down, across = (sent(side, squares.device) for side in boxes)
        hidden = down[:, :, None] * across[:, None]
        squares.view(*hidden.shape).mul_(1 - hidden).add_(
            hidden, alpha=128
        )  # filling by a mask is slow
    return squares


def every_other_epoch(
    draws: np.ndarray, seed: int, epoch: int, chosen: np.ndarray, images: int
) -> np.ndarray:
    """The draws with such for mirroring that a picture is mirrored in every other epoch.

    Half of the `images` begin with it. In two epochs every picture is seen both ways, where chance
    shows half of them twice the same way (Jordan 2024, arXiv 2404.00498, section 3.6).
    """
    draws = draws.copy()
    draws[:, 6] = (_mirror_draws(seed, images)[chosen] + 0.5 * (epoch % 2)) % 1
    return draws


@functools.lru_cache(maxsize=2)
def _mirror_draws(seed: int, images: int) -> np.ndarray:
    return np.random.Generator(_stream(seed, 0, _MIRROR)).random(images)


def epoch_order(seed: int, epoch: int, images: int) -> np.ndarray:
    """The order of an epoch: a permutation that is a function of (seed, epoch) alone."""
    return np.random.Generator(_stream(seed, epoch, _ORDER)).permutation(images)


def balanced_order(seed: int, epoch: int, labels: np.ndarray) -> np.ndarray:
    """As `epoch_order`, every class equally often: images of rare ones come several times.

    As many images as there are labels; what is left over goes to classes that are drawn.
    """
    draws = np.random.Generator(_stream(seed, epoch, _ORDER))
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    each, rest = divmod(len(labels), len(groups))
    wanted = each + (draws.permutation(len(groups)) < rest)
    shown = [
        np.concatenate([draws.permutation(group) for _ in range(-(-count // len(group)))])[:count]
        for group, count in zip(groups, wanted, strict=True)
    ]
    return draws.permutation(np.concatenate(shown))


def picture_draws(
    seed: int, epoch: int, start: int, count: int, how: Augmentation | None = None
) -> np.ndarray:
    """The draws of the pictures at positions start, start + 1, ...: float64 (count, numbers).

    Each has DRAWS numbers, then those that `how` needs for a policy and for colours, each from a
    stream of their own.

    Philox is a counter-based generator (Salmon 2011): position p begins at counter p * DRAWS / 4,
    so that its row is the same whichever batch it is asked for in.
    """
    widths = {_PICTURES: DRAWS}
    if how is not None:
        colours = COLOUR_DRAWS if how.recolours else 0
        widths |= {_POLICY: draws_needed(how), _COLOURS: colours}
    return np.hstack([
        _rows(_stream(seed, epoch, stream), start, count, width)
        for stream, width in widths.items() if width
    ])  # fmt: skip


def _rows(stream: np.random.Philox, start: int, count: int, width: int) -> np.ndarray:
    stream.advance(start * width // 4)
    return np.random.Generator(stream).random((count, width))


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for what is drawn on the device within a step: a function of (seed, step, rank)."""
    drawn = np.random.SeedSequence([seed, _STEP, step, rank]).generate_state(1, np.uint64)
    return int(drawn[0] >> np.uint64(1))


def _stream(seed: int, epoch: int, which: int) -> np.random.Philox:
    return np.random.Philox(np.random.SeedSequence([seed, epoch, which]))


Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


def _random_square(image: np.ndarray, how: Augmentation, draws: np.ndarray) -> Box:
    """A square somewhere, as of a picture that was resized at random (He 2015, section 3.4)."""
    height, width = image.shape[:2]
    resized = 1 / how.most_side + (1 / how.least_side - 1 / how.most_side) * draws[0]
    side = max(1, round(min(height, width) / resized))
    left, top = int(draws[2] * (width - side + 1)), int(draws[3] * (height - side + 1))
    return left, top, left + side, top + side


def _random_box(image: np.ndarray, how: Augmentation, draws: np.ndarray) -> Box:
    """A box of random area, its sides as 3/4 to 4/3 (Szegedy 2014, arXiv 1409.4842, section 6)."""
    height, width = image.shape[:2]
    area = height * width * (how.least_area + (1 - how.least_area) * draws[0])
    ratio = math.exp(math.log(MOST_RATIO) * (2 * draws[1] - 1))
    box_width = max(1, round(min(width, math.sqrt(area * ratio))))
    box_height = max(1, round(min(height, math.sqrt(area / ratio))))
    left = int(draws[2] * (width - box_width + 1))
    top = int(draws[3] * (height - box_height + 1))
    return left, top, left + box_width, top + box_height


def _shifted(squares: torch.Tensor, most: int, draws: np.ndarray) -> torch.Tensor:
    """Moved by up to `most` pixels; what comes in at the edge repeats it."""
    count, side, _, channels = squares.shape
    reach = torch.arange(-most, side + most, device=squares.device).clamp(0, side - 1)
    padded = squares[:, reach][:, :, reach]
    picture, row, _, _ = padded.stride()
    windows = padded.as_strided(
        (count, 2 * most + 1, 2 * most + 1, side, side * channels),
        (picture, row, channels, row, 1),
    )
    down, right = sent(((2 * most + 1) * draws).astype(np.int64).T, squares.device)
    each = torch.arange(count, device=squares.device)
    return windows[each, down, right].view(count, side, side, channels)


def _erased_boxes(
    shape: Sequence[int], chance: float, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rows, uint8 (n, side), and the bytes of a row, (n, side * channels), that are hidden.

    By chance 2% to 33% of a square (Zhong 2017, arXiv 1708.04896, section 3).
    """
    _, side, _, channels = shape
    area = side * side * (0.02 + 0.31 * draws[:, 1])
    ratio = np.exp(math.log(1 / 0.3) * (2 * draws[:, 2] - 1))
    sides = np.sqrt(np.stack([area * ratio, area / ratio])).round().clip(1, side)
    first = (draws[:, 3:5].T * (side - sides + 1)).astype(np.int64)[..., None]
    down, across = (np.arange(side) >= first) & (np.arange(side) < first + sides[..., None])
    down &= draws[:, :1] < chance
    return down.view(np.uint8), across.repeat(channels, 1).view(np.uint8)


def sent(numbers: np.ndarray, device: torch.device) -> torch.Tensor:
    """The numbers on the device; small ones without waiting for what the device is at."""
    return torch.from_numpy(np.ascontiguousarray(numbers)).to(device, non_blocking=True)
