"""The settings of a recipe by flat names, as flags and Python have them."""

import typing
from dataclasses import fields, is_dataclass
from typing import Any

from resnetkit.config import from_plain, to_plain
from resnetkit.errors import UserError, nearest
from resnetkit.training.recipe import Recipe


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
    return from_plain(Recipe, to_plain(recipe) | changes, where="", base=recipe)


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
