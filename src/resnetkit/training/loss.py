"""The loss of a batch and how many of it are right, by what its labels are."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.training.rarity import class_weights, shares
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
        weights: what the loss of an image of each class is multiplied by, float32 (classes,); None:
            all count alike.
        shift: what is added to the logits, float32 (classes,): who learns with it answers without
            it as if all classes were as frequent (Menon 2020, arXiv 2007.07314, equation 10).
        focal: by this power of what its label lacks of certainty an image, of several classes each
            of them, counts less (Lin 2017, arXiv 1708.02002, section 3.2).
    """

    kind: Kind = "choice"
    smoothing: float = 0.0
    weights: Tensor | None = None
    shift: Tensor | None = None
    focal: float = 0.0

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        classes: tuple[str, ...] = (),
        labels: np.ndarray | None = None,
        device: torch.device | None = None,
    ) -> "Loss":
        """That of a resolved recipe.

        Args:
            recipe: what is asked for.
            classes: their names.
            labels: of the training images, from which rare classes are known.
            device: that computes.
        """
        balance, weights, shift = recipe.balance, None, None
        if labels is None and (balance.class_weights or balance.logit_adjust):
            raise ValueError("rare classes are known from the labels of the training images")
        if labels is not None:
            weights = class_weights(balance, classes, labels)
            if balance.logit_adjust:
                shift = np.float32(balance.logit_adjust * np.log(shares(labels, len(classes))))
        one: Kind = "yes-no" if recipe.optimiser.loss == "bce" else "choice"
        return cls(
            "several" if recipe.data.multi_label else one,
            recipe.optimiser.label_smoothing,
            None if weights is None else torch.from_numpy(weights).to(device),
            None if shift is None else torch.from_numpy(shift).to(device),
            balance.focal,
        )

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
        if self.shift is not None:
            logits = logits + self.shift
        by_image = self.weights is not None or self.focal > 0
        losses = self._losses(logits, labels, "none" if by_image else "sum")
        if self.weights is not None:
            mixed = labels.ndim == 2
            weights = labels.float() @ self.weights if mixed else self.weights[labels]
            losses = losses * weights.view(-1, *[1] * (losses.ndim - 1))
        return losses.sum(), right

    def _losses(self, logits: Tensor, labels: Tensor, reduction: str) -> Tensor:
        """Of the images, (images,); of their classes, (images, classes); or the sum of all."""
        if self.kind == "choice":
            losses = functional.cross_entropy(
                logits, labels, reduction=reduction, label_smoothing=self.smoothing
            )
            if self.focal:
                sure = logits.softmax(1)
                sure = (sure * labels).sum(1) if labels.ndim == 2 else _at(sure, labels)
                losses = losses * _power(1 - sure, self.focal)
            return losses
        targets = self._targets(labels, logits.shape[1])
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction=reduction)
        if self.focal:
            losses = losses * _power((targets - logits.sigmoid()).abs(), self.focal)
        return losses

    def _targets(self, labels: Tensor, classes: int) -> Tensor:
        """Of binary cross-entropy: float32 (images, classes)."""
        if labels.ndim == 1:
            labels = functional.one_hot(labels, classes)
        elif self.kind == "yes-no":
            labels = labels > THERE
        spread = self.smoothing / (2 if self.kind == "several" else classes)
        return labels.float() * (1 - self.smoothing) + spread

    def taught(self, logits: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """The sum of the images' losses where another network's answers are the labels.

        Both are softened by a temperature, and the loss is multiplied by its square, so that its
        gradient is as long whatever it is (Hinton 2015, arXiv 1503.02531, section 2).

        Args:
            logits: float32 (images, classes).
            teacher: logits of the same shape; no gradient reaches them.
            temperature: what both are divided by.
        """
        logits, teacher = logits / temperature, teacher.detach() / temperature
        if self.kind == "choice":
            loss = functional.cross_entropy(logits, teacher.softmax(1), reduction="sum")
        else:
            loss = functional.binary_cross_entropy_with_logits(
                logits, teacher.sigmoid(), reduction="sum"
            )
        return loss * temperature**2


def _power(doubt: Tensor, focal: float) -> Tensor:
    """What a label lacks of certainty, to a power whose gradient is finite at 0 as well."""
    return doubt.clamp_min(1e-6) ** focal


def _at(values: Tensor, labels: Tensor) -> Tensor:
    """Of every row the value in the column of its label."""
    return values.gather(1, labels[:, None])[:, 0]


def more_metrics(judged: Result | MultiLabelResult) -> dict[str, float | None]:
    """What a line of metrics.jsonl has besides the keys that all have."""
    return {"val_map": judged.map} if isinstance(judged, MultiLabelResult) else {}
