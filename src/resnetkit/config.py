"""Frozen dataclasses to and from plain data: what is not a field, or has another type, is an error.

The same few lines read a network's spec from JSON, a recipe from YAML, and a flag from the
command line, so that all three accept the same values and refuse the same mistakes.
"""

import contextlib
import dataclasses
import functools
import math
import types
import typing
from typing import Any, Literal, TypeVar

from resnetkit.errors import UserError, nearest, not_one_of

T = TypeVar("T")

Precision = Literal["auto", "fp32", "bf16"]
"""What a network is computed in; the word that recipes, flags and functions share."""


def option(
    default: Any,
    meaning: str,
    *,
    least: float | None = None,
    most: float | None = None,
    metavar: str | None = None,
):
    """A dataclass field with its help, the range its numbers must lie in, its word in the help."""
    metadata = {"help": meaning, "least": least, "most": most, "metavar": metavar}
    return dataclasses.field(default=default, metadata=metadata)


def to_plain(value: Any) -> Any:
    """A dataclass as dicts, lists, strings, numbers: what JSON and YAML can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def shown(value: Any, between: str = ", ") -> str:
    """A setting as people read it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return between.join(map(str, value)) if isinstance(value, tuple) else str(value)


def from_plain(cls: type[T], data: Any, *, where: str, base: T | None = None) -> T:
    """Build a dataclass from plain data.

    Args:
        cls: the dataclass; fields may be dataclasses themselves.
        data: a dict as JSON or YAML gives it.
        where: the file that the data came from, for error messages; may be empty.
        base: values for the fields that `data` does not name; by default the class's own.

    Raises:
        UserError: an unknown key, a missing one, or a value of the wrong type or out of range.
    """
    within = f"{where}: " if where else ""
    if not isinstance(data, dict):
        raise UserError(f"{within}expected keys and values, found {data!r:.60}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # ty: ignore[invalid-argument-type]
    for key in data:
        if key not in fields:
            raise UserError(f"{within}unknown key {key!r}; {nearest(str(key), fields)}")
    values = {}
    for name, field in fields.items():
        if name in data:
            inner = getattr(base, name) if base is not None else None
            values[name] = _value(hints[name], data[name], f"{within}{name}", inner)
        elif base is not None:
            values[name] = getattr(base, name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f"{within}the key {name!r} is missing")
    try:
        return cls(**values)
    except UserError as error:
        raise UserError(f"{within}{error}") from error


def _value(kind: Any, value: Any, where: str, base: Any) -> Any:
    """`value` as the annotated type `kind`, or a UserError that says what was expected."""
    if dataclasses.is_dataclass(kind):
        return from_plain(kind, value, where=where, base=base)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, where, base)
    if origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in arguments):
            raise UserError(f"{where}: {not_one_of(value, arguments)}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f"{where}: expected a list, found {value!r:.60}")
        return tuple(_value(arguments[0], item, where, None) for item in value)
    if kind is float and type(value) in (int, str):
        with contextlib.suppress(ValueError):  # YAML takes 1e-3 for a text
            return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{where}: expected {_NAMES.get(kind, kind)}, found {value!r:.60}")
    return value


_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def parse(kind: Any, text: str) -> Any:
    """A word from the command line as the annotated type `kind`; raises UserError.

    `none` is None where that is allowed and is no choice of its own; the items of a tuple are
    separated by commas.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        inner = next(a for a in arguments if a is not type(None))
        if text.lower() == "none" and "none" not in typing.get_args(inner):
            return None
        return parse(inner, text)
    if origin is tuple:
        items = [item for item in text.split(",") if item.strip()]
        if not items:
            raise UserError(
                f"expected {_NAMES[arguments[0]]}, or several with commas, found {text!r}"
            )
        return tuple(parse(arguments[0], item) for item in items)
    if origin is Literal:
        if text not in arguments:
            raise UserError(not_one_of(text, arguments))
        return text
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise UserError(f"expected {_NAMES[kind]}, found {text!r}") from None
    return text


def check_types(instance: Any) -> None:
    """Compare a frozen dataclass's values with its annotations; lists become tuples.

    Raises:
        UserError: a value is of another type.
    """
    for name, kind in _hints(type(instance)).items():
        value = _value(kind, getattr(instance, name), name, None)
        object.__setattr__(instance, name, value)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def check_ranges(instance: Any) -> None:
    """Compare the numbers of a dataclass with the ranges its fields were declared with.

    Raises:
        UserError: a number is not finite, or lies outside its range.
    """
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            _check_range(field, number)


def _check_range(field: dataclasses.Field, number: float) -> None:
    least, most = field.metadata.get("least"), field.metadata.get("most")
    if not math.isfinite(number):
        raise UserError(f"{field.name} must be a finite number, not {number}")
    if least is not None and number < least:
        raise UserError(f"{field.name} must be at least {least:g}, not {_number(number)}")
    if most is not None and number > most:
        raise UserError(f"{field.name} must be at most {_number(most)}, not {_number(number)}")


def _number(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
