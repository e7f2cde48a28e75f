"""The loss of a batch and how many of it are right, by what its labels are."""

import torch
from torch.nn import functional

from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult


def loss_and_right(
    logits: torch.Tensor, labels: torch.Tensor, smoothing: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum of the images' losses, and how many have a label for their likeliest class.

    Args:
        logits: float32 (images, classes).
        labels: int64 (images,): cross-entropy. Or uint8 (images, classes), 1 for each class that
            an image has: binary cross-entropy, an image's loss being the sum over classes. Its
            gradient by a logit is probability - label, as that of cross-entropy is, so that one
            learning rate serves both; the mean over classes would make it that much smaller.
        smoothing: share of a label that is spread over all classes; of several, the share of
            each class's 0 or 1 that becomes 0.5.

    Returns:
        Two scalars on the logits' device, float32 and int64.
    """
    likeliest = logits.detach().argmax(1)
    if labels.ndim == 1:
        loss = functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
        return loss, (likeliest == labels).sum()
    targets = labels.float() * (1 - smoothing) + smoothing / 2
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return loss, labels.gather(1, likeliest[:, None]).sum(dtype=torch.int64)


def taught_loss(logits: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum of the images' losses where another network's answers are the labels (Hinton 2015,
    arXiv 1503.02531, at temperature 1).

    Args:
        logits: float32 (images, classes).
        teacher: logits of the same shape; no gradient reaches them.
        labels: as of `loss_and_right`: they say of which kind the loss is.
    """
    teacher = teacher.detach()
    if labels.ndim == 1:
        return functional.cross_entropy(logits, teacher.softmax(1), reduction="sum")
    return functional.binary_cross_entropy_with_logits(logits, teacher.sigmoid(), reduction="sum")


def more_metrics(judged: Result | MultiLabelResult) -> dict[str, float | None]:
    """What a line of metrics.jsonl has besides the keys that all have."""
    return {"val_map": judged.map} if isinstance(judged, MultiLabelResult) else {}
