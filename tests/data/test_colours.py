"""Pictures in another light, against Pillow and the paper's formula; squares of random size."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from resnetkit.data.augment import DRAWS, augment, picture_draws, square, training_side
from resnetkit.data.augmentation import Augmentation
from resnetkit.data.colours import COLOUR_DRAWS, DIRECTIONS, STRENGTHS, with_colours
from resnetkit.data.transform import Transform

PLAIN = {"crop": "none", "flip": False, "erase": 0.0}


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_is_pillows(pictures, channels):
    pictures = pictures[..., :channels].copy()
    draws = np.random.default_rng(1).random((5, COLOUR_DRAWS))
    found = with_colours(pictures.copy(), Augmentation(jitter=0.4), draws)
    for picture, row, new in zip(pictures, draws, found, strict=True):
        image = Image.fromarray(picture[:, :, 0] if channels == 1 else picture)
        kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for kind, draw in zip(kinds, row, strict=False):
            image = kind(image).enhance(0.6 + 0.8 * draw)
        assert np.array_equal(new, np.asarray(image).reshape(picture.shape))


def test_lighting_is_krizhevskys(pictures):
    """Section 4.1: [p1, p2, p3] [a1 l1, a2 l2, a3 l3] is added to every pixel alike."""
    draws = np.random.default_rng(1).random((5, COLOUR_DRAWS))
    found = with_colours(pictures.copy(), Augmentation(lighting=0.1), draws).astype(int)
    for picture, row, new in zip(pictures.astype(int), draws, found, strict=True):
        inside = (new > 0) & (new < 255)
        shifts = [set((new - picture)[..., c][inside[..., c]]) for c in range(3)]
        assert all(len(shift) == 1 for shift in shifts)
        shift = np.array([s.pop() for s in shifts])
        amounts = np.linalg.lstsq(255 * DIRECTIONS * STRENGTHS, shift, rcond=None)[0]
        radius = np.sqrt(-2 * np.log(1 - row[4:6]))
        assert amounts[0] == pytest.approx(0.1 * radius[0] * np.cos(2 * np.pi * row[6]), abs=0.02)


def test_amounts_are_normal():
    """Over many pictures: mean 0 and the deviation that is asked for."""
    grey = np.full((4000, 1, 1, 3), 128, np.uint8)
    draws = np.random.default_rng(2).random((4000, COLOUR_DRAWS))
    shifts = with_colours(grey, Augmentation(lighting=0.1), draws)[:, 0, 0].astype(float) - 128
    expected = 25.5 * np.sqrt((DIRECTIONS**2) @ (STRENGTHS**2))
    assert shifts.mean(0) == pytest.approx([0, 0, 0], abs=0.3)
    assert shifts.std(0) == pytest.approx(expected, rel=0.06)


def test_colours_and_policy_draw_from_streams_of_their_own(pictures):
    """What a picture's policy draws does not change with the light, and the other way round."""
    both = Augmentation(policy="rand", jitter=0.4, lighting=0.1)
    widths = {
        how: picture_draws(3, 1, 7, 4, how).shape[1]
        for how in (None, Augmentation(policy="rand"), Augmentation(jitter=0.4), both)
    }
    assert list(widths.values()) == [
        DRAWS,
        DRAWS + 8,
        DRAWS + COLOUR_DRAWS,
        DRAWS + 8 + COLOUR_DRAWS,
    ]
    drawn = picture_draws(3, 1, 7, 4, both)
    assert np.array_equal(
        drawn[:, :-COLOUR_DRAWS], picture_draws(3, 1, 7, 4, Augmentation(policy="rand"))
    )
    assert np.array_equal(
        drawn[:, -COLOUR_DRAWS:], picture_draws(3, 1, 7, 4, Augmentation(jitter=1))[:, DRAWS:]
    )
    how = Augmentation(**PLAIN, jitter=0.4)
    draws = picture_draws(3, 1, 7, 5, how)
    whole = augment(torch.from_numpy(pictures.copy()), how, draws)
    assert np.array_equal(whole.numpy(), with_colours(pictures.copy(), how, draws[:, DRAWS:]))


def test_squares_of_random_size_lie_within_the_picture():
    """As of a picture whose shorter side was resized to between 256 and 480 pixels."""
    transform, how = Transform(size=224), Augmentation(crop="scaled", flip=False)
    image = np.zeros((300, 400, 3), np.uint8)
    boxes = []

    class Watched(Transform):
        def cut(self, image, box, *, mirrored=False):
            boxes.append(box)
            return super().cut(image, box, mirrored=mirrored)

    for row in np.random.default_rng(0).random((400, DRAWS)):
        assert square(image, Watched(size=224), how, row).shape == (224, 224, 3)
    left, top, right, bottom = np.array(boxes).T
    assert (right - left == bottom - top).all()
    assert left.min() >= 0
    assert top.min() >= 0
    assert right.max() <= 400
    assert bottom.max() <= 300
    resized = 300 * 224 / (right - left)
    assert resized.min() == pytest.approx(256, rel=0.02)
    assert resized.max() == pytest.approx(480, rel=0.02)
    assert resized.mean() == pytest.approx(368, rel=0.02)
    assert training_side(transform, how) == 480
