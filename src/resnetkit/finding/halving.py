"""Successive halving (Jamieson and Talwalkar 2015, arXiv 1502.07943) over seconds of training, in
groups: who starts slowly is first compared with its like alone.
"""

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
    """What is tried, and how it did from round to round.

    Attributes:
        what: is tried.
        group: whom it is compared with at first.
        rounds: those that it was trained in.
    """

    what: T
    group: Hashable = None
    rounds: list[Judged] = field(default_factory=list)

    @property
    def last(self) -> Judged:
        """How it did in the last round that it had part in."""
        return self.rounds[-1]


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
        tried: the candidates; one that is alone in its group begins with the last round.
        group_of: the group of one; candidates of a group learn about as quickly.
        judge: trains a candidate anew for about so many seconds.
        seconds: for all of them; the last round has `LAST` times what the first has.
        clock: that the seconds are read from.

    Returns:
        All candidates, the best first: those of the last round, then the others.
    """
    end = clock() + seconds
    groups: dict[Hashable, list[Candidate[T]]] = {}
    for what in tried:
        groups.setdefault(group_of(what), []).append(Candidate(what, group_of(what)))
    first = [one for group in groups.values() if len(group) > 1 for one in group]
    for one in first:
        one.rounds.append(judge(one, seconds / (1 + LAST) / len(first)))
    first.sort(key=_score)
    best = [group[0] if len(group) == 1 else min(group, key=_score) for group in groups.values()]
    for done, one in enumerate(best):
        one.rounds.append(judge(one, (end - clock()) / (len(best) - done)))
    return [*sorted(best, key=_score), *(one for one in first if one not in best)]


def _score(candidate: Candidate) -> float:
    return candidate.last.score
