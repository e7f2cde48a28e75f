"""A network that grows while it is trained: when, and into what."""

from dataclasses import dataclass

from resnetkit.errors import UserError
from resnetkit.nets.depth import deeper_spec
from resnetkit.nets.spec import Spec
from resnetkit.training.recipe import Recipe


@dataclass(frozen=True)
class Growth:
    """From a step on the network is a deeper one."""

    step: int
    model: str
    spec: Spec


def networks(recipe: Recipe, first: Spec) -> tuple[Spec, ...]:
    """The networks that a run's first one becomes, one after the other.

    Raises:
        UserError: one of them cannot become the next.
    """
    found = [first]
    for model in recipe.growth.grow_to:
        try:
            found.append(deeper_spec(found[-1], model))
        except UserError as error:
            raise UserError(f"--grow-to {model}: {error}") from None
    return tuple(found[1:])


def growths(recipe: Recipe, first: Spec, steps: int) -> tuple[Growth, ...]:
    """When a run of so many steps grows, and into what; raises UserError as `networks`."""
    how = zip(recipe.growth.grow_at, recipe.growth.grow_to, networks(recipe, first), strict=True)
    last = steps - 1  # that of a short run may come so late that it would round to its end
    return tuple(Growth(min(round(part * steps), last), model, spec) for part, model, spec in how)


def spec_at(plan: tuple[Growth, ...], first: Spec, step: int) -> Spec:
    """The network of a step."""
    return ([first] + [growth.spec for growth in plan if growth.step <= step])[-1]
