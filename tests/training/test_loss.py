"""The loss by what labels are, against torch's own and closed forms."""

import pytest
import torch
from torch.nn import functional

from resnetkit.training.loss import loss_and_right


@pytest.fixture
def logits() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(12, 5, requires_grad=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_class_each(logits, smoothing):
    labels = torch.arange(12) % 5
    loss, right = loss_and_right(logits, labels, smoothing)
    expected = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(loss / 12, expected)
    assert right == (logits.argmax(1) == labels).sum()


def test_several_classes(logits):
    labels = (torch.rand(12, 5) < 0.4).to(torch.uint8)
    loss, right = loss_and_right(logits, labels, 0.0)
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
    (gradient,) = torch.autograd.grad(loss_and_right(best, labels, 0.2)[0], best)
    torch.testing.assert_close(gradient, torch.zeros(1, 2), atol=1e-6, rtol=0)


def test_pieces_add_up(logits):
    labels = (torch.rand(12, 5) < 0.4).to(torch.uint8)
    whole = loss_and_right(logits, labels, 0.1)
    halves = [loss_and_right(logits[i : i + 6], labels[i : i + 6], 0.1) for i in (0, 6)]
    torch.testing.assert_close(whole[0], halves[0][0] + halves[1][0])
    assert whole[1] == halves[0][1] + halves[1][1]
