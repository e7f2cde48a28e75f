"""Errors that a person can cause, as one line each."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """What went wrong, where, and what to do about it, in one line.

    The command line prints it on stderr without a traceback and ends with exit code 2.
    """

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))


OUT_OF_MEMORY = ("out of memory", "not enough memory", "allocate memory")


def is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether an error says that there is no more memory, in the words that torch has for it."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in OUT_OF_MEMORY)


def nearest(word: str, known: Iterable[str], *, most: int = 3) -> str:
    """The known words closest to a mistyped one, as a hint that closes an error message."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=most, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"


def not_one_of(word: object, choices: Iterable[str]) -> str:
    """What is said of a word that is none of a few; the one it is close to is pointed out."""
    choices = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(word), choices, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{word!r} is not one of {', '.join(choices)}{hint}"
