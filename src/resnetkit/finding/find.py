"""`rk.find`: a recipe for someone's images, in so many minutes, with its reasons."""

import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from resnetkit.classifier import Classifier
from resnetkit.config import to_plain
from resnetkit.data.sources import Source, Subset, locate
from resnetkit.errors import UserError
from resnetkit.finding.batch import images_per_second
from resnetkit.finding.halving import Candidate, Judged, halve, seconds_for
from resnetkit.finding.ideas import Idea, ideas
from resnetkit.finding.measured import Measured, measured
from resnetkit.finding.scoring import calibrated_loss
from resnetkit.finding.trial import Trials
from resnetkit.machine import Machine
from resnetkit.ranks import Ranks
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Recipe
from resnetkit.training.recipe_files import read_recipe
from resnetkit.training.running import start_run
from resnetkit.training.session import Session
from resnetkit.training.settings import override

TRIED = 12
"""Combinations, where there is time for them."""

PART = 1 / 25
"""Of the training that is searched for: what the first trials take. Shorter ones put last what
pays in a long training alone, so fewer combinations are tried for longer."""

LEAST_TRIED, LEAST_SECONDS, LEAST_EPOCHS = 4, 8.0, 4
"""Fewer are no choice; less time, or fewer epochs, say nothing of a combination."""

HELD_OUT, MOST_HELD_OUT = 500, 0.25
"""Images that combinations are judged by, of which no more than a part is taken away."""


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        recipe: what to train by; its epochs fill `train_minutes` on this machine.
        begun: the recipe that the search began with, decided for these images.
        train_minutes: that the recipe takes.
        first: batch size and learning rate, measured before anything was tried.
        tried: every combination, the best first.
        held_out: images that they were judged by.
        machine: it was measured on.
    """

    recipe: Recipe
    begun: Recipe
    train_minutes: float
    first: Measured
    tried: list[Candidate[Idea]]
    held_out: int
    machine: Machine

    def to_dict(self) -> dict:
        """As plain data, for JSON, which has no infinity: None."""
        return _finite(
            {
                "recipe": to_plain(self.recipe),
                "train_minutes": self.train_minutes,
                "suggested_lr": self.first.rate,
                "range_test": {"lr": self.first.curve.rates, "loss": self.first.curve.losses},
                "useful_batch": to_plain(self.first.batch),
                "held_out": self.held_out,
                "machine": to_plain(self.machine),
                "tried": [
                    {"settings": one.what.settings, "rounds": [to_plain(r) for r in one.rounds]}
                    for one in self.tried
                ],
            }
        )


def find(
    data: str,
    *,
    recipe: str | Recipe = "default",
    minutes: float = 20,
    train_minutes: float | None = None,
    session: Session | None = None,
    observer: Observer | None = None,
) -> Found:
    """Search for settings that are worth training with for long.

    First a range test of the learning rate and the useful batch; then combinations of network,
    image size and augmentation, by successive halving: all are tried for a short time, then the
    best of each augmentation for longer. They are judged by images that are held out.

    Args:
        data: as `train` takes it.
        recipe: to begin with: a name, a YAML file, or a Recipe. A network or an image size that it
            names stays.
        minutes: for the whole search.
        train_minutes: that the recipe may train for; by default as long as the search.
        session: machine, and what is to be done with images that cannot be read.
        observer: is told how it goes.

    Raises:
        UserError: too little time for so many images, or what `train` would say.
    """
    session, observer = session or Session(), observer or Observer()
    recipe = read_recipe(recipe) if isinstance(recipe, str) else recipe
    whole = {"data": locate(data), "folds": None, "fold": None, "dynamics": False}
    recipe = override(recipe, whole)
    train_minutes = train_minutes if train_minutes is not None else minutes
    for flag, asked in (("minutes", minutes), ("train-minutes", train_minutes)):
        if not 0 < asked < 1e5:
            raise UserError(f"--{flag} must be more than 0 and less than 100000, not {asked:g}")
    end = time.monotonic() + 60 * minutes
    trials = Trials.of(recipe, session, observer)
    begun = trials.decided(_with_judges(recipe, trials), tell=True)
    first = measured(begun, minutes)
    observer.say(
        f"batches of {first.batch.size} bring the most in a second, and the range test suggests a "
        f"learning rate of {first.rate:.2g} for them"
    )
    seconds = end - time.monotonic()
    count = affordable(seconds, minutes, train_minutes)
    base = replace(recipe, batch_size=first.batch.size, data=begun.recipe.data)
    search = _Search(trials, base, _some(begun.sources["val"]), observer)
    promising = ideas(recipe, begun.recipe, first.rate, count)
    tried = halve(promising, lambda idea: idea.look, search.judge, seconds)
    best = tried[0]
    if not math.isfinite(best.last.score):
        raise UserError(f"nothing that was tried could be trained: {best.last.trouble}")
    return Found(
        recipe=_filling(recipe, base, best, 60 * train_minutes, trials),
        begun=begun.recipe,
        train_minutes=train_minutes,
        first=first,
        tried=tried,
        held_out=len(search.judges),
        machine=Machine.of(trials.place.device, begun.recipe.precision),
    )


def _with_judges(recipe: Recipe, trials: Trials) -> Recipe:
    """The recipe with enough images held out to choose by, where the data bring none."""
    images = min(len(trials.dataset.parts["train"]), recipe.data.limit or 10**12)
    part = min(MOST_HELD_OUT, HELD_OUT / images)
    return recipe if "val" in trials.dataset.parts else override(recipe, {"val_fraction": part})


def _finite(value: Any) -> Any:
    """Plain data with None for what JSON cannot say."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _some(judges: Source) -> Source:
    """No more images than are needed to choose by."""
    chosen = np.random.default_rng(0).permutation(len(judges))[:HELD_OUT]
    return Subset(judges, np.sort(chosen))


def affordable(seconds: float, minutes: float, train_minutes: float) -> int:
    """How many combinations there is time for; raises UserError where there is none."""
    each = max(LEAST_SECONDS, PART * 60 * train_minutes)
    for count in range(TRIED, LEAST_TRIED, -1):
        if seconds >= seconds_for(count, each):
            return count
    least = seconds_for(LEAST_TRIED, LEAST_SECONDS)
    if seconds >= least:
        return LEAST_TRIED
    raise UserError(
        f"{minutes:g} minutes are too little to try anything here: give --minutes "
        f"{math.ceil((least - seconds) / 60 + minutes)} at the least, or smaller images"
    )


@dataclass(frozen=True)
class _Search:
    """Trains combinations for a while, and judges them."""

    trials: Trials
    base: Recipe
    judges: Source
    observer: Observer

    def judge(self, candidate: Candidate[Idea], seconds: float) -> Judged:
        """Train one anew for about so many seconds, its set-up included."""
        began = time.monotonic()
        try:
            recipe = override(self.base, candidate.what.settings)
            run = self.trials.decided(recipe)
            before = candidate.last.images_per_second if candidate.rounds else 0.0
            rate = before or images_per_second(run)
            left = seconds - 2 * (time.monotonic() - began)  # its set-up comes once more
            images = len(run.sources["train"])
            recipe = within(recipe, images, rate, left)
            judged = self._trained(recipe, min(recipe.data.limit or images, images))
        except UserError as error:
            judged = Judged(math.inf, trouble=str(error))
        told = judged.trouble or f"loss {judged.score:.4f}, accuracy {judged.top1:.2%}"
        self.observer.say(f"{time.monotonic() - began:5.0f} s  {candidate.what}: {told}")
        return judged

    def _trained(self, recipe: Recipe, images: int) -> Judged:
        trials = self.trials
        with tempfile.TemporaryDirectory(prefix="resnetkit-find-") as place:
            session = replace(trials.session, out=str(Path(place) / "run"), checkpoint_seconds=1e9)
            began = time.monotonic()
            result = start_run(recipe, session, Observer(), Ranks())
            if result.interrupted is not None:
                raise KeyboardInterrupt
            classifier = Classifier.load(result.run).to(trials.place.device)
        score = calibrated_loss(
            classifier, self.judges, workers=trials.place.workers, precision=recipe.precision
        )
        top1 = result.val_top1 or 0.0
        rate = images * recipe.epochs / (time.monotonic() - began)  # judging and all
        return Judged(score, result.seconds, rate, recipe.epochs, images, top1)


def within(recipe: Recipe, images: int, rate: float, seconds: float) -> Recipe:
    """The recipe with as many epochs as fit; of part of the images where few would.

    Raises:
        UserError: not even a batch of them fits.
    """
    seen = rate * seconds
    if seen >= LEAST_EPOCHS * images:
        return override(recipe, {"epochs": int(seen / images)})
    limit = int(seen / LEAST_EPOCHS)
    if limit < recipe.batch_size:
        raise UserError(f"too slow to be tried in {seconds:.0f} s: {rate:,.0f} images/s")
    return override(recipe, {"epochs": LEAST_EPOCHS, "limit": limit})


def _filling(
    asked: Recipe, base: Recipe, best: Candidate[Idea], seconds: float, trials: Trials
) -> Recipe:
    """The recipe that the search began with, the best idea's settings in it, for so long."""
    found = override(asked, {"batch_size": base.batch_size, **best.what.settings})
    images = len(trials.decided(found).sources["train"])
    epochs = max(1, int(best.last.images_per_second * seconds / images))
    return override(found, {"epochs": epochs})
