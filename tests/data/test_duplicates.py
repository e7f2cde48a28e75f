"""The same picture is found again after what people do to pictures; others are not taken for it."""

import io

import numpy as np
import pytest
from PIL import Image

from resnetkit.data import duplicates
from resnetkit.data.duplicates import SIDE, near_pairs
from resnetkit.data.examine import joined


def thumb(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def jpeg(picture: Image.Image) -> Image.Image:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return Image.open(out)


def shifted(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.pad(np.asarray(picture), 1, mode="edge")[2:, :-2])


CHANGES = {
    "resized": lambda p: p.resize((41, 41), Image.Resampling.BICUBIC),
    "shrunk": lambda p: p.resize((22, 22)),
    "recompressed": jpeg,
    "shifted": shifted,
    "both": lambda p: jpeg(p.resize((56, 56))),
}


@pytest.fixture(scope="module")
def pictures(fashion) -> list[Image.Image]:
    """Of every class, that no two look alike in themselves."""
    source = fashion.parts["train"]
    return [Image.fromarray(source.image(i)[:, :, 0]) for i in range(40, 160)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(pictures, change):
    both = [thumb(p) for p in pictures] + [thumb(CHANGES[change](p)) for p in pictures]
    tints = np.zeros((len(both), 3), np.uint8)
    found = near_pairs(np.stack(both), tints, np.zeros(len(both), np.int64)).tolist()
    right = sum([i, i + len(pictures)] in found for i in range(len(pictures)))
    least = 0.85 if change == "shrunk" else 0.93
    assert right >= least * len(pictures)
    wrong = [pair for pair in found if pair[1] - pair[0] != len(pictures)]
    assert len(wrong) <= 2


def test_another_colour_is_another_picture(pictures):
    thumbs = np.stack([thumb(pictures[0])] * 2)
    same, groups = np.full((2, 3), 100, np.uint8), np.zeros(2, np.int64)
    assert near_pairs(thumbs, same, groups).tolist() == [[0, 1]]
    same[1, 2] += 40
    assert not len(near_pairs(thumbs, same, groups))


def test_pictures_without_content_have_no_twins():
    flat = np.full((5, SIDE, SIDE), 200, np.uint8)
    assert not len(near_pairs(flat, np.zeros((5, 3), np.uint8), np.zeros(5, np.int64)))
    assert not len(near_pairs(flat[:0], np.zeros((0, 3), np.uint8), np.zeros(0, np.int64)))


def test_too_many_are_compared_within_their_groups_only(pictures, monkeypatch):
    thumbs = np.stack([thumb(pictures[0])] * 6)
    tints, groups = np.zeros((6, 3), np.uint8), np.array([0, 0, 1, 1, 2, 2])
    assert len(near_pairs(thumbs, tints, groups)) == 15
    monkeypatch.setattr(duplicates, "MOST_COMPARED", 20)
    assert near_pairs(thumbs, tints, groups).tolist() == [[0, 1], [2, 3], [4, 5]]
    monkeypatch.setattr(duplicates, "MOST_COMPARED", 5)
    assert not len(near_pairs(thumbs, tints, groups))


def test_a_film_is_one_group_of_few_pairs(pictures):
    """All pairs of frames that are alike would be as many as their square."""
    noise = np.random.default_rng(0).normal(0, 1, (400, SIDE, SIDE))
    frames = np.clip(thumb(pictures[0]) + noise, 0, 255).astype(np.uint8)
    found = near_pairs(frames, np.zeros((400, 3), np.uint8), np.zeros(400, np.int64))
    assert len(found) <= 400 * duplicates.NEAREST
    assert joined(found) == [list(range(400))]
