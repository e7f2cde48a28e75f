"""Successive halving (Jamieson and Talwalkar 2015, arXiv 1502.07943) over seconds of training, in
two rounds: what learns slowly is first compared with its like alone.
"""

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

LAST = 2
"""Times that the last round takes as long as the first: it is nearest to a training in earnest."""


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
        return trained[-1] if trained else self.rounds[-1]

    @property
    def rank(self) -> tuple[int, float]:
        """The later the last round that it was trained in the better, then by its score there."""
        trained = (n for n, each in enumerate(self.rounds, 1) if math.isfinite(each.score))
        return (-max(trained, default=0), self.last.score)


def seconds_for(count: int, each: float) -> float:
    """That so many candidates need, if all of them have `each` in the first round."""
    return (1 + LAST) * count * each


def halve(
    tried: Sequence[T],
    group_of: Callable[[T], Hashable],
    judge: Callable[[Candidate[T], float], Judged],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Candidate[T]]:
    """Give every candidate a little time, and the best of each group more.

    Args:
        tried: the candidates.
        group_of: the group of one; candidates of a group learn about as quickly.
        judge: trains a candidate anew for about so many seconds.
        seconds: for all of them; the last round has `LAST` times what the first has.
        clock: that the seconds are read from.

    Returns:
        All candidates, the best first.
    """
    began, candidates = clock(), [Candidate(what) for what in tried]
    _judge_all(candidates, judge, began + seconds / (1 + LAST), clock)
    best: dict[Hashable, Candidate[T]] = {}
    for one in sorted(candidates, key=lambda candidate: candidate.rank):
        best.setdefault(group_of(one.what), one)
    _judge_all(list(best.values()), judge, began + seconds, clock)
    return sorted(candidates, key=lambda candidate: candidate.rank)


def _judge_all(
    candidates: list[Candidate[T]],
    judge: Callable[[Candidate[T], float], Judged],
    end: float,
    clock: Callable[[], float],
) -> None:
    """A round: the same time for all, less only where others took longer than theirs."""
    each = (end - clock()) / len(candidates)
    for done, one in enumerate(candidates):
        left = (end - clock()) / (len(candidates) - done)
        one.rounds.append(judge(one, min(each, left)))
