"""A shallow network answers; where it is not sure, the whole one is asked as well."""

import torch
from torch import Tensor

from resnetkit.classifier import Classifier
from resnetkit.config import Precision
from resnetkit.engine import Engine
from resnetkit.errors import UserError
from resnetkit.exits import Exit, exit_for, loss_text


class EarlyExit:
    """A model of two depths: uint8 (N, size, size, channels) -> float32 logits (N, classes).

    What it is called with is answered by the first network. Images that it is not sure of are held
    until there are as many as in the largest call: in small batches an image takes longer. `finish`
    has the last word.

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
        self._begin()

    def _begin(self) -> None:
        self._called = self._batch = 0
        self._rows: list[Tensor] = []
        self._held: list[Tensor] = []
        self._answers: list[Tensor] = []

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
            f"early exit at {loss_text(self.exit.loss)}: {self.exit.layers} layers answered "
            f"{self.exited:,} of {self.images:,} images, the whole network the others"
        )

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> Tensor:
        """What the first network says; who is not sure is held."""
        logits = self._first(batch)
        sure = logits.softmax(1).amax(1) >= self.exit.threshold
        rest = (~sure).nonzero()[:, 0].cpu()
        self._rows.append(self._called + rest)
        self._held.append(batch[rest.to(batch.device)])
        self._called += len(batch)
        self.images += len(batch)
        self.exited += len(batch) - len(rest)
        self._batch = max(self._batch, len(batch))
        if sum(map(len, self._held)) >= self._batch:
            self._ask()
        return logits

    @torch.inference_mode()
    def finish(self, outputs: Tensor) -> Tensor:
        """The answers to all calls, one below the other, with the whole network's among them."""
        if any(map(len, self._held)):
            self._ask()
        if self._answers:
            rows, answers = torch.cat(self._rows), torch.cat(self._answers)
            outputs = outputs.index_copy(0, rows.to(outputs.device), answers.to(outputs))
        self._begin()
        return outputs

    def _ask(self) -> None:
        """Ask the whole network for a batch of the images that are held, or for all of fewer."""
        held = torch.cat(self._held)
        now, later = held[: self._batch], held[self._batch :]
        self._held = [later]
        self._answers.append(self._whole(now).float().cpu())


def chosen_exit(classifier: Classifier, loss: float) -> Exit:
    """What was decided on the validation part for a loss of accuracy; raises UserError."""
    if classifier.task == "multi-label":
        raise UserError("early exit is for images with one class each")
    if not classifier.inner:
        raise UserError("early exit needs several depths: only --any-depth trains them")
    if not 0 <= loss < 1:
        raise UserError(f"--early-exit is a loss of accuracy such as 0.3%, not {loss_text(loss)}")
    exits = classifier.calibration.exits
    found = exit_for(exits, loss)
    if found is None:
        least = min((e.loss for e in exits), default=None)
        hint = f"; {loss_text(least)} does" if least is not None else ", nor does any other"
        raise UserError(f"early exit at {loss_text(loss)} saves no time with this network{hint}")
    return found
