"""Lines for people, and how a command that was stopped exits."""

import sys

SIGNAL_EXIT = 128
"""A command that a signal ended exits with this plus the signal's number, as shells do."""


def say(text: str) -> None:
    """A line for people: on stderr, so that stdout holds results alone."""
    print(text, file=sys.stderr)
