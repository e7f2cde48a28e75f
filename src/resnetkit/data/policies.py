"""Pictures changed by a few of Pillow's operations: RandAugment, TrivialAugment, AutoAugment.

Operations and their ranges are those of AutoAugment (Cubuk 2018, arXiv 1805.09501, table 6);
TrivialAugment's are wider. What comes in from outside a picture is grey.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from resnetkit.data.augmentation import Augmentation

GREY = 128
Picture = Image.Image


@dataclass(frozen=True)
class Ranges:
    """How far operations go at magnitude 1.

    Attributes:
        shear: pixels to the side for every pixel down.
        rotate: degrees.
        enhance: how far a factor is from 1.
        posterize: bits that are dropped.
        translate: part of the side; None for 32 pixels.
    """

    shear: float
    rotate: float
    enhance: float
    posterize: int
    translate: float | None


USUAL = Ranges(shear=0.3, rotate=30, enhance=0.9, posterize=4, translate=150 / 331)
WIDE = Ranges(shear=0.99, rotate=135, enhance=0.99, posterize=6, translate=None)
"""Of TrivialAugment (Muller 2021, arXiv 2103.10158, table 1, "Wide")."""


def _affine(picture: Picture, *data: float) -> Picture:
    fill = GREY if picture.mode == "L" else (GREY,) * 3
    affine = Image.Transform.AFFINE
    return picture.transform(picture.size, affine, data, Image.Resampling.NEAREST, fillcolor=fill)


def _rotated(picture: Picture, degrees: float) -> Picture:
    fill = GREY if picture.mode == "L" else (GREY,) * 3
    return picture.rotate(degrees, Image.Resampling.NEAREST, fillcolor=fill)


def _pixels(picture: Picture, ranges: Ranges) -> float:
    return 32.0 if ranges.translate is None else ranges.translate * picture.width


Operation = Callable[[Picture, float, Ranges], Picture]
"""A picture, the magnitude from -1 to 1, its ranges -> the picture changed."""

OPERATIONS: dict[str, Operation] = {
    "identity": lambda p, _m, _r: p,
    "shear_x": lambda p, m, r: _affine(p, 1, m * r.shear, 0, 0, 1, 0),
    "shear_y": lambda p, m, r: _affine(p, 1, 0, 0, m * r.shear, 1, 0),
    "translate_x": lambda p, m, r: _affine(p, 1, 0, m * _pixels(p, r), 0, 1, 0),
    "translate_y": lambda p, m, r: _affine(p, 1, 0, 0, 0, 1, m * _pixels(p, r)),
    "rotate": lambda p, m, r: _rotated(p, m * r.rotate),
    "brightness": lambda p, m, r: ImageEnhance.Brightness(p).enhance(1 + m * r.enhance),
    "colour": lambda p, m, r: ImageEnhance.Color(p).enhance(1 + m * r.enhance),
    "contrast": lambda p, m, r: ImageEnhance.Contrast(p).enhance(1 + m * r.enhance),
    "sharpness": lambda p, m, r: ImageEnhance.Sharpness(p).enhance(1 + m * r.enhance),
    "posterize": lambda p, m, r: ImageOps.posterize(p, 8 - round(abs(m) * r.posterize)),
    "solarize": lambda p, m, _r: ImageOps.solarize(p, 256 - round(abs(m) * 256)),
    "autocontrast": lambda p, _m, _r: ImageOps.autocontrast(p),
    "equalize": lambda p, _m, _r: ImageOps.equalize(p),
    "invert": lambda p, _m, _r: ImageOps.invert(p),
}

DRAWN = tuple(name for name in OPERATIONS if name != "invert")
"""The 14 from which RandAugment and TrivialAugment draw."""

IMAGENET = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
    (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 4), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 7)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 2)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 8), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("colour", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 2)),
    (("equalize", 0.0, 7), ("equalize", 0.8, 8)),
    (("invert", 0.6, 4), ("equalize", 1.0, 8)),
    (("colour", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("colour", 1.0, 2)),
    (("colour", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 8)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, 9)),
    (("colour", 0.4, 0), ("equalize", 0.6, 3)),
    (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
    (("invert", 0.6, 4), ("equalize", 1.0, 8)),
    (("colour", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
)
"""AutoAugment's 25 pairs for ImageNet (table 9): (operation, its chance, its level from 0 to 9)."""


def draws_needed(how: Augmentation) -> int:
    """Uniform numbers that a picture's policy takes; a multiple of 4."""
    return {"none": 0, "rand": 4 * how.policy_ops, "trivial": 4, "auto": 8}[how.policy]


def with_policy(squares: np.ndarray, how: Augmentation, draws: np.ndarray) -> np.ndarray:
    """A batch of squares, each changed as its own draws say: uint8 (n, size, size, channels).

    Args:
        squares: changed in place.
        how: which policy.
        draws: `draws_needed` uniform numbers in [0, 1) a picture.
    """
    for square, row in zip(squares, draws, strict=True):
        picture = Image.fromarray(square[:, :, 0] if square.shape[2] == 1 else square)
        for name, magnitude, ranges in _chosen(how, row):
            picture = OPERATIONS[name](picture, magnitude, ranges)
        square[:] = np.asarray(picture).reshape(square.shape)
    return squares


def _chosen(how: Augmentation, draws: np.ndarray) -> Iterator[tuple[str, float, Ranges]]:
    """The operations of a picture, their signed magnitudes, and their ranges."""
    if how.policy == "trivial":
        which, strength, sign, _ = draws
        yield _among(which), _signed(int(strength * 31) / 30, sign), WIDE
    elif how.policy == "rand":
        for which, sign, spread, chance in draws.reshape(-1, 4):
            if chance < how.policy_chance:
                magnitude = how.policy_magnitude
                if how.policy_spread:
                    magnitude += how.policy_spread * NormalDist().inv_cdf(max(spread, 1e-12))
                yield _among(which), _signed(min(1.0, max(0.0, magnitude)), sign), USUAL
    elif how.policy == "auto":
        pair = IMAGENET[int(draws[0] * len(IMAGENET))]
        for (name, chance, level), (drawn, sign) in zip(
            pair, draws[2:6].reshape(2, 2), strict=True
        ):
            if drawn < chance:
                yield name, _signed(level / 9, sign), USUAL


def _among(drawn: float) -> str:
    return DRAWN[int(drawn * len(DRAWN))]


def _signed(magnitude: float, drawn: float) -> float:
    return magnitude if drawn < 0.5 else -magnitude
