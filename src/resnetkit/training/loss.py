"""The loss of a batch and how many of it are right, by what its labels are."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.training.recipe import Recipe

THERE = 0.2
"""Share of a mixed picture from which on binary cross-entropy takes its class to be on it, as the
training of ResNet strikes back (Wightman 2021, arXiv 2110.00476) does."""


Kind = Literal["choice", "yes-no", "several"]
"""One class among all (cross-entropy), or a yes or no for each (binary cross-entropy): of images
with one class, or with several."""


@dataclass(frozen=True)
class Loss:
    """What a recipe's network is trained to make small.

    An image's binary cross-entropy is the sum over classes: its gradient by a logit is probability
    - label, as that of cross-entropy is, so that one learning rate serves both.

    Attributes:
        kind: what is asked of the network.
        smoothing: share of a label that is spread over all classes; of several classes an image,
            the share of each class's 0 or 1 that becomes 0.5.
    """

    kind: Kind = "choice"
    smoothing: float = 0.0

    @classmethod
    def of(cls, recipe: Recipe) -> "Loss":
        """That of a resolved recipe."""
        one: Kind = "yes-no" if recipe.optimiser.loss == "bce" else "choice"
        kind: Kind = "several" if recipe.data.multi_label else one
        return cls(kind, recipe.optimiser.label_smoothing)

    def __call__(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The sum of the images' losses, and how many have a label for their likeliest class.

        Args:
            logits: float32 (images, classes).
            labels: int64 (images,); or (images, classes): uint8, 1 for each class that an image
                has, or float32, how much of each a mixed picture has.

        Returns:
            Two scalars on the logits' device, float32 and int64 or float32.
        """
        likeliest = logits.detach().argmax(1)
        if labels.ndim == 1:
            right = (likeliest == labels).sum()
        else:
            kind = torch.int64 if labels.dtype == torch.uint8 else labels.dtype
            right = labels.gather(1, likeliest[:, None]).sum(dtype=kind)
        if self.kind == "choice":
            entropy = functional.cross_entropy
            return entropy(logits, labels, reduction="sum", label_smoothing=self.smoothing), right
        targets = self._targets(labels, logits.shape[1])
        loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        return loss, right

    def _targets(self, labels: Tensor, classes: int) -> Tensor:
        """Of binary cross-entropy: float32 (images, classes)."""
        if labels.ndim == 1:
            labels = functional.one_hot(labels, classes)
        elif self.kind == "yes-no":
            labels = labels > THERE
        spread = self.smoothing / (2 if self.kind == "several" else classes)
        return labels.float() * (1 - self.smoothing) + spread

    def taught(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """The sum of the images' losses where another network's answers are the labels (Hinton
        2015, arXiv 1503.02531, at temperature 1).

        Args:
            logits: float32 (images, classes).
            teacher: logits of the same shape; no gradient reaches them.
        """
        teacher = teacher.detach()
        if self.kind == "choice":
            return functional.cross_entropy(logits, teacher.softmax(1), reduction="sum")
        entropy = functional.binary_cross_entropy_with_logits
        return entropy(logits, teacher.sigmoid(), reduction="sum")


def more_metrics(judged: Result | MultiLabelResult) -> dict[str, float | None]:
    """What a line of metrics.jsonl has besides the keys that all have."""
    return {"val_map": judged.map} if isinstance(judged, MultiLabelResult) else {}
