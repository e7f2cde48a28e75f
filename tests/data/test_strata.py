"""Images of several classes are shared out by the rarest; folds are dealt like cards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnetkit.data import prepare
from resnetkit.data.folds import fold_numbers, hold_out
from resnetkit.data.strata import class_counts, multi_hot, strata

labelled = st.lists(st.integers(0, 4), min_size=1, max_size=150).map(np.array)
several = st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), min_size=1, max_size=150)
multi_labelled = several.map(lambda rows: np.array(rows, np.uint8))
folds, seeds = st.integers(2, 7), st.integers(0, 2**40)


def spread(values: np.ndarray) -> int:
    return int(values.max() - values.min())


def test_the_rarest_class_decides():
    labels = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 0]], np.uint8)
    assert strata(labels).tolist() == [1, 2, 1, 3, 0]
    assert class_counts(labels, 3).tolist() == [4, 2, 1]
    single = np.array([2, 0, 2])
    assert np.array_equal(strata(single), single)
    assert multi_hot(single, 3).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]


@given(labelled, folds, seeds)
def test_folds_have_equal_shares_of_every_class(labels, count, seed):
    numbers = fold_numbers(labels, count, seed)
    assert set(numbers) <= set(range(1, count + 1))
    assert spread(np.bincount(numbers, minlength=count + 1)[1:]) <= 1
    for label in np.unique(labels):
        assert spread(np.bincount(numbers[labels == label], minlength=count + 1)[1:]) <= 1
    assert np.array_equal(numbers, fold_numbers(labels, count, seed))


@given(multi_labelled, folds, seeds)
def test_and_of_every_set_of_classes(labels, count, seed):
    numbers = fold_numbers(labels, count, seed)
    assert spread(np.bincount(numbers, minlength=count + 1)[1:]) <= 1
    rarest = strata(labels)
    for chosen in [rarest == group for group in np.unique(rarest)] + [
        (labels == row).all(axis=1) for row in np.unique(labels, axis=0)
    ]:
        assert spread(np.bincount(numbers[chosen], minlength=count + 1)[1:]) <= 1


@given(multi_labelled, seeds)
def test_a_share_of_images_of_several_classes(labels, seed):
    rest, held = prepare.split(labels, 0.3, seed)
    assert sorted([*rest, *held]) == list(range(len(labels)))
    groups = strata(labels)
    for group in np.unique(groups):
        count = (groups == group).sum()
        assert (groups[held] == group).sum() == min(max(1, round(count * 0.3)), count - 1)
    images = max(len(np.unique(groups)), len(labels) // 2)
    assert len(prepare.limit(labels, images, seed)) == images


def test_another_seed_makes_other_folds(fashion):
    labels = fashion.parts["train"].labels
    a, b = fold_numbers(labels, 5, 0), fold_numbers(labels, 5, 1)
    assert (a == b).mean() == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("limit", [None, 90])
def test_every_image_is_held_out_by_one_fold(limit):
    labels = np.repeat(np.arange(4), 40)
    seen = []
    for fold in (1, 2, 3):
        rest, held = hold_out(labels, 7, val_fraction=0.1, folds=3, fold=fold, limit=limit)
        assert len(rest) + len(held) == len(set(rest) | set(held)) == (limit or 160)
        seen += held.tolist()
    assert len(seen) == len(set(seen)) == (limit or 160)
