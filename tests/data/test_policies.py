"""Operations against numpy, and which of them a picture's draws choose."""

import numpy as np
import pytest
from PIL import Image

from resnetkit.data.augment import DRAWS, picture_draws
from resnetkit.data.augmentation import Augmentation
from resnetkit.data.policies import (
    DRAWN,
    GREY,
    IMAGENET,
    OPERATIONS,
    USUAL,
    WIDE,
    draws_needed,
    with_policy,
)

SIDE = 33


def picture(channels: int = 3) -> np.ndarray:
    """Smooth, with every grey value somewhere, and not symmetric in any way."""
    down, right = np.mgrid[0:SIDE, 0:SIDE]
    planes = [(down * (3 + c) + right * 5 + 40 * c) % 256 for c in range(channels)]
    return np.stack(planes, 2).astype(np.uint8)


def done(name: str, magnitude: float, array: np.ndarray, ranges=USUAL) -> np.ndarray:
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    out = np.asarray(OPERATIONS[name](image, magnitude, ranges))
    return out.reshape(array.shape)


def moved(array: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Every pixel from (row + down, column + right); grey where that is outside."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    rows, columns = rows + down, columns + right
    inside = (rows >= 0) & (rows < SIDE) & (columns >= 0) & (columns < SIDE)
    found = np.full_like(array, GREY)
    found[inside] = array[rows[inside], columns[inside]]
    return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("magnitude", [0.55, -0.55])
def test_shapes_are_changed_as_said(channels, magnitude):
    x, zero = picture(channels), np.zeros((SIDE, SIDE), int)
    middle = np.arange(SIDE) + 0.5
    shear = np.floor(magnitude * 0.3 * middle + middle[:, None]).astype(int)  # of row, of column
    shear_x = shear.T - np.arange(SIDE)[None, :]
    assert np.array_equal(done("shear_x", magnitude, x), moved(x, zero, shear_x))
    assert np.array_equal(done("shear_y", magnitude, x), moved(x, shear_x.T, zero))
    far = int(np.floor(magnitude * 150 / 331 * SIDE + 0.5))
    assert np.array_equal(done("translate_x", magnitude, x), moved(x, zero, zero + far))
    assert np.array_equal(done("translate_y", magnitude, x), moved(x, zero + far, zero))
    assert np.array_equal(done("translate_x", 1, x, WIDE), moved(x, zero, zero + 32))
    quarter = 90 / 135 * np.sign(magnitude)
    assert np.array_equal(done("rotate", quarter, x, WIDE), np.rot90(x, int(np.sign(magnitude))))


def blended(base: np.ndarray, x: np.ndarray, factor: float) -> np.ndarray:
    return np.clip(base * (1 - factor) + x * factor, 0, 255)


@pytest.mark.parametrize("magnitude", [0.7, -0.7])
def test_colours_are_changed_as_said(magnitude):
    x, factor = picture().astype(float), 1 + 0.9 * magnitude
    grey = (x @ [0.299, 0.587, 0.114])[:, :, None]
    smooth = x.copy()
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))
    smooth[1:-1, 1:-1] = (windows.sum((3, 4)) + 4 * x[1:-1, 1:-1]) / 13
    bases = {
        "brightness": 0 * x, "colour": grey, "contrast": 0 * x + round(grey.mean()),
        "sharpness": smooth,
    }  # fmt: skip
    for name, base in bases.items():
        off = np.abs(done(name, magnitude, picture()) - blended(base, x, factor))
        assert off.max() <= 1.5, name


def test_values_are_changed_as_said():
    x = picture()
    assert np.array_equal(done("invert", 0, x), 255 - x)
    assert np.array_equal(done("posterize", -0.5, x), x & 0b11111100)
    assert np.array_equal(done("posterize", 1, x, WIDE), x & 0b11000000)
    assert np.array_equal(done("solarize", 0.25, x), np.where(x < 192, x, 255 - x))
    assert np.array_equal(done("solarize", 0, x), x)
    assert np.array_equal(done("identity", 1, x), x)
    narrow = (60 + x // 4).astype(np.uint8)
    low, high = narrow.min((0, 1)).astype(float), narrow.max((0, 1))
    stretched = (narrow - low) * 255 / (high - low)
    assert np.abs(done("autocontrast", 0, narrow) - stretched).max() <= 1
    for channel in range(3):
        plane = narrow[:, :, channel]
        counts = np.bincount(plane.ravel(), minlength=256)
        step = (counts.sum() - counts[counts > 0][-1]) // 255
        before = np.concatenate([[0], np.cumsum(counts)[:-1]])
        expected = np.clip((before + step // 2) // step, 0, 255)[plane]
        assert np.array_equal(done("equalize", 0, narrow)[:, :, channel], expected)


def draws(how: Augmentation, count: int) -> np.ndarray:
    return picture_draws(1, 0, 0, count, how)[:, DRAWS:]


def applied(monkeypatch, how: Augmentation, count: int = 3000) -> list[list[tuple[str, float]]]:
    """What was done to each of some pictures."""
    done: list[list[tuple[str, float]]] = []
    for name in OPERATIONS:

        def noted(image, magnitude, _ranges, name=name):
            done[-1].append((name, magnitude))
            return image

        monkeypatch.setitem(OPERATIONS, name, noted)
    for row in draws(how, count):
        done.append([])
        with_policy(np.zeros((1, 4, 4, 1), np.uint8), how, row[None])
    return done


def test_rand_draws_some_of_them_at_one_magnitude(monkeypatch):
    how = Augmentation(policy="rand", policy_ops=3, policy_magnitude=0.4, policy_chance=0.5)
    found = applied(monkeypatch, how)
    each = [one for picture in found for one in picture]
    assert len(each) / (3 * len(found)) == pytest.approx(0.5, abs=0.02)
    for name in DRAWN:
        share = sum(found == name for found, _ in each) / len(each)
        assert share == pytest.approx(1 / 14, abs=0.015)
    assert {magnitude for _, magnitude in each} == {0.4, -0.4}
    assert np.mean([magnitude > 0 for _, magnitude in each]) == pytest.approx(0.5, abs=0.03)


def test_rand_spreads_its_magnitude(monkeypatch):
    how = Augmentation(policy="rand", policy_magnitude=0.7, policy_spread=0.05)
    found = np.abs([m for picture in applied(monkeypatch, how) for _, m in picture])
    assert (found.mean(), found.std()) == (
        pytest.approx(0.7, abs=0.01),
        pytest.approx(0.05, abs=0.01),
    )


def test_trivial_draws_one_at_any_magnitude(monkeypatch):
    found = applied(monkeypatch, Augmentation(policy="trivial"))
    assert {len(picture) for picture in found} == {1}
    magnitudes = np.abs([magnitude for ((_, magnitude),) in found])
    assert len(set(magnitudes.round(6))) == 31
    assert magnitudes.mean() == pytest.approx(0.5, abs=0.02)
    assert {name for ((name, _),) in found} == set(DRAWN)


def test_auto_draws_a_pair(monkeypatch):
    found = applied(monkeypatch, Augmentation(policy="auto"))
    pairs = [tuple(name for name, _, _ in pair) for pair in IMAGENET]
    for names in {tuple(name for name, _ in picture) for picture in found}:
        assert any(set(names) <= set(pair) for pair in pairs)
    assert len(IMAGENET) == 25
    expected = np.mean([sum(chance for _, chance, _ in pair) for pair in IMAGENET])
    assert np.mean([len(picture) for picture in found]) == pytest.approx(expected, abs=0.05)
    strong = [abs(m) for picture in found for name, m in picture if name == "contrast"]
    assert set(strong) == {8 / 9}


def test_without_a_policy_nothing_is_drawn_for_it():
    assert draws_needed(Augmentation()) == 0
    how = Augmentation(policy="rand")
    many = picture_draws(7, 2, 5, 4, how)
    assert np.array_equal(many[:, :DRAWS], picture_draws(7, 2, 5, 4))
    one = picture_draws(7, 2, 8, 1, how)
    assert np.array_equal(many[3:], one)
