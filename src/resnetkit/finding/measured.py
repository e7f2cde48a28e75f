"""The batch size and the learning rate that one network wants on these images."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from resnetkit.errors import UserError
from resnetkit.finding import noise, rates
from resnetkit.finding.batch import UsefulBatch, images_per_second, useful_batch
from resnetkit.finding.ideas import rounded
from resnetkit.finding.rates import RateCurve
from resnetkit.finding.trial import Trials, trainer_of, with_batch
from resnetkit.ranks import Ranks
from resnetkit.training.observer import Observer
from resnetkit.training.ready_run import ReadyRun
from resnetkit.training.recipe import Recipe
from resnetkit.training.session import Session
from resnetkit.training.settings import override

LEAST_STEPS = 40
"""Of a range test: fewer jump too far from rate to rate."""

NOISE_SHARE, RANGE_SHARE = 0.06, 0.08
"""Of a search's time, at the most, for the noise scale and for the range test."""


@dataclass(frozen=True)
class Measured:
    """What was measured before anything was trained for long.

    Attributes:
        batch: what was found out about batch sizes.
        curve: of the range test, at the batch that was chosen or asked for.
        rate: that it suggests.
    """

    batch: UsefulBatch
    curve: RateCurve
    rate: float


def measured(run: ReadyRun, minutes: float = 1e7) -> Measured:
    """The useful batch, then the learning rate for it, in about a fifth of so many minutes.

    Raises:
        UserError: the time is too short, or nothing brings the loss down.
    """
    small = with_batch(run, min(noise.BATCH, len(run.sources["train"])))
    images = images_per_second(small) * 60 * minutes
    a_point = small.recipe.batch_size * (noise.STEPS + noise.SAMPLES)
    if images * NOISE_SHARE < a_point:
        least = math.ceil(minutes * a_point / (images * NOISE_SHARE))
        raise UserError(
            f"{minutes:g} minutes are too little to measure anything of {run.recipe.model} at "
            f"{run.recipe.data.image_size} pixels here: give --minutes {least} at the least, or "
            f"smaller images"
        )
    points = int(min(noise.POINTS, images * NOISE_SHARE / a_point))
    batch = useful_batch(run, noise.noise_scale(trainer_of(small), points))
    return Measured(batch, *suggested_rate(with_batch(run, batch.size), images))


def suggested_rate(run: ReadyRun, images: float = 1e12) -> tuple[RateCurve, float]:
    """The range test of a run at its own batch size, shortened where images are few."""
    steps = int(images * RANGE_SHARE / run.recipe.batch_size)
    curve = rates.range_test(trainer_of(run), max(LEAST_STEPS, min(rates.STEPS, steps)))
    return curve, rates.suggested(curve, run.recipe.optimiser.optimiser)


def measured_settings(
    recipe: Recipe, wanted: Collection[str], session: Session, observer: Observer, ranks: Ranks
) -> dict[str, Any]:
    """What `--batch-size auto` and `--lr auto` mean for a recipe; measured by the first rank.

    Args:
        recipe: the rest of it; its data are those to train on.
        wanted: `batch_size`, `lr`, or both.
        session: machine, and what is to be done with images that cannot be read.
        observer: is told what was found.
        ranks: who trains together.
    """

    def measure() -> dict[str, Any]:
        one = override(recipe, {"fold": 1}) if recipe.data.folds else recipe
        run = Trials.of(one, session, observer).decided(one, tell=True)
        if "batch_size" not in wanted:
            return {"lr": rounded(suggested_rate(run)[1])}
        found = measured(run)
        both = {"batch_size": found.batch.size, "lr": rounded(found.rate)}
        return {name: both[name] for name in wanted}

    if any(ranks.recall(key) for key in ("run", "folds")):
        return {}  # a job that was restarted goes on with what it began
    settings = ranks.lead(measure) if wanted else {}
    for name, value in settings.items():
        observer.say(f"{name} auto: {value}")
    return settings
