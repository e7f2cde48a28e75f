"""argparse as commands here use it: a mistake is one line with the nearest names."""

import argparse
import difflib
import typing
from collections.abc import Callable
from typing import Any, NoReturn

from resnetkit.config import parse
from resnetkit.errors import UserError, not_one_of
from resnetkit.training.settings import AUTO


class Parser(argparse.ArgumentParser):
    """argparse that raises UserError where it would print the usage and exit."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, args=None, namespace=None):
        """Refuse what is unknown here, where the flags of the command are at hand."""
        found, extra = super().parse_known_args(args, namespace)
        if extra:
            raise UserError(self._unknown(extra[0].split("=")[0]))
        return found, extra

    def error(self, message: str) -> NoReturn:
        """One line instead of the usage."""
        hint = "" if message.endswith("?") else f"; see {self.prog} --help"
        raise UserError(f"{message}{hint}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """A word that is no choice, with the nearest one that is."""
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, not_one_of(value, action.choices))

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"one argument too many: {word}; see {self.prog} --help"
        known = [flag for action in self._actions for flag in action.option_strings]
        known = [flag for flag in known if flag not in ("-h", "--help")]
        near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else f"see {self.prog} --help"
        return f"unknown flag {word}; {hint}"


def converter(annotation: Any, name: str, *, or_auto: bool = False) -> Callable[[str], Any]:
    """Reads a flag's value, which may be `auto`; what is wrong with it is said in one line."""

    def convert(text: str) -> Any:
        if or_auto and text == AUTO:
            return text
        try:
            return parse(annotation, text)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    convert.__name__ = name
    return convert


def as_depth(text: str) -> int | str:
    """A number of layers, or `all`."""
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number of layers, or all, found {text!r}")
    return text if text == "all" else int(text)


def as_share(text: str) -> float:
    """A part of one, also in per cent."""
    number = text.removesuffix("%")
    try:
        return float(number) / (100 if number != text else 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a share such as 0.3%, found {text!r}") from None


def as_name(text: str) -> str:
    """A name of a file or folder, which must not be empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a name, found nothing")
    return text


def metavar(annotation: Any) -> str:
    """What stands for a value of a type in the help."""
    inner = [a for a in typing.get_args(annotation) if a is not type(None)]
    if typing.get_origin(annotation) is typing.Literal:
        return "|".join(inner)
    if inner and typing.get_origin(annotation) is not tuple:
        return metavar(inner[0])
    return {int: "N", float: "X", str: "NAME"}.get(annotation, "X,X,...")
