"""How a run tells of itself; the terminal shows it, a program may listen or not."""

import contextlib
import time
from collections.abc import Callable, Generator

import torch

PAUSE = 0.5
"""Seconds between two beats: asking for the loss makes the host wait for the device."""


class Observer:
    """Told what happens; by itself it does nothing. Override what is of interest."""

    def say(self, text: str) -> None:
        """A line for people."""

    @contextlib.contextmanager
    def counting(self, what: str, total: int) -> Generator[Callable[[int], None]]:
        """Something of known length begins; the block calls the function with what is done."""
        del what, total  # for those who override this
        yield lambda _: None

    def beat(
        self, *, step: int, steps: int, epoch: float, epochs: int, rate: float, loss: float
    ) -> None:
        """Now and then while training: steps done, epoch under way, images/s, mean loss."""

    def epoch_done(self, row: dict, epochs: int) -> None:
        """An epoch has ended; its line of metrics.jsonl."""

    def close(self) -> None:
        """Training is over, or stopped."""


class Pulse:
    """Passes on an epoch's progress now and then."""

    def __init__(self, observer: Observer, steps: int, epochs: int):
        self.observer, self.steps, self.epochs = observer, steps, epochs
        self.images, self.since = 0, time.monotonic()

    def beat(self, step: int, images: int, sums: torch.Tensor) -> None:
        """After a step with so many images; sums of (loss, right, images) over the epoch."""
        self.images += images
        passed = time.monotonic() - self.since
        if passed < PAUSE and step < self.steps:
            return
        loss, _, seen = sums.tolist()
        self.observer.beat(
            step=step,
            steps=self.steps,
            epoch=step / self.steps * self.epochs,
            epochs=self.epochs,
            rate=self.images / passed if passed else 0.0,
            loss=loss / max(1, seen),
        )
        self.images, self.since = 0, time.monotonic()
