"""The lines of metrics.jsonl as scalars for TensorBoard, in the run folder's `tensorboard/`."""

import contextlib
import importlib.util
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

from resnetkit.errors import UserError
from resnetkit.training.observer import Observer

SCALARS = (
    "lr", "train_loss", "train_top1", "val_loss", "val_top1", "val_map", "images_per_second",
)  # fmt: skip


def check_tensorboard() -> None:
    """Raise UserError unless TensorBoard is installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs a package: pip install 'resnetkit[tensorboard]'")


class TensorboardObserver(Observer):
    """Writes every epoch down, and passes on everything to another observer.

    Args:
        inner: the other one.
        folder: is made anew: on a resumed run from the lines that its checkpoint holds, so that no
            epoch is there twice.
        rows: those lines.
    """

    def __init__(self, inner: Observer, folder: Path, rows: list[dict]):
        from torch.utils.tensorboard import SummaryWriter  # an extra, and slow to import

        self.inner = inner
        shutil.rmtree(folder, ignore_errors=True)
        self.writer = SummaryWriter(str(folder))
        for row in rows:
            self._write(row)

    def _write(self, row: dict) -> None:
        for name in SCALARS:
            if row.get(name) is not None:
                self.writer.add_scalar(name.replace("_", "/", 1), row[name], row["step"])
        self.writer.flush()

    def say(self, text: str) -> None:
        """A line for people."""
        self.inner.say(text)

    @contextlib.contextmanager
    def counting(self, what: str, total: int) -> Generator[Callable[[int], None]]:
        """Something of known length begins."""
        with self.inner.counting(what, total) as advance:
            yield advance

    def beat(
        self, *, step: int, steps: int, epoch: float, epochs: int, rate: float, loss: float
    ) -> None:
        """Now and then while training."""
        self.inner.beat(step=step, steps=steps, epoch=epoch, epochs=epochs, rate=rate, loss=loss)

    def epoch_done(self, row: dict, epochs: int) -> None:
        """An epoch has ended: its line, by its step."""
        self._write(row)
        self.inner.epoch_done(row, epochs)

    def close(self) -> None:
        """Training is over, or stopped."""
        self.writer.close()
        self.inner.close()
