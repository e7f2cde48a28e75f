"""A run that waits for its images says so, once, and names a remedy that it has not taken yet."""

import time

import numpy as np
import pytest

from resnetkit.data.augmentation import Augmentation
from resnetkit.data.cache import Cached, DiskStore, MemoryStore
from resnetkit.data.loader import Loader
from resnetkit.data.sources import ArraySource, FileSource
from resnetkit.data.transform import Transform
from resnetkit.training.waiting import Waiting


def slow(batches: int, seconds: float):
    for number in range(batches):
        time.sleep(seconds)
        yield number


def loader(store=None, *, in_memory: Augmentation | None = None) -> Loader:
    if in_memory:
        images = np.zeros((4, 8, 8, 3), np.uint8)
        source = ArraySource(images, np.arange(4), "some")
        return Loader(source, Transform(size=8), 2, augmentation=in_memory)
    source = FileSource(["a.jpg", "b.jpg"], np.array([0, 1]))
    return Loader(Cached(source, store) if store else source, Transform(size=8), 2)


def waited(share: float, epochs: int, **options) -> list[str | None]:
    waiting = Waiting()
    said = []
    for _ in range(epochs):
        for _ in waiting.watched(slow(4, 0.02 * share)):
            time.sleep(0.02 * (1 - share))
        said.append(waiting.advice(loader(**options)))
    assert waiting.share == pytest.approx(share, abs=0.15)
    return said


def test_it_is_said_once_and_not_of_the_first_epoch():
    first, second, third = waited(0.6, 3)
    assert first is third is None
    assert "--cache" in second
    assert waited(0.02, 3) == [None, None, None]


def test_the_remedy_fits_what_is_there(tmp_path):
    roomy, full, broken = MemoryStore(10**6), MemoryStore(10), DiskStore(tmp_path, 10**6)
    full.put("x", np.zeros((9, 9, 1), np.uint8))
    broken.failed = "No space left on device"
    assert "--workers" in waited(0.6, 2, store=roomy)[1]
    assert "--cache-size" in waited(0.6, 2, store=full)[1]
    assert "--policy" in waited(0.6, 2, in_memory=Augmentation(policy="rand"))[1]
    assert waited(0.6, 2, in_memory=Augmentation())[1] is None
    assert waited(0.6, 2, in_memory=Augmentation(crop="resized"))[1].endswith("--workers")
    assert "No space left" in waited(0.6, 2, store=broken)[1]
