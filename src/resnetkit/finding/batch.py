"""The batch size that brings training forward the most in a second."""

import time
from dataclasses import dataclass
from itertools import count

from resnetkit.errors import UserError
from resnetkit.finding.noise import Noise
from resnetkit.finding.trial import trainer_of, with_batch
from resnetkit.ranks import Ranks
from resnetkit.training.ready_run import ReadyRun
from resnetkit.training.room import check_room
from resnetkit.training.setup import deepest, starting_network

LEAST, MOST = 32, 8192
EPOCH_STEPS = 8
"""A batch larger than so much of an epoch leaves too few steps."""


@dataclass(frozen=True)
class UsefulBatch:
    """What was found out about batch sizes.

    Attributes:
        size: the one to take.
        rates: images/s of a step, by batch size.
        noise: of the gradients.
        too_large: the smallest that was not tried because memory does not hold it.
    """

    size: int
    rates: dict[int, float]
    noise: Noise
    too_large: int | None


def useful_batch(run: ReadyRun, noise: Noise) -> UsefulBatch:
    """Try batches of 32, 64, ... images while a larger one brings more.

    Progress is images/s over 1 + batch / noise scale, for so many more images a larger batch
    needs to come as far (McCandlish 2018, arXiv 1812.06162, equation 2.7).
    """
    images = len(run.sources["train"])
    rates, batch, progress, too_large = {}, LEAST, 0.0, None
    while batch <= min(MOST, max(LEAST, images // EPOCH_STEPS)):
        tried = with_batch(run, batch)
        if not _fits(tried):
            too_large = batch
            break
        rates[batch] = images_per_second(tried)
        forward = progress_of(rates[batch], batch, noise.scale)
        if forward <= progress:
            break
        batch, progress = batch * 2, forward
    if not rates:
        raise UserError(f"not even {LEAST} images fit memory: take a smaller --image-size or model")
    size = max(rates, key=lambda batch: progress_of(rates[batch], batch, noise.scale))
    return UsefulBatch(size, rates, noise, too_large)


def progress_of(rate: float, batch: int, scale: float) -> float:
    """Images/s, each counted by what it brings in such a batch; scales below an image are one."""
    return rate / (1 + batch / max(scale, 1.0))


def images_per_second(run: ReadyRun, least_seconds: float = 0.5) -> float:
    """Of training as the run does it: images are loaded, changed and learned from."""
    trainer = trainer_of(run)
    batches = (batch for epoch in count() for batch in trainer.loader.epoch(epoch, 0))
    trainer.train_step(next(batches))  # the first is slower: memory is found, code is chosen
    images, clock = trainer.sums[2].item(), time.perf_counter()
    while (passed := time.perf_counter() - clock) < least_seconds:
        trainer.train_step(next(batches))
        done = trainer.sums[2].item()  # waits for the device
    return (done - images) / passed


def _fits(run: ReadyRun) -> bool:
    nested = deepest(starting_network(run.recipe, run.record.classes), run.recipe)
    images = len(run.sources["train"])
    try:
        check_room(nested, run.recipe, images, run.place.room, Ranks())
    except UserError:
        return False
    return True
