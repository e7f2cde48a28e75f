"""What a run looks like on a terminal: a live bar; elsewhere, a line now and then. On stderr."""

import contextlib
import time
from collections.abc import Callable, Generator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from resnetkit.training.observer import Observer

LINE_EVERY = 15.0
"""Seconds between lines where there is no terminal."""

SOON = 2.0
"""Seconds before the end of an epoch, about, from which on its own line is waited for."""


class TerminalObserver(Observer):
    """Shows progress to a person."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True, highlight=False)
        self.bar: Progress | None = None
        self.task, self.last = TaskID(0), time.monotonic()
        self.began = self.last

    def say(self, text: str) -> None:
        """A line, above the bar when there is one."""
        (self.bar.console if self.bar else self.console).print(text, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def counting(self, what: str, total: int) -> Generator[Callable[[int], None]]:
        """A bar that goes away when it is full."""
        if not self.console.is_terminal:
            yield lambda _: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.advance(task, done)

    def beat(
        self, *, step: int, steps: int, epoch: float, epochs: int, rate: float, loss: float
    ) -> None:
        """Move the bar, or print a line when the last one is long ago."""
        text = f"epoch {epoch:.1f}/{epochs}  loss {loss:.3f}  {rate:,.0f} images/s"
        if self.console.is_terminal:
            self._move_bar(text, step, steps)
        elif time.monotonic() - self.last >= LINE_EVERY and not self._ends_soon(epoch):
            self.say(f"{text}  {step / steps:.0%}")
            self.last = time.monotonic()

    def _ends_soon(self, epoch: float) -> bool:
        """Whether the epoch's own line comes in a moment, as far as can be told."""
        done = epoch % 1
        if min(done, 1 - done) < 1e-6:
            return True
        return (time.monotonic() - self.began) * (1 - done) / done < SOON

    def _move_bar(self, text: str, step: int, steps: int) -> None:
        if self.bar is None:
            percent, left = TextColumn("{task.percentage:.0f}%"), TextColumn("left")
            columns = (TextColumn("{task.description}"), BarColumn(), percent)
            self.bar = Progress(
                *columns,
                TimeRemainingColumn(compact=True),
                left,
                console=self.console,
                transient=True,
            )
            self.bar.start()
            self.task = self.bar.add_task(text, total=steps, completed=step)
        self.bar.update(self.task, description=text, completed=step)

    def epoch_done(self, row: dict, epochs: int) -> None:
        """A line that stays."""
        self.say(
            f"epoch {row['epoch']}/{epochs}: training loss {row['train_loss']:.4f}, "
            f"accuracy {row['train_top1']:.2%}; validation loss {row['val_loss']:.4f}, "
            f"accuracy {row['val_top1']:.2%}{_mean_ap(row)}; "
            f"{row['images_per_second']:,.0f} images/s"
        )
        self.last = self.began = time.monotonic()

    def close(self) -> None:
        """Take the bar away."""
        if self.bar:
            self.bar.stop()
            self.bar = None


def _mean_ap(row: dict) -> str:
    """Of images with several classes, the mean average precision."""
    return "" if row.get("val_map") is None else f", mAP {row['val_map']:.4f}"
