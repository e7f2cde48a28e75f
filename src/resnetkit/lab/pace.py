"""How long the runs of an experiment take, and whether the rest of them fits into a budget."""

import math
import time
from dataclasses import dataclass, field

from resnetkit.errors import UserError


@dataclass
class Pace:
    """Tells from the runs that were made now how long those take that are still to come.

    Attributes:
        minutes: that there are.
        began: on the monotonic clock, from when they count.
        runs: made so far; those that were found as they were take no time.
        seconds: that they took.
    """

    minutes: float = math.inf
    began: float = field(default_factory=time.monotonic)
    runs: int = 0
    seconds: float = 0.0

    def made(self, seconds: float) -> None:
        """Count a run that took so long."""
        self.runs, self.seconds = self.runs + 1, self.seconds + seconds

    def left(self, runs: int) -> float | None:
        """Minutes that so many more runs take, at the mean of those so far; None before any."""
        return self.seconds / self.runs * runs / 60 if self.runs else None

    def check(self, runs: int) -> None:
        """Raise UserError where the budget is over, or the mean says that it will be too small."""
        spent, left = (time.monotonic() - self.began) / 60, self.left(runs)
        if spent + (left or 0.0) < self.minutes:
            return
        takes = "" if left is None else f", which take about {left:.1f} more"
        raise UserError(
            f"--minutes {self.minutes:.3g} is too small: {spent:.1f} are gone, and {runs} runs are "
            f"to come{takes}; what is done is kept, and the same command with more goes on"
        )
