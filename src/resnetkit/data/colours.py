"""Pictures in another light: brightness, contrast and saturation, and the colours of the light."""

import numpy as np
from PIL import Image, ImageEnhance

from resnetkit.data.augmentation import Augmentation

COLOUR_DRAWS = 8
"""Uniform numbers that a picture's colours take; a multiple of 4."""

STRENGTHS = np.array([0.2175, 0.0188, 0.0045])
DIRECTIONS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
"""How ImageNet's pixels, 0 to 1, vary: eigenvalues and eigenvectors, in columns, of their
covariance (Krizhevsky 2012, section 4.1; the numbers are those of fb.resnet.torch)."""

_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def with_colours(squares: np.ndarray, how: Augmentation, draws: np.ndarray) -> np.ndarray:
    """A batch of squares, each in the light that its draws say: uint8 (n, size, size, channels).

    Args:
        squares: changed in place.
        how: its `jitter` and `lighting` say how far.
        draws: COLOUR_DRAWS uniform numbers in [0, 1) a picture.
    """
    for square, row in zip(squares, draws, strict=True):
        if how.jitter:
            square[:] = _enhanced(square, 1 + how.jitter * (2 * row[:3] - 1))
        if how.lighting:
            square[:] = _lit(square, how.lighting * _normal(row[4:8]))
    return squares


def _enhanced(square: np.ndarray, factors: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(square[:, :, 0] if square.shape[2] == 1 else square)
    for enhancer, factor in zip(_ENHANCERS, factors, strict=True):
        picture = enhancer(picture).enhance(float(factor))
    return np.asarray(picture).reshape(square.shape)


def _lit(square: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Every channel shifted; grey by what is left of the colour."""
    shift = 255 * DIRECTIONS @ (STRENGTHS * amounts)
    shift = shift if square.shape[2] == 3 else shift.mean(keepdims=True)
    levels = (np.arange(256)[:, None] + shift).round().clip(0, 255).astype(np.uint8)
    return np.take_along_axis(levels, square.reshape(-1, square.shape[2]), 0).reshape(square.shape)


def _normal(draws: np.ndarray) -> np.ndarray:
    """Three normal numbers from four uniform ones (Box 1958)."""
    radius = np.sqrt(-2 * np.log(1 - draws[:2]))
    angle = 2 * np.pi * draws[2:]
    return np.array([*(radius * np.cos(angle)), radius[0] * np.sin(angle[0])])
