"""Sources become batches, in an order and with draws that do not depend on who loads them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch

from resnetkit.data.augment import (
    augment,
    balanced_order,
    epoch_order,
    every_other_epoch,
    picture_draws,
    sent,
    square,
    training_side,
)
from resnetkit.data.augmentation import Augmentation
from resnetkit.data.decode import BadImage
from resnetkit.data.sources import Source, array_of
from resnetkit.data.threads import on_one_core
from resnetkit.data.transform import Transform
from resnetkit.ranks import share

AHEAD = 2
"""Batches that every worker may be ahead of the one that uses them."""


class Batch(NamedTuple):
    """Indices into the source (n,), uint8 images (n, size, size, channels), labels (n,).

    Under several ranks it is this rank's share of a batch of `whole` images.
    """

    indices: torch.Tensor
    images: torch.Tensor
    labels: torch.Tensor
    whole: int


class Loader:
    """Batches of a source.

    Decoding, resizing and augmenting run in worker threads, a batch a task: the libraries that
    do the work release the interpreter's lock, so threads are as quick as processes and start at
    once. With 0 workers batches are made when they are asked for.

    Args:
        source: the labelled images.
        transform: the preprocessing; images come out as its size and channels say.
        batch_size: images in a batch; the last one of an epoch may have fewer. A last batch of a
            single image joins the one before it: batch norm has no statistics of one.
        augmentation: draws for training; None for evaluation, in the source's own order.
        seed: of the order and of the draws.
        workers: threads.
        skip_bad: leave out images that cannot be read and list them in `skipped`; otherwise the
            first one raises BadImage.
        ranks: whose share of every batch is loaded: (rank, how many there are).
        device: where pictures that are in memory already, as the network sees them, are kept whole
            and augmented. Others come from where a GPU fetches them without anybody waiting.
        balanced: every class is shown equally often, rare images several times in an epoch.
    """

    def __init__(
        self,
        source: Source,
        transform: Transform,
        batch_size: int,
        *,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        workers: int = 0,
        skip_bad: bool = False,
        ranks: tuple[int, int] = (0, 1),
        device: torch.device | None = None,
        balanced: bool = False,
    ):
        self.source, self.transform, self.augmentation = source, transform, augmentation
        self.seed, self.workers, self.skip_bad, self.ranks = seed, workers, skip_bad, ranks
        self.skipped: list[BadImage] = []
        order = (
            partial(balanced_order, labels=source.labels)
            if balanced
            else partial(epoch_order, images=len(source))
        )
        self._order = lru_cache(maxsize=4)(partial(order, seed))
        self.bounds = batch_bounds(len(source), batch_size)
        self.least_side = transform.least_side
        if augmentation is not None:
            self.least_side = training_side(transform, augmentation)
        self.resident = self._resident(device)
        self.pins = device is not None and device.type == "cuda"

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self.bounds) - 1

    def epoch(self, epoch: int = 0, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from the one numbered `first` on."""
        if not self.workers or (self.resident is not None and not self.changes_on_cpu):
            for step in range(first, self.steps):
                yield self.batch(epoch, step)
            return
        with ThreadPoolExecutor(self.workers, "loader", initializer=on_one_core) as pool:
            waiting = deque()
            try:
                for step in range(first, self.steps):
                    waiting.append(pool.submit(self.batch, epoch, step))
                    if len(waiting) > self.workers * AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def batch(self, epoch: int, step: int) -> Batch:
        """Batch number `step` of an epoch: a pure function of the two and of the loader's seed."""
        first, whole = self.bounds[step], self.bounds[step + 1] - self.bounds[step]
        own = slice(*share(whole, *self.ranks))
        start, end = first + own.start, first + own.stop
        how = self.augmentation
        if how is None:
            chosen, draws = np.arange(start, end), None
        else:
            chosen = self._pictures(epoch, step, how.repeats)[own]
            draws = picture_draws(self.seed, epoch, start, end - start, how)
            if how.alternate:
                draws = every_other_epoch(draws, self.seed, epoch, chosen, len(self.source))
        squares, kept = self._squares(chosen, draws)
        if how is not None and draws is not None:
            squares = augment(squares, how, draws[kept])
        chosen = chosen[kept]
        labels = torch.from_numpy(self.source.labels[chosen])
        if self.pins and not squares.is_cuda:
            squares = squares.pin_memory()
        return Batch(torch.from_numpy(chosen), squares, labels, whole)

    def _pictures(self, epoch: int, step: int, repeats: int) -> np.ndarray:
        """The pictures of a whole batch in training.

        Repeated ones (Berman 2019, arXiv 1902.05509, section 4.1) stand as far from one another as
        they can, so that mixing meets others, and are shared out to different ranks.
        """
        order, whole = self._order(epoch), np.diff(self.bounds)
        kept = -(-whole // repeats)
        first = kept[:step].sum()
        return np.tile(order[first : first + kept[step]], repeats)[: whole[step]]

    def _squares(
        self, chosen: np.ndarray, draws: np.ndarray | None
    ) -> tuple[torch.Tensor, np.ndarray]:
        """The pictures cut to uint8 (n, size, size, channels), and which of them can be read."""
        size, channels = self.transform.size, self.transform.channels
        if self.resident is not None:
            rows = sent(chosen, self.resident.device)
            return self.resident.index_select(0, rows), np.ones(len(chosen), bool)
        squares = np.empty((len(chosen), size, size, channels), np.uint8)
        kept = np.ones(len(chosen), bool)
        for row, index in enumerate(chosen):
            try:
                image = self.source.image(index, channels, self.least_side)
            except BadImage as bad:
                if not self.skip_bad:
                    raise
                self.skipped.append(bad)
                kept[row] = False
                continue
            if self.augmentation is None or draws is None:
                squares[row] = self.transform.image(image)
            else:
                squares[row] = square(image, self.transform, self.augmentation, draws[row])
        return torch.from_numpy(squares if kept.all() else squares[kept]), kept

    def _resident(self, device: torch.device | None) -> torch.Tensor | None:
        """All pictures on the device, where they are in memory as the network sees them."""
        size, channels = self.transform.size, self.transform.channels
        if self.augmentation is not None and self.augmentation.cuts:
            return None
        found = array_of(self.source)
        if found is None or found.shape[1:] != (size, size, channels):
            return None
        found = found if found.flags.writeable else found.copy()  # torch wants to own what it sees
        kept = torch.from_numpy(found)
        return kept if device is None or self.changes_on_cpu else kept.to(device)

    @property
    def changes_on_cpu(self) -> bool:
        """Whether worker threads change pictures before they move."""
        return self.augmentation is not None and self.augmentation.by_pillow


def batch_bounds(images: int, batch_size: int) -> list[int]:
    """Where each batch begins, and the end of the last."""
    bounds = [*range(0, images, batch_size), images]
    if len(bounds) > 2 and bounds[-1] - bounds[-2] == 1:
        del bounds[-2]
    return bounds
