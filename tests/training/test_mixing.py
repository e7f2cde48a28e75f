"""Mixup and CutMix: pictures and labels go together, drawn by (seed, step)."""

import numpy as np
import pytest
import torch
from tests.training.runs import assert_equal_bits, stop_and_resume, train

import resnetkit as rk
from resnetkit.data.augmentation import Augmentation
from resnetkit.training.mixing import mixed

X = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 20, 30).contiguous()
LABELS = torch.tensor([0, 1, 2, 3, 3])


def some(step: int = 0, labels: torch.Tensor = LABELS, seed: int = 7, **how: float):
    return mixed(X, labels, Augmentation(**how), 4, seed=seed, step=step)


def shares(found: torch.Tensor) -> np.ndarray:
    """How much of the picture itself each has: labels 0 to 3, then 3 after 3."""
    return found[torch.arange(3), LABELS[:3]].numpy()


def test_mixup_is_the_mean_of_pictures_and_labels():
    x, labels = some(mixup=0.5)
    share = shares(labels)[0]
    assert 0 < share < 1
    expected = share * X + (1 - share) * torch.cat([X[-1:], X[:-1]])
    torch.testing.assert_close(x, expected)
    assert labels.sum(1).tolist() == pytest.approx([1] * 5)
    assert labels[0].tolist() == pytest.approx([share, 0, 0, 1 - share])
    assert labels[4].tolist() == pytest.approx([0, 0, 0, 1])


def test_cutmix_puts_a_box_of_another_picture_in():
    inside = 0
    for step in range(50):
        x, labels = some(step, cutmix=1.0)
        others = torch.cat([X[-1:], X[:-1]])
        from_other = (x == others) & (x != X)
        rows, columns = from_other[0, 0].any(1).nonzero(), from_other[0, 0].any(0).nonzero()
        assert torch.equal(x[~from_other], X[~from_other])
        height, width = len(rows), len(columns)
        assert from_other[0, 0].sum() == height * width
        assert shares(labels) == pytest.approx(1 - height * width / 600)
        ends = [*rows[:1], *(19 - rows[-1:]), *columns[:1], *(29 - columns[-1:])]
        if ends and all(end > 0 for end in ends):  # it does not reach over the edge
            inside += 1
            assert abs(height / 20 - width / 30) < 0.1
    assert inside > 3


@pytest.mark.parametrize(("alpha", "variance"), [(1.0, 1 / 12), (0.2, 1 / 4 / 1.4)])
def test_the_share_has_the_distribution_asked_for(alpha, variance):
    found = np.array([shares(some(step, mixup=alpha)[1])[0] for step in range(2000)])
    assert found.mean() == pytest.approx(0.5, abs=0.04)
    assert found.var() == pytest.approx(variance, rel=0.1)


def test_either_of_both():
    def is_cut(step: int) -> bool:
        x, _ = some(step, mixup=1.0, cutmix=1.0)
        return torch.equal(x, x.round())

    assert np.mean([is_cut(step) for step in range(300)]) == pytest.approx(0.5, abs=0.1)


def test_it_belongs_to_seed_and_step():
    once, again = some(3, mixup=1.0), some(3, mixup=1.0)
    assert torch.equal(once[0], again[0])
    assert not torch.equal(once[0], some(4, mixup=1.0)[0])
    assert not torch.equal(once[0], some(3, mixup=1.0, seed=8)[0])


def test_several_classes_an_image_and_nothing_to_mix():
    labels = torch.tensor([[1, 1, 0, 0]] * 4 + [[0, 0, 0, 1]], dtype=torch.uint8)
    _, found = some(labels=labels, mixup=0.5)
    share = 1 - found[0, 3]
    torch.testing.assert_close(found[0], torch.tensor([share, share, 0, 1 - share]))
    x, same = some()
    assert x is X
    assert same is LABELS


def test_pictures_that_are_alone_cannot_be_mixed(tmp_path):
    with pytest.raises(rk.UserError, match="some are alone: raise --batch-size"):
        train(tmp_path / "run", mixup=0.2, accumulate=32)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "how",
    [{"mixup": 0.2, "cutmix": 1.0, "loss": "bce", "accumulate": 3}, {"policy": "rand"}],
)
def test_a_run_is_stopped_and_resumed_in_the_same_bits(how, tmp_path, monkeypatch):
    train(tmp_path / "whole", **how)
    stop_and_resume(tmp_path / "stopped", 13, monkeypatch, **how)
    assert_equal_bits(tmp_path / "whole", tmp_path / "stopped")
