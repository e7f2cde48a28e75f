"""Whether a run keeps its decoded images from epoch to epoch, and what came of it."""

from collections.abc import Callable

from resnetkit.data.cache import Cached, Store, open_store
from resnetkit.data.sources import Source, array_of
from resnetkit.training.few import counted


def keep_images(
    sources: dict[str, Source],
    epochs: int,
    cache: str,
    size: str | None,
    available: Callable[[], int],
    sharers: int,
) -> tuple[dict[str, Source], Store | None]:
    """The sources with a cache before them, where they are files that more than one epoch wants.

    Args:
        sources: the parts of the data.
        epochs: of the run.
        cache, size: as `--cache` and `--cache-size` have them.
        available: tells how many bytes of memory nothing else of this rank wants.
        sharers: ranks on this machine.
    """
    in_memory = array_of(sources["train"]) is not None
    if in_memory or (epochs == 1 and cache == "memory"):
        return sources, None
    store = open_store(cache, size, available, sharers)
    if store is None:
        return sources, None
    return {part: Cached(source, store) for part, source in sources.items()}, store


def troubles(store: Store | None) -> list[str]:
    """What a person should know of the cache at the end of a run."""
    if store is None:
        return []
    said = []
    if store.damaged:
        said.append(f"damaged in the cache, and decoded anew: {counted(store.damaged, 'image')}")
    if store.failed:
        said.append(f"the cache could not be written any more: {store.failed}")
    return said
