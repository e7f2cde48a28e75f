"""The loss by what labels are, against torch's own and closed forms."""

import pytest
import torch
from torch.nn import functional

from resnetkit.training.loss import Loss


@pytest.fixture
def logits() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(12, 5, requires_grad=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_class_each(logits, smoothing):
    labels = torch.arange(12) % 5
    loss, right = Loss(smoothing=smoothing)(logits, labels)
    expected = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(loss / 12, expected)
    assert right == (logits.argmax(1) == labels).sum()


def test_several_classes(logits):
    labels = (torch.rand(12, 5) < 0.4).to(torch.uint8)
    loss, right = Loss("several")(logits, labels)
    expected = torch.nn.BCEWithLogitsLoss(reduction="sum")(logits, labels.float())
    torch.testing.assert_close(loss, expected)
    assert right == sum(bool(row[best]) for row, best in zip(labels, logits.argmax(1), strict=True))
    assert right.dtype == torch.int64
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, logits.sigmoid() - labels)


def test_smoothed_labels_are_nearer_to_a_half(logits):
    """The loss is least where the probability of a class that is there is 0.9, and 0.1 else."""
    labels = torch.tensor([[1, 0]], dtype=torch.uint8)
    best = torch.tensor([[0.9, 0.1]]).logit().requires_grad_()
    loss, _ = Loss("several", 0.2)(best, labels)
    (gradient,) = torch.autograd.grad(loss, best)
    torch.testing.assert_close(gradient, torch.zeros(1, 2), atol=1e-6, rtol=0)


def test_pieces_add_up(logits):
    labels = (torch.rand(12, 5) < 0.4).to(torch.uint8)
    judge = Loss("several", 0.1)
    whole = judge(logits, labels)
    halves = [judge(logits[i : i + 6], labels[i : i + 6]) for i in (0, 6)]
    torch.testing.assert_close(whole[0], halves[0][0] + halves[1][0])
    assert whole[1] == halves[0][1] + halves[1][1]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_yes_or_no_for_each_class(logits, smoothing):
    labels = torch.arange(12) % 5
    loss, right = Loss("yes-no", smoothing)(logits, labels)
    targets = torch.full((12, 5), smoothing / 5)
    targets[torch.arange(12), labels] += 1 - smoothing
    expected = torch.nn.BCEWithLogitsLoss(reduction="sum")(logits, targets)
    torch.testing.assert_close(loss, expected)
    assert right == (logits.argmax(1) == labels).sum()


def test_mixed_labels(logits):
    labels, others = torch.arange(12) % 5, (torch.arange(12) + 2) % 5
    both = [functional.one_hot(each, 5).float() for each in (labels, others)]
    loss, right = Loss(smoothing=0.1)(logits, 0.7 * both[0] + 0.3 * both[1])
    each = [Loss(smoothing=0.1)(logits, some) for some in (labels, others)]
    torch.testing.assert_close(loss, 0.7 * each[0][0] + 0.3 * each[1][0])
    torch.testing.assert_close(right, 0.7 * each[0][1] + 0.3 * each[1][1])
    for share, there in ((0.7, both[0] + both[1]), (0.9, both[0])):  # a tenth is not there
        loss, _ = Loss("yes-no")(logits, share * both[0] + (1 - share) * both[1])
        torch.testing.assert_close(
            loss, functional.binary_cross_entropy_with_logits(logits, there, reduction="sum")
        )
    several = Loss("several")(logits, 0.7 * both[0] + 0.3 * both[1])[0]
    targets = 0.7 * both[0] + 0.3 * both[1]
    torch.testing.assert_close(
        several, functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    )
