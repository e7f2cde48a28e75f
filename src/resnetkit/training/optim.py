"""Optimisers from a recipe, and the moving average of weights."""

import copy
from collections.abc import Mapping
from typing import Generic, TypeVar

import torch
from torch import nn

from resnetkit.training.large_batch import Lamb, Lars
from resnetkit.training.recipe import OptimiserRecipe

Net = TypeVar("Net", bound=nn.Module)


class Optimiser:
    """The recipe's optimiser over all parameters of a network, torch's own fused into one kernel.

    torch's kernel reads a tensor in the order of its dimensions. It is given views of weights and
    gradients whose dimensions are in the order of memory: of channels-last ones it would make
    copies, which take twice as long as the step itself.

    Without `decay_norms`, vectors (scales, shifts and biases) have no weight decay (He 2019, arXiv
    1812.01187, section 3.1).

    Args:
        net: on its device, in its memory layout; both must stay.
        recipe: which optimiser, and its numbers.
        rates: what the learning rate of a parameter is multiplied by; 1 where it is not named.
    """

    def __init__(
        self,
        net: nn.Module,
        recipe: OptimiserRecipe,
        rates: Mapping[nn.Parameter, float] | None = None,
    ):
        self._views = {name: (p, _by_memory(p, p).detach()) for name, p in net.named_parameters()}
        sorted_out: dict[tuple[float, bool], list[torch.Tensor]] = {}
        for parameter, view in self._views.values():
            rate = (rates or {}).get(parameter, 1.0)
            decayed = parameter.ndim > 1 or recipe.decay_norms
            sorted_out.setdefault((rate, decayed), []).append(view)
        groups = [
            {"params": members, "rate": rate, "scaled": decayed}
            | ({} if decayed else {"weight_decay": 0.0})
            for (rate, decayed), members in sorted_out.items()
        ]
        self._momentum = recipe.momentum if recipe.optimiser == "sgd" else 0.0
        self._optimiser = self._made(groups, recipe)
        self._begin()

    def _made(self, groups: list[dict], recipe: OptimiserRecipe) -> torch.optim.Optimizer:
        lr, decay = recipe.lr, recipe.weight_decay
        if recipe.optimiser == "adamw":
            return torch.optim.AdamW(groups, lr, weight_decay=decay, fused=True)
        if recipe.optimiser == "lamb":
            return Lamb(groups, lr, decay)
        if recipe.optimiser == "lars":
            return Lars(groups, lr, recipe.momentum, decay, recipe.trust)
        return torch.optim.SGD(
            groups, lr, recipe.momentum, weight_decay=decay, nesterov=recipe.nesterov, fused=True
        )

    def _begin(self) -> None:
        """Forget all state."""
        self._optimiser.state.clear()
        if self._momentum:  # parameters that learn later than others in their group need one too
            for _, view in self._views.values():
                self._optimiser.state[view]["momentum_buffer"] = torch.zeros_like(view)

    def set_rate(self, lr: float) -> None:
        """The learning rate of the next step; groups take their part of it."""
        for group in self._optimiser.param_groups:
            group["lr"] = lr * group["rate"]

    @property
    def rate(self) -> float:
        """The learning rate of the last layer."""
        return self._optimiser.param_groups[-1]["lr"]

    def step(self, skip: torch.Tensor | None = None) -> None:
        """Apply the gradients of all parameters that have one.

        Args:
            skip: a scalar on the device; where it is not 0, nothing changes.
        """
        for parameter, view in self._views.values():
            gradient = parameter.grad
            view.grad = None if gradient is None else _by_memory(gradient, parameter)
        if skip is not None:
            self._optimiser.found_inf = skip  # ty: ignore[missing-attribute]
        self._optimiser.step()
        self._optimiser.zero_grad()  # or they would stay until the next step

    def tensors(self) -> dict[str, torch.Tensor]:
        """The optimiser's state by `parameter name/key`, in the parameter's shape."""
        return {
            f"{name}/{key}": _by_name(value, parameter) if value.ndim else value
            for name, (parameter, view) in self._views.items()
            for key, value in self._optimiser.state.get(view, {}).items()
            if value is not None
        }

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Put back what `tensors` gave, of this network or of one that it contains."""
        self._begin()
        for name, value in tensors.items():
            owner, key = name.rsplit("/", 1)
            parameter, view = self._views[owner]
            if value.ndim:
                laid_out = torch.empty_like(parameter).copy_(value)
                self._optimiser.state[view][key] = _by_memory(laid_out, parameter)
            else:  # AdamW and LAMB count their steps
                self._optimiser.state[view][key] = value.to(parameter.device, copy=True)


def _lies_channels_last(parameter: torch.Tensor) -> bool:
    return not parameter.is_contiguous() and parameter.is_contiguous(
        memory_format=torch.channels_last
    )


def _by_memory(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """A view of a parameter, or of what has its shape, whose dimensions are in memory's order."""
    return tensor.permute(0, 2, 3, 1) if _lies_channels_last(parameter) else tensor


def _by_name(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The opposite of `_by_memory`."""
    return tensor.permute(0, 3, 1, 2) if _lies_channels_last(parameter) else tensor


def _tensors(net: nn.Module) -> list[torch.Tensor]:
    """Parameters and running statistics, each once, whoever shares it."""
    return [*net.parameters(), *net.buffers()]


class Ema(Generic[Net]):
    """An exponential moving average of weights and running statistics.

    Early on the decay is smaller, (1 + n) / (10 + n) after n steps, so that the average forgets
    the random start within a short run. Nothing here waits for the device.
    """

    def __init__(self, net: Net, decay: float):
        self.net: Net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Take in the weights after step number `step`, counted from 0."""
        pairs = list(zip(_tensors(self.net), _tensors(net), strict=True))
        averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_([a for a, _ in averaged], [b for _, b in averaged], 1 - decay)
        for count, new in pairs:
            if not count.is_floating_point():
                count.copy_(new)
