"""A shallow network answers; where it is not sure, the whole one is asked as well."""

import torch
from torch import Tensor

from resnetkit.classifier import Classifier
from resnetkit.config import Precision
from resnetkit.engine import Engine
from resnetkit.errors import UserError
from resnetkit.exits import Exit, exit_for

PIECES = 8
"""The whole network is asked for an eighth of a batch at a time: rounded up, its batches are of one
size, for which weights are laid out once."""


class EarlyExit:
    """A model of two depths: uint8 (N, size, size, channels) -> float32 logits (N, classes).

    Logits are those of the network that has the last word.

    Args:
        chosen: when the first network's answer stays.
        first, whole: the networks.

    Attributes:
        exit: when the first network's answer stays.
        images, exited: that it was asked for so far, and that the first network answered.
    """

    def __init__(self, chosen: Exit, first: Engine, whole: Engine):
        self.exit, self._first, self._whole = chosen, first, whole
        self.images = self.exited = 0

    @classmethod
    def of(cls, classifier: Classifier, loss: float, precision: Precision = "auto") -> "EarlyExit":
        """What was chosen for a loss of accuracy on the validation part.

        Args:
            classifier: trained with `--any-depth`, of images with one class each.
            loss: that is allowed, such as 0.003.
            precision: as `Classifier.engine` has it.

        Raises:
            UserError: it has one depth, or none of its depths saves time at such a loss.
        """
        chosen = chosen_exit(classifier, loss)
        first, whole = classifier.at(chosen.layers), classifier.at(classifier.net.layers)
        return cls(chosen, first.engine(precision), whole.engine(precision))

    @property
    def told(self) -> str:
        """How it went, in a line."""
        return (
            f"early exit at {self.exit.loss:.1%}: {self.exit.layers} layers answered "
            f"{self.exited:,} of {self.images:,} images, the whole network the others"
        )

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> Tensor:
        """Ask the shallow network for all, the whole one for the rest."""
        logits = self._first(batch)
        sure = logits.softmax(1).amax(1) >= self.exit.threshold
        rest, size = (~sure).nonzero()[:, 0], -(-len(batch) // PIECES)
        for some in rest.split(size) if len(rest) else ():
            logits[some] = self._asked(batch, some, size)
        self.images += len(batch)
        self.exited += len(batch) - len(rest)
        return logits

    def _asked(self, batch: Tensor, some: Tensor, size: int) -> Tensor:
        """What the whole network says of some images of a batch, filled up to a size."""
        filled = torch.cat([some, some[:1].expand(size - len(some))])
        return self._whole(batch[filled.to(batch.device)])[: len(some)]


def chosen_exit(classifier: Classifier, loss: float) -> Exit:
    """What was decided on the validation part for a loss of accuracy; raises UserError."""
    if classifier.task == "multi-label":
        raise UserError("early exit is for images with one class each")
    if not classifier.inner:
        raise UserError("early exit needs several depths: only --any-depth trains them")
    if not 0 <= loss < 1:
        raise UserError(f"--early-exit is a loss of accuracy such as 0.3%, not {loss:.2%}")
    exits = classifier.calibration.exits
    found = exit_for(exits, loss)
    if found is None:
        least = min((e.loss for e in exits), default=None)
        hint = f"; {least:.1%} does" if least is not None else ", nor does any other"
        raise UserError(f"early exit at {loss:.1%} saves no time with this network{hint}")
    return found
