"""Counting where an image has several classes: against torchmetrics and by hand."""

import json

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as oracle

from resnetkit.metrics import judge
from resnetkit.multilabel import average_precision, judge_multi_label, precision_recall

NAMES = tuple("abcdefg")


@pytest.fixture(scope="module")
def judged():
    generator = np.random.default_rng(0)
    labels = (generator.random((400, 7)) < [0.5, 0.3, 0.1, 0.05, 0.02, 0.9, 0.2]).astype(np.uint8)
    logits = generator.normal(size=(400, 7)).astype(np.float32) + labels - 0.5
    logits[:, 2] = logits[:, 2].round()  # many equal scores
    return judge_multi_label(logits, labels, NAMES), torch.tensor(logits), torch.tensor(labels)


def test_against_torchmetrics(judged):
    result, logits, labels = judged
    theirs = oracle.multilabel_average_precision(logits, labels.long(), 7, average="none")
    assert [row.ap for row in result.classes] == pytest.approx(theirs.tolist(), abs=1e-6)
    theirs = oracle.multilabel_average_precision(logits, labels.long(), 7, average="macro")
    assert result.map == pytest.approx(theirs.item(), abs=1e-6)
    for name in ("recall", "precision", "f1"):
        score = {"f1": "f1_score"}.get(name, name)
        theirs = getattr(oracle, f"multilabel_{score}")(logits, labels, 7, average="none")
        ours = [getattr(row, name) for row in result.classes]
        assert ours == pytest.approx(theirs.tolist(), abs=1e-6)
    theirs = oracle.binary_calibration_error(logits.sigmoid().ravel(), labels.ravel(), n_bins=15)
    assert result.ece == pytest.approx(theirs.item(), abs=1e-6)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
    assert result.loss == pytest.approx(7 * loss.item(), rel=1e-6)
    assert [row.images for row in result.classes] == labels.sum(0).tolist()


@pytest.mark.filterwarnings("ignore:No positive samples")
def test_a_class_without_images_is_left_out_of_the_mean():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, (30, 3))
    labels[:, 1] = 0
    logits = generator.normal(size=(30, 3))
    result = judge_multi_label(logits, labels, ("a", "b", "c"))
    assert result.classes[1].ap is None
    theirs = oracle.multilabel_average_precision(
        torch.tensor(logits), torch.tensor(labels), 3, average="none"
    )
    assert result.map == pytest.approx(theirs[[0, 2]].mean().item())
    none = judge_multi_label(logits, np.zeros_like(labels), ("a", "b", "c"))
    assert (none.map, none.top1, none.top5) == (None, 0.0, 0.0)
    assert json.loads(json.dumps(none.to_dict()))["map"] is None


def test_the_likeliest_class_counts():
    """Images: its likeliest class is right; only the second; it has no class."""
    logits = np.array([[3, 2, 1], [1, 2, 3], [1, 2, 3]])
    labels = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    result = judge_multi_label(logits, labels, ("a", "b", "c"))
    assert (result.top1, result.top5) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_one_class_each_has_the_top1_of_one_class():
    generator = np.random.default_rng(2)
    logits, labels = generator.normal(size=(50, 7)), generator.integers(0, 7, 50)
    several = judge_multi_label(logits, np.eye(7)[labels], NAMES)
    one = judge(logits, labels, NAMES)
    assert (several.top1, several.top5, several.interval) == (one.top1, one.top5, one.interval)


def test_average_precision_by_hand():
    """Right, wrong, right: precision 1 at recall 1/2, then 2/3 at recall 1."""
    has = np.array([True, False, True])
    assert average_precision(np.array([3.0, 2.0, 1.0]), has) == pytest.approx((1 + 2 / 3) / 2)
    precision, recall = precision_recall(np.array([3.0, 2.0, 1.0]), has)
    assert (precision.tolist(), recall.tolist()) == ([1, 1 / 2, 2 / 3], [0.5, 0.5, 1])
    assert average_precision(np.zeros(3), has) == pytest.approx(2 / 3)


def test_logits_far_out_do_not_overflow():
    result = judge_multi_label(np.array([[900.0, -900.0]]), np.array([[1, 0]]), ("a", "b"))
    assert (result.loss, result.ece) == (0.0, 0.0)
    wrong = judge_multi_label(np.array([[900.0, -900.0]]), np.array([[0, 1]]), ("a", "b"))
    assert wrong.loss == 1800.0
