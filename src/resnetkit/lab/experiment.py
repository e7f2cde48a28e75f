"""`Experiment`: a claim, how it is tried, and the rule by which it is judged."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Language = Literal["en", "zh"]


@dataclass(frozen=True)
class Words:
    """The same in both languages."""

    en: str
    zh: str

    def said(self, language: Language) -> str:
        """In one of them."""
        return self.zh if language == "zh" else self.en


Outcome = Literal["held", "did not hold", "undecided"]

OUTCOMES: dict[Outcome, Words] = {
    "held": Words("The claim held.", "该论断成立。"),
    "did not hold": Words("The claim did not hold.", "该论断不成立。"),
    "undecided": Words(
        "Undecided: the spread over seeds covers the difference, or there is one seed alone.",
        "未定：不同随机种子之间的波动盖过了差别，或只有一个种子。",
    ),
}


@dataclass(frozen=True)
class Verdict:
    """What came of it, and from which numbers."""

    outcome: Outcome
    why: Words


@dataclass(frozen=True)
class Experiment:
    """A claim about residual networks.

    Attributes:
        name: as a person types it.
        question: what is asked.
        source: paper and figure, or page of the textbook.
        done: what is done, in a paragraph.
        rule: how the verdict comes about, written before the run.
        limits: what it does not show.
        small, full: sizes of the two versions, as keywords of `measure`.
        measure: does it; returns plain data, all that `judge` and `draw` need.
        judge: from these data to a verdict.
        draw: from these data to a figure.
        table: the numbers in Markdown, where the figure leaves something to be looked up.
        version: raised when the same settings no longer mean the same numbers.
    """

    name: str
    question: Words
    source: str
    done: Words
    rule: Words
    limits: Words
    small: dict[str, Any]
    full: dict[str, Any]
    measure: Callable[..., dict[str, Any]]
    judge: Callable[[dict[str, Any]], Verdict]
    draw: "Callable[[dict[str, Any], Language], Figure]"
    table: Callable[[dict[str, Any], Language], str] | None = None
    version: int = 1

    def numbers(self, data: dict[str, Any], language: Language) -> str:
        """A paragraph with the table; empty where there is none."""
        return f"{self.table(data, language)}\n\n" if self.table else ""


KINDS = {"plain": Words("plain", "普通网络"), "residual": Words("residual", "残差网络")}
"""What many experiments set side by side."""


def outcome_of(differences: Sequence[float], least: float = 0.0) -> Outcome:
    """Whether a difference, seed by seed, is there.

    Held where its mean is above `least`, did not hold where it is not; undecided where the sample
    deviation over seeds is as large as the mean's distance from `least`, or where a single seed
    stands alone with no spread to compare it with. This is a weak rule: where there is no effect
    at all, two seeds say held or did not hold in 39% of the cases, three in 22% (|t| above the
    square root of their number).

    Args:
        differences: of two arms that share a seed, one a seed.
        least: what the mean must exceed.
    """
    if len(differences) < 2:
        return "undecided"
    distance = statistics.fmean(differences) - least
    if statistics.stdev(differences) >= abs(distance):
        return "undecided"
    return "held" if distance > 0 else "did not hold"


def all_of(*outcomes: Outcome) -> Outcome:
    """Of a claim with several parts: held where all are, undecided where none failed."""
    if "did not hold" in outcomes:
        return "did not hold"
    return "undecided" if "undecided" in outcomes else "held"
