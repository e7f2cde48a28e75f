"""What `resnetkit recipes` shows, as text for a terminal."""

from collections.abc import Mapping
from typing import Any

from resnetkit.columns import make_table, table_text
from resnetkit.config import shown


def listed(found: Mapping[str, str]) -> str:
    """A row a recipe: its name, and what it is for."""
    table = make_table(("Recipe", False), ("What for", False))
    for name, purpose in found.items():
        table.add_row(name, purpose)
    return table_text(table)


def side_by_side(names: tuple[str, str], different: Mapping[str, tuple[Any, Any]]) -> str:
    """A row a setting that differs between two recipes."""
    if not different:
        return f"{names[0]} and {names[1]} are the same"
    table = make_table(("Setting", False), *((name, False) for name in names))
    for setting, values in different.items():
        table.add_row(setting, *map(shown, values))
    return table_text(table)
