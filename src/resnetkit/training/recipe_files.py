"""Recipes by name, and from YAML files of one's own."""

from dataclasses import fields
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import takewhile
from pathlib import Path

from resnetkit.config import from_plain
from resnetkit.errors import UserError, nearest
from resnetkit.plain_yaml import read_yaml
from resnetkit.training.recipe import Recipe
from resnetkit.training.settings import flat_fields, with_scaled_rate

_FOLDER = resources.files("resnetkit.training") / "recipes"


def named_recipes() -> dict[str, str]:
    """Names of the recipes that come with resnetkit -> what each is for."""
    return {name: about(name)[0] for name in recipe_names()}


def recipe_names() -> list[str]:
    """The names alone."""
    files = sorted(file.name for file in _FOLDER.iterdir() if file.name.endswith(".yaml"))
    return ["default", *(name.removesuffix(".yaml") for name in files)]


def about(name: str) -> list[str]:
    """What a recipe says of itself: the comment that its file begins with, line by line."""
    if name == "default":
        return ["for anyone's images: 100 epochs, an hour for 60,000 small ones on two cores"]
    lines = _file(name).read_text(encoding="utf-8").splitlines()
    return [line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines)]


def _file(name: str) -> Traversable | Path:
    """The file of a recipe by name, or one of one's own."""
    own = {file.name: file for file in _FOLDER.iterdir()}
    return own.get(f"{name}.yaml", Path(name))


def read_recipe(name: str) -> Recipe:
    """A recipe by name, or from a YAML file of one's own; keys not in it are the default's.

    Raises:
        UserError: no such name or file, YAML that is no plain data, an unknown key, a wrong value.
    """
    if name == "default":
        return Recipe()
    file = _file(name)
    if file.is_dir():
        raise UserError(f"{name} is a folder; a recipe is a YAML file, such as a run's recipe.yaml")
    if not file.is_file():
        hint = nearest(name, recipe_names())
        raise UserError(f"no recipe and no file is called {name!r}; {hint}")
    try:
        return parse_recipe(file.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name}: cannot be read: {error}") from None


def parse_recipe(text: str, where: str) -> Recipe:
    """A recipe from YAML text; raises UserError."""
    data = read_yaml(text, where)
    data = {} if data is None else data
    if isinstance(data, dict):
        _check_places(data, where)
    recipe = from_plain(Recipe, data, where=where, base=Recipe())
    return recipe if "lr" in data.get("optimiser", {}) else with_scaled_rate(recipe, Recipe())


def _check_places(data: dict, where: str) -> None:
    """Raise UserError for a setting that is known and lies under another key than its own."""
    known, top = flat_fields(), {f.name for f in fields(Recipe)}
    for key, value in data.items():
        if key in top and known.get(key, (None,))[0] == key and not isinstance(value, dict):
            raise UserError(f"{where}: {key} is a heading: write {key}: {{{key}: {value!s:.60}}}")
    for part, keys in (("", data), *((k, v) for k, v in data.items() if isinstance(v, dict))):
        for key in keys:
            home = known.get(key, (part,))[0] or ""
            if home != part and not (part == "" and key in top):
                place = f"under {home}:" if home else "at the top level"
                raise UserError(f"{where}: {key} belongs {place}")
