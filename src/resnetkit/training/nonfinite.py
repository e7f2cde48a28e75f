"""Where a loss or a gradient stopped being a number: found by computing the step once more."""

from dataclasses import dataclass

import torch
from torch import nn

from resnetkit.errors import UserError
from resnetkit.nets.network import Network

MOST_NAMED = 8
"""Up to so many of the batch's indices are named in an error's line."""


@dataclass(frozen=True)
class NonFinite:
    """A step whose loss or gradient is not finite; it was not applied.

    Attributes:
        step: counted from 0.
        tensor: the first that is not finite, in the order of computing.
        indices: of the images in the batch, all ranks together.
    """

    step: int
    tensor: str
    indices: tuple[int, ...]

    def __str__(self) -> str:
        """In a few words, for an error's line."""
        named = ", ".join(map(str, self.indices[:MOST_NAMED]))
        more = ", ..." if len(self.indices) > MOST_NAMED else ""
        return f"step {self.step}: {self.tensor} is not finite (batch of images {named}{more})"


class Diverged(UserError):
    """A run ended for its numbers are no longer finite."""


class ForwardWatch:
    """Within the block, remembers the first module of a network whose output is not finite."""

    def __init__(self, net: nn.Module):
        self.first = ""
        self._handles = [
            module.register_forward_hook(lambda _m, _x, out, name=name: self._look(name, out))
            for name, module in net.named_modules()
            if not list(module.children())
        ]

    def _look(self, name: str, out: torch.Tensor) -> None:
        if not self.first and not out.isfinite().all():
            self.first = f"the output of {name}"

    def __enter__(self) -> "ForwardWatch":
        """Watch."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()


def first_bad_gradient(net: Network) -> str:
    """The parameter nearest to the loss whose gradient is not finite; empty when all are."""
    for name, parameter in reversed(list(net.named_parameters())):
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            return f"the gradient of {name}"
    return ""
