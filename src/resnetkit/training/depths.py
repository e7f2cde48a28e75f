"""Training of any depth: which of the networks inside a step trains, and what they learn from."""

import random
from dataclasses import replace

from torch import Tensor

from resnetkit.data.augment import step_seed
from resnetkit.errors import UserError
from resnetkit.nets.nested import Nested, check_nested, inner_layers, inner_spec
from resnetkit.nets.network import Network
from resnetkit.nets.spec import Spec
from resnetkit.training.loss import Loss
from resnetkit.training.recipe import Recipe


def decided(recipe: Recipe, spec: Spec) -> Recipe:
    """The recipe with the depths named that it trains besides the whole.

    Raises:
        UserError: the network does not contain them.
    """
    if not recipe.depth.any_depth:
        return recipe
    try:
        check_nested(spec)
        layers = recipe.depth.inner_layers or inner_layers(spec)
        if not layers:
            raise UserError("it has one block in every stage, and no network inside")
        if spec.layers in layers:
            raise UserError(f"inner_layers {spec.layers} is the whole network: leave it out")
        for n in layers:
            inner_spec(spec, n)
    except UserError as error:
        raise UserError(f"--any-depth {recipe.model}: {error}") from None
    return replace(recipe, depth=replace(recipe.depth, inner_layers=tuple(sorted(layers))))


def with_inner(net: Network, recipe: Recipe) -> Nested:
    """A network with those inside it that are trained with it."""
    return Nested(net, recipe.depth.inner_layers or ())


def inner_at(recipe: Recipe, step: int) -> tuple[int, ...]:
    """Layers of the networks inside that a step trains besides the whole.

    The smallest, and another that is drawn by (seed, step), the same on every rank (the sandwich
    rule: Yu 2019, arXiv 1903.05134, section 3.2). The fewer layers one has the oftener it is drawn,
    in proportion to 1 / layers: a deeper one costs more, and learns from its neighbours' steps.
    """
    smallest, others = (recipe.depth.inner_layers or ())[:1], (recipe.depth.inner_layers or ())[1:]
    if not others:
        return smallest
    draws = random.Random(step_seed(recipe.seed, step, 0))
    return (*smallest, *draws.choices(others, [1 / layers for layers in others]))


def inner_loss(loss: Loss, logits: Tensor, whole: Tensor, labels: Tensor, taught: float) -> Tensor:
    """The sum of the images' losses of a network inside.

    It learns from what the whole network says (distillation in place: Yu 2019, arXiv 1903.05134,
    section 3.3), and from the labels, by the recipe's `taught`.
    """
    learned, _ = loss(logits, labels)
    return taught * loss.taught(logits, whole) + (1 - taught) * learned
