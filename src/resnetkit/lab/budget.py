"""Minutes that experiments may take."""

import math
import time
from dataclasses import dataclass, field

from resnetkit.errors import UserError


@dataclass(frozen=True)
class Budget:
    """So many minutes from when it is made: when they are over, no further run begins."""

    minutes: float = math.inf
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self):
        """Raise UserError where there are no minutes."""
        if not self.minutes > 0:
            raise UserError(f"--minutes must be more than 0, not {self.minutes:g}")

    def check(self, runs: int) -> None:
        """Raise UserError where the minutes are over, before so many runs."""
        if (time.monotonic() - self.began) / 60 >= self.minutes:
            raise UserError(
                f"--minutes {self.minutes:g} is too small: they are over, and {runs} runs are to "
                "come; what is done is kept, and the same command with more goes on"
            )
