"""A network that grows while it is trained: when, and into what."""

from dataclasses import dataclass

from resnetkit.errors import UserError
from resnetkit.nets.depth import deeper_spec
from resnetkit.nets.spec import ResNetSpec
from resnetkit.training.recipe import Recipe


@dataclass(frozen=True)
class Growth:
    """From a step on the network is a deeper one."""

    step: int
    model: str
    spec: ResNetSpec


def growths(recipe: Recipe, first: ResNetSpec, steps: int) -> tuple[Growth, ...]:
    """When a run's network grows: a function of its recipe and length.

    Args:
        recipe: says at which parts of the run, and the networks' names.
        first: the network that it begins with.
        steps: of the whole run.

    Raises:
        UserError: a network cannot become the next one.
    """
    found, spec = [], first
    for part, model in zip(recipe.growth.grow_at, recipe.growth.grow_to, strict=True):
        try:
            spec = deeper_spec(spec, model)
        except UserError as error:
            raise UserError(f"--grow-to {model}: {error}") from None
        found.append(Growth(round(part * steps), model, spec))
    return tuple(found)


def spec_at(plan: tuple[Growth, ...], first: ResNetSpec, step: int) -> ResNetSpec:
    """The network of a step."""
    return ([first] + [growth.spec for growth in plan if growth.step <= step])[-1]
