"""LARS and LAMB: every tensor takes a step in proportion to its own length, for large batches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class _ByTensor(torch.optim.Optimizer, ABC):
    """What both share: steps that happen whole or, where the gradients are not finite, not at all.

    Attributes:
        found_inf: a scalar on the device; where it is not 0, a step changes nothing.
    """

    found_inf: Tensor | None = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # ty: ignore
        """Apply the gradients of all parameters that have one."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    self._keep(parameter, state, self._stepped(parameter, state, group))

    @abstractmethod
    def _stepped(self, p: Tensor, state: dict, group: dict) -> tuple[Tensor, dict[str, Tensor]]:
        """The parameter and its state after a step."""

    def _keep(self, p: Tensor, state: dict, after: tuple[Tensor, dict[str, Tensor]]) -> None:
        new, changed = after
        for old, value in [(p, new), *((state[name], value) for name, value in changed.items())]:
            skip = self.found_inf
            old.copy_(value if skip is None else torch.where(skip > 0, old, value))


class Lars(_ByTensor):
    """SGD with momentum, its rate scaled tensor by tensor.

    You 2017 (arXiv 1708.03888), algorithm 1.

    Args:
        groups: of parameters; one with `scaled` False, norms and biases, is taken as by SGD.
        lr: the rate.
        momentum: of the steps.
        weight_decay: pull towards zero.
        trust: length of a step over that of the tensor, at rate 1.
    """

    def __init__(
        self, groups: Iterable, lr: float, momentum: float, weight_decay: float, trust: float
    ):
        decays: dict[str, Any] = {"momentum": momentum, "weight_decay": weight_decay}
        super().__init__(groups, {"lr": lr, "trust": trust, "scaled": True, **decays})

    def _stepped(self, p: Tensor, state: dict, group: dict) -> tuple[Tensor, dict[str, Tensor]]:
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        gradient, decay, rate = p.grad, group["weight_decay"], group["lr"]
        assert gradient is not None
        pull = gradient + decay * p
        if group["scaled"]:
            length, pulls = p.norm(), gradient.norm() + decay * p.norm()
            scaled = group["trust"] * length / pulls
            rate = rate * torch.where((length > 0) & (pulls > 0), scaled, 1)
        velocity = group["momentum"] * state["momentum_buffer"] + rate * pull
        return p - velocity, {"momentum_buffer": velocity}


class Lamb(_ByTensor):
    """Adam's direction, as long as the tensor itself (You 2019, arXiv 1904.00962, algorithm 2).

    Args:
        groups: of parameters; one with `scaled` False, norms and biases, is taken as by Adam.
        lr: length of a step over that of the tensor.
        weight_decay: pull towards zero, part of the direction.
        betas: of the means of gradients and of their squares.
        eps: added to the root of the squares.
    """

    def __init__(
        self,
        groups: Iterable,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
    ):
        fixed: dict[str, Any] = {"weight_decay": weight_decay, "betas": betas, "eps": eps}
        super().__init__(groups, {"lr": lr, "scaled": True, **fixed})

    def _stepped(self, p: Tensor, state: dict, group: dict) -> tuple[Tensor, dict[str, Tensor]]:
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=p.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
        gradient, (slow, slower), decay = p.grad, group["betas"], group["weight_decay"]
        assert gradient is not None
        count = state["step"] + 1
        mean = slow * state["exp_avg"] + (1 - slow) * gradient
        square = slower * state["exp_avg_sq"] + (1 - slower) * gradient * gradient
        root = (square / (1 - slower**count)).sqrt() + group["eps"]
        direction = mean / (1 - slow**count) / root + decay * p
        rate = group["lr"]
        if group["scaled"]:
            length, far = p.norm(), direction.norm()
            rate = rate * torch.where((length > 0) & (far > 0), length / far, 1)
        return p - rate * direction, {"step": count, "exp_avg": mean, "exp_avg_sq": square}
