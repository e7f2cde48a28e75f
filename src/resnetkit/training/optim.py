"""Optimisers from a recipe, and the moving average of weights."""

import copy
from collections.abc import Mapping
from typing import Generic, TypeVar

import torch
from torch import nn

from resnetkit.training.recipe import OptimiserRecipe

Net = TypeVar("Net", bound=nn.Module)


def make_optimiser(
    net: nn.Module, recipe: OptimiserRecipe, rates: Mapping[nn.Parameter, float] | None = None
) -> torch.optim.Optimizer:
    """The recipe's optimiser over all parameters, fused into one kernel a step.

    Without `decay_norms`, vectors (scales, shifts and biases) are in a group without weight
    decay (He 2019, arXiv 1812.01187, section 3.1). A group's `rate` is what the schedule's
    learning rate is multiplied by for it: of `rates`, or 1.
    """
    sorted_out: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in net.parameters():
        rate = (rates or {}).get(parameter, 1.0)
        decayed = parameter.ndim > 1 or recipe.decay_norms
        sorted_out.setdefault((rate, decayed), []).append(parameter)
    groups = [
        {"params": members, "rate": rate} | ({} if decayed else {"weight_decay": 0.0})
        for (rate, decayed), members in sorted_out.items()
    ]
    lr, decay = recipe.lr, recipe.weight_decay
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr, weight_decay=decay, fused=True)
    sgd = torch.optim.SGD(
        groups, lr, recipe.momentum, weight_decay=decay, nesterov=recipe.nesterov, fused=True
    )
    if recipe.momentum:  # parameters that learn later than others in their group need one too
        for parameter in net.parameters():
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd


def optimiser_tensors(net: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimiser's state by `parameter name/key`."""
    return {
        f"{name}/{key}": value
        for name, parameter in net.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
        if value is not None
    }


def load_optimiser_tensors(
    net: nn.Module, optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    """Put back what `optimiser_tensors` gave, in each parameter's own memory layout."""
    parameters = dict(net.named_parameters())
    for name, value in tensors.items():
        owner, key = name.rsplit("/", 1)
        parameter = parameters[owner]
        like = parameter if value.shape == parameter.shape else value
        optimiser.state[parameter][key] = torch.empty_like(like, device=parameter.device).copy_(
            value
        )


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
        mine, theirs = self.net.state_dict().values(), net.state_dict().values()
        pairs = list(zip(mine, theirs, strict=True))
        averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_([a for a, _ in averaged], [b for _, b in averaged], 1 - decay)
        for count, new in pairs:
            if not count.is_floating_point():
                count.copy_(new)
