"""The settings of a recipe by flat names, as flags and Python have them."""

import typing
from dataclasses import fields, is_dataclass, replace
from typing import Any

from resnetkit.config import from_plain, to_plain
from resnetkit.errors import UserError, nearest
from resnetkit.training.recipe import Recipe

AUTO, MEASURED = "auto", ("batch_size", "lr")
"""Settings that may be given as this word: they are measured on the data before step 0."""


def flat_fields() -> dict[str, tuple[str | None, Any, Any]]:
    """Every setting by its flat name: (the part of the recipe it lies in, its type, its field)."""
    found = {}
    top = typing.get_type_hints(Recipe)
    for f in fields(Recipe):
        kind = top[f.name]
        if not is_dataclass(kind):
            found[f.name] = (None, kind, f)
            continue
        hints = typing.get_type_hints(kind)
        found |= {inner.name: (f.name, hints[inner.name], inner) for inner in fields(kind)}
    return found


def override(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """The recipe with some settings, given by flat names, replaced.

    With `lr_scaling` a learning rate that is left out becomes the recipe's own times the factor of
    the batch size (Goyal 2017, arXiv 1706.02677, section 2.1), or times the factor's square root
    (Krizhevsky 2014, arXiv 1404.5997, section 5); it is decided here, once.

    Raises:
        UserError: an unknown name, or a value that makes no sense.
    """
    known = flat_fields()
    inside: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        if name not in known:
            raise UserError(f"unknown setting {name!r}; {nearest(name, known)}")
        inside.setdefault(known[name][0] or "", {})[name] = value
    changes = inside.pop("", {})
    changes |= {part: to_plain(getattr(recipe, part)) | values for part, values in inside.items()}
    if "lr" in settings and settings.get("lr_scaling", "none") != "none":
        raise UserError("lr_scaling makes lr from the recipe's own: give one of them")
    after = from_plain(Recipe, to_plain(recipe) | changes, where="", base=recipe)
    scaled = after if "lr" in settings else with_scaled_rate(after, recipe)
    return replace(scaled, optimiser=replace(scaled.optimiser, lr_scaling="none"))


def with_scaled_rate(recipe: Recipe, before: Recipe) -> Recipe:
    """The recipe with the learning rate that its `lr_scaling` makes of the one before."""
    how, factor = recipe.optimiser.lr_scaling, recipe.batch_size / before.batch_size
    if how == "none":
        return recipe
    lr = before.optimiser.lr * (factor if how == "linear" else factor**0.5)
    return replace(recipe, optimiser=replace(recipe.optimiser, lr=lr))


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Every setting by its flat name."""
    return {
        name: getattr(getattr(recipe, part) if part else recipe, name)
        for name, (part, _, _) in flat_fields().items()
    }


def differences(before: Recipe, after: Recipe) -> dict[str, str]:
    """What differs between two recipes: setting -> `before -> after`."""
    return {name: f"{old} -> {new}" for name, (old, new) in unequal(before, after).items()}


def unequal(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """The settings in which two recipes differ, by flat name, each with both values."""
    ours, theirs = settings_of(one), settings_of(other)
    return {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
