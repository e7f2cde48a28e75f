"""How much of a run goes into waiting for images, and what to do about it."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from resnetkit.data.cache import Cached
from resnetkit.data.loader import Loader
from resnetkit.data.sources import array_of

Item = TypeVar("Item")

MUCH = 0.1
"""Part of the time from which waiting is worth a word."""


class Waiting:
    """Watches an epoch's batches come in.

    Attributes:
        share: part of the last epoch, as far as it ran in this process, spent waiting.
    """

    def __init__(self):
        self.share, self._warmed, self._said = 0.0, False, False

    def watched(self, batches: Iterable[Item]) -> Iterator[Item]:
        """The same batches; who takes them works between two."""
        waited, began = 0.0, time.perf_counter()
        asked = began
        for batch in batches:
            waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()
            self.share = waited / max(asked - began, 1e-9)

    def advice(self, loader: Loader) -> str | None:
        """A line to say at the end of an epoch: once, and not of the first, which fills caches."""
        warmed, self._warmed = self._warmed, True
        remedy = _remedy(loader)
        if not warmed or self._said or self.share < MUCH or remedy is None:
            return None
        self._said = True
        return f"the network waits for images {self.share:.0%} of the time: {remedy}"


def _remedy(loader: Loader) -> str | None:
    source = loader.source
    if loader.resident is not None:
        return (
            "give more --workers, or leave --policy, --jitter and --lighting out"
            if loader.changes_on_cpu
            else None
        )
    if array_of(source) is not None:
        return "give more --workers"
    if not isinstance(source, Cached):
        return "keep decoded images with --cache memory or --cache FOLDER, or give more --workers"
    if source.store.failed:
        return f"the folder of --cache cannot be written: {source.store.failed}"
    if source.store.full:
        return "the cache is full: raise --cache-size, name a --cache FOLDER, or shrink the files"
    return "give more --workers, or shrink the files"
