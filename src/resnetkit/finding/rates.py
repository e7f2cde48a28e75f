"""The learning rate range test (Smith 2015, arXiv 1506.01186, section 3.3).

The rate rises step by step from where nothing is learned to where the loss explodes.
"""

import math
from dataclasses import dataclass

import numpy as np

from resnetkit.errors import UserError
from resnetkit.training.trainer import Trainer

STEPS = 120
SMOOTHED_OVER = 10
"""Steps whose losses are averaged, about."""

EXPLODED = 3.0
"""Times the lowest loss, from which on nothing more is to be learned of it."""


@dataclass(frozen=True)
class RateCurve:
    """How the loss went while the rate rose.

    Attributes:
        rates: of each step.
        losses: each step's own, before it was taken.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smoothed(self) -> np.ndarray:
        """Exponential mean of the losses so far, without the bias of its beginning."""
        keep, mean, found = 1 - 1 / SMOOTHED_OVER, 0.0, []
        for step, loss in enumerate(self.losses, 1):
            mean = keep * mean + (1 - keep) * loss
            found.append(mean / (1 - keep**step))
        return np.array(found)


def range_of(optimiser: str) -> tuple[float, float]:
    """The lowest and the highest rate worth trying with an optimiser."""
    return {"adamw": (1e-6, 0.3), "lamb": (1e-5, 3.0), "lars": (1e-2, 100.0)}.get(
        optimiser, (1e-4, 10.0)
    )


def range_test(trainer: Trainer, steps: int = STEPS) -> RateCurve:
    """Train with a rate that rises from step to step, until the loss explodes.

    Args:
        trainer: at its first step; is used up.
        steps: from the lowest rate to the highest.
    """
    lowest, highest = range_of(trainer.recipe.optimiser.optimiser)
    curve = RateCurve((), ())
    for rate in np.geomspace(lowest, highest, steps):
        batch = trainer.loader.batch(*divmod(trainer.step, trainer.loader.steps))
        trainer.sums.zero_()
        trainer.optimiser.set_rate(float(rate))
        trainer.optimiser_step(trainer.gradients(batch))
        trainer.step += 1
        loss, _, images = trainer.sums.tolist()
        if not math.isfinite(loss) or trainer.bad_step >= 0:
            break
        curve = RateCurve((*curve.rates, float(rate)), (*curve.losses, loss / images))
        if curve.smoothed[-1] > EXPLODED * curve.smoothed.min():
            break
    return curve


def suggested(curve: RateCurve, optimiser: str) -> float:
    """The highest rate that still brought the smoothed loss down; for Adam's kin a tenth of it.

    Raises:
        UserError: the loss never came down.
    """
    smoothed = curve.smoothed
    if len(smoothed) < SMOOTHED_OVER or smoothed.argmin() < SMOOTHED_OVER // 2:
        raise UserError(
            "no learning rate brings the loss down: look at the images with `resnetkit check`"
        )
    rate = curve.rates[int(smoothed.argmin())]
    return rate / 10 if optimiser in ("adamw", "lamb") else rate
