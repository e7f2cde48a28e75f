"""Which parts of a network learn at a step, and how fast: fine-tuning keeps what is known."""

from torch import nn

from resnetkit.errors import UserError
from resnetkit.nets.network import Network
from resnetkit.nets.spec import Spec
from resnetkit.training.recipe import Recipe


def parts(net: Network) -> list[list[nn.Module]]:
    """The network from image to logits: the stem, every stage, the head."""
    return [[net.stem], *([stage] for stage in net.stages), [net.norm, net.dropout, net.head]]


def frozen_parts(freeze: str, spec: Spec) -> int:
    """How many of `parts` a recipe's `freeze` keeps as they are.

    Raises:
        UserError: it is none of none, head, stages:N, or there are fewer stages.
    """
    stages = len(spec.depths)
    if freeze == "none":
        return 0
    if freeze == "head":
        return stages + 1
    word, _, number = freeze.partition(":")
    if word != "stages" or not number.isdecimal():
        raise UserError(f"--freeze must be none, head or stages:N, not {freeze!r}")
    if not 0 < int(number) <= stages:
        raise UserError(f"--freeze {freeze}: the network has 1 to {stages} stages")
    return 1 + int(number)


def frozen_at(recipe: Recipe, spec: Spec, step: int, steps: int) -> int:
    """How many of `parts` stay as they are at a step: a function of the step alone."""
    until = steps if recipe.unfreeze_at is None else recipe.unfreeze_at * steps
    return frozen_parts(recipe.freeze, spec) if step < until else 0


def set_frozen(net: Network, count: int) -> None:
    """Let only the parts after the first `count` have gradients."""
    for number, part in enumerate(parts(net)):
        for module in part:
            module.requires_grad_(number >= count)


def train_mode(net: Network, count: int) -> None:
    """Training mode, but for the first `count` parts: their norms keep their statistics."""
    for number, part in enumerate(parts(net)):
        for module in part:
            module.train(number >= count)


def layer_rates(net: Network, decay: float) -> dict[nn.Parameter, float]:
    """What every parameter's learning rate is multiplied by: 1 at the head, `decay` a part before.

    Layer-wise learning rates as of Clark 2020 (arXiv 2003.10555, section 3.3), a stage a layer.
    """
    found, everything = {}, parts(net)
    for number, part in enumerate(everything):
        for module in part:
            for parameter in module.parameters():
                found[parameter] = decay ** (len(everything) - 1 - number)
    return found
