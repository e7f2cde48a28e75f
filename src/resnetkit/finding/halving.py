"""Successive halving (Jamieson and Talwalkar 2015, arXiv 1502.07943) over seconds of training."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT = 1 / 3
"""Part of the candidates that goes on."""

LAST = 2
"""Times that the last round takes as long as any other: short trials favour what learns quickly,
and the last ones are nearest to a training in earnest."""


@dataclass(frozen=True)
class Judged:
    """How a candidate did in so much time.

    Attributes:
        score: the lower the better; infinite where it could not be trained.
        seconds: that it was trained.
        images_per_second: of its training.
        epochs, images: that it was trained for and on.
        top1: accuracy on the held-out images.
        trouble: why it could not be trained.
    """

    score: float
    seconds: float = 0.0
    images_per_second: float = 0.0
    epochs: int = 0
    images: int = 0
    top1: float = 0.0
    trouble: str = ""


@dataclass
class Candidate(Generic[T]):
    """What is tried, and how it did from round to round."""

    what: T
    rounds: list[Judged] = field(default_factory=list)

    @property
    def last(self) -> Judged:
        """How it did in the last round that it was trained in."""
        trained = [each for each in self.rounds if math.isfinite(each.score)]
        return [Judged(math.inf), *self.rounds[-1:], *trained][-1]

    @property
    def rank(self) -> tuple[int, float]:
        """The later the last round that it was trained in the better, then by its score there."""
        trained = (n for n, each in enumerate(self.rounds, 1) if math.isfinite(each.score))
        return (-max(trained, default=0), self.last.score)


def rounds_of(count: int) -> list[int]:
    """How many candidates each round has, until one is left to be named."""
    found = []
    while count > 1:
        found.append(count)
        count = math.ceil(count * KEPT)
    return found


def shares_of(count: int) -> list[int]:
    """How long each round takes, in parts of the first."""
    return [1] * (len(rounds_of(count)) - 1) + [LAST]


def seconds_for(count: int, each: float) -> float:
    """That so many candidates need, if all of them have `each` in the first round."""
    return sum(shares_of(count)) * count * each


def halve(
    tried: Sequence[T],
    judge: Callable[[Candidate[T], float], Judged],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Candidate[T]]:
    """Give every candidate a little time, the best third of them more, and so on.

    Args:
        tried: at least two.
        judge: trains a candidate anew for about so many seconds.
        seconds: for all of them; each round has as many, the last one `LAST` times that.
        clock: that the seconds are read from.

    Returns:
        All candidates, the best first.
    """
    candidates = [Candidate(what) for what in tried]
    sizes, shares, end = rounds_of(len(tried)), shares_of(len(tried)), clock() + seconds
    for done, size in enumerate(sizes):
        each = (end - clock()) * shares[done] / sum(shares[done:]) / size
        for candidate in candidates[:size]:
            candidate.rounds.append(judge(candidate, each))
        candidates.sort(key=lambda candidate: candidate.rank)
    return candidates
