"""Against torchmetrics, scipy-free closed forms, and counting by hand."""

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as oracle

from resnetkit.metrics import judge, top_k, wilson_interval

NAMES = tuple("abcdefg")


@pytest.fixture(scope="module")
def judged():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 7, 500)
    logits = generator.normal(size=(500, 7)).astype(np.float32)
    logits[np.arange(500), labels] += 1.5
    return judge(logits, labels, NAMES), torch.from_numpy(logits), torch.from_numpy(labels)


def test_against_torchmetrics(judged):
    result, logits, labels = judged
    options = {"num_classes": 7, "average": "micro"}
    assert result.top1 == pytest.approx(
        oracle.multiclass_accuracy(logits, labels, **options).item()
    )
    top5 = oracle.multiclass_accuracy(logits, labels, top_k=5, **options).item()
    assert result.top5 == pytest.approx(top5)
    ece = oracle.multiclass_calibration_error(logits.softmax(1), labels, num_classes=7, n_bins=15)
    assert result.ece == pytest.approx(ece.item(), abs=1e-6)
    loss = torch.nn.functional.cross_entropy(logits, labels).item()
    assert result.loss == pytest.approx(loss, rel=1e-6)
    confusion = oracle.multiclass_confusion_matrix(logits, labels, num_classes=7).numpy()
    assert np.array_equal(result.confusion, confusion)
    for name in ("recall", "precision", "f1"):
        score = {"f1": "f1_score"}.get(name, name)
        theirs = getattr(oracle, f"multiclass_{score}")(
            logits, labels, num_classes=7, average="none"
        )
        ours = [getattr(row, name) for row in result.classes]
        assert ours == pytest.approx(theirs.tolist(), abs=1e-6)


@pytest.mark.parametrize(("right", "images"), [(0, 10), (10, 10), (919, 1000), (1, 3)])
def test_wilsons_interval_solves_its_equation(right, images):
    """Its ends are the shares p with |right/n - p| = z * sqrt(p (1 - p) / n)."""
    share, z = right / images, 1.959964
    for end in wilson_interval(right, images):
        assert abs(share - end) == pytest.approx(z * np.sqrt(end * (1 - end) / images), abs=1e-7)


def test_ties_and_few_classes():
    assert top_k(np.zeros((4, 3)), np.array([0, 1, 2, 0]), 5) == 1.0


def test_classes_without_images_count_nothing():
    result = judge(np.eye(3, dtype=np.float32)[:2], np.array([0, 1]), ("a", "b", "c"))
    assert result.top1 == 1.0
    assert result.classes[2].images == 0
    assert result.classes[2].f1 == 0.0
