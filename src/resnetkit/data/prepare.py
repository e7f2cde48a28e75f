"""Before training starts: which images can be read, what they are like, which are held out."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from resnetkit.data.decode import BadImage
from resnetkit.data.loader import Loader
from resnetkit.data.looks import digest, look_at
from resnetkit.data.sources import ArraySource, FileSource, Source, Subset
from resnetkit.data.strata import strata
from resnetkit.data.transform import Transform

_SPLIT, _LIMIT = 2, 3  # which stream of random numbers of a seed


@dataclass(frozen=True)
class Scan:
    """What looking through all images of a source has found.

    Attributes:
        bad: those that cannot, in the source's order.
        sizes: the different (height, width) among the readable ones.
        grey: whether every readable one is grey.
    """

    bad: list[BadImage]
    sizes: frozenset[tuple[int, int]]
    grey: bool


def scan(source: Source, workers: int, advance: Callable[[int], None] = lambda _: None) -> Scan:
    """Look at every image once; `advance` is called with the number of those done."""
    base, chosen = source, np.arange(len(source))
    while isinstance(base, Subset):
        base, chosen = base.source, base.chosen[chosen]
    if isinstance(base, ArraySource):
        shape = base.images.shape
        return Scan([], frozenset({shape[1:3]}), shape[3] == 1)
    assert isinstance(base, FileSource)
    paths = [base.paths[row] for row in chosen]
    looks = look_at(paths, workers, advance)
    bad = [BadImage(paths[row], looks.reasons[row]) for row in sorted(looks.reasons)]
    shapes = np.unique(looks.shapes[looks.shapes[:, 2] > 0], axis=0).tolist()
    return Scan(
        bad, frozenset((height, width) for height, width, _ in shapes),
        all(channels == 1 for *_, channels in shapes),
    )  # fmt: skip


def split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sorted lists of indices: the rest, and a stratified `fraction` held out by seed.

    Of every class at least one image is held out, and at least one is kept, where it has two;
    images of several classes go by their `strata`.
    """
    labels, held = strata(labels), []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(len(members) * fraction)), len(members) - 1)
        held.append(_shuffled(members, seed, _SPLIT, int(label))[:count])
    out = np.sort(np.concatenate(held)) if held else np.empty(0, np.int64)
    return np.setdiff1d(np.arange(len(labels)), out), out


def limit(labels: np.ndarray, images: int, seed: int) -> np.ndarray:
    """Sorted indices of a stratified `images` of them: every class by its share, at least one.

    `images` must be at least the number of classes (images of several go by their `strata`);
    where there are fewer, all are taken.
    """
    labels = strata(labels)
    images = min(images, len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * (images / len(labels))
    wanted = np.maximum(1, np.floor(shares).astype(int))
    while wanted.sum() < images:
        wanted[np.where(wanted < counts, shares - wanted, -np.inf).argmax()] += 1
    while wanted.sum() > images:
        wanted[np.where(wanted > 1, wanted - shares, -np.inf).argmax()] -= 1
    chosen = [
        _shuffled(np.flatnonzero(labels == label), seed, _LIMIT, int(label))[:count]
        for label, count in zip(classes, wanted, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _shuffled(members: np.ndarray, seed: int, stream: int, label: int) -> np.ndarray:
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, stream, label])))
    return generator.permutation(members)


def mean_and_deviation(
    source: Source, size: int, channels: int, *, workers: int = 0, most: int = 5000
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation a channel, pixels in 0..1, of up to `most` evenly spaced images.

    Args:
        source: the training images.
        size: what they are resized to, in pixels.
        channels: 1 or 3.
        workers: threads that load images; the sums are whole numbers, the same for any number.
        most: images to look at.

    Returns:
        `channels` numbers each, rounded to 4 digits.
    """
    some = np.linspace(0, len(source) - 1, min(most, len(source))).astype(int)
    zeros, ones = (0.0,) * channels, (1.0,) * channels
    plain = Transform(size=size, channels=channels, mean=zeros, std=ones)
    sums = squares = np.zeros(channels, np.int64)
    for batch in Loader(Subset(source, some), plain, 64, workers=workers).epoch():
        pixels = batch.images.numpy().reshape(-1, channels).astype(np.int64)
        sums, squares = sums + pixels.sum(axis=0), squares + (pixels**2).sum(axis=0)
    count = len(some) * size * size
    mean = sums / count / 255
    deviation = np.sqrt(np.maximum(squares / count / 255**2 - mean**2, 1e-4))
    return tuple(mean.round(4).tolist()), tuple(deviation.round(4).tolist())


def fingerprint(source: Source, workers: int = 2) -> str:
    """A digest of what the images are: labels, names, contents. A copy elsewhere has the same."""
    total = hashlib.sha256(source.labels.tobytes())
    base = source
    while isinstance(base, Subset):
        total.update(base.chosen.tobytes())
        base = base.source
    if isinstance(base, ArraySource):
        total.update(base.images.tobytes())
    if isinstance(base, FileSource):
        total.update(digest(base.paths, look_at(base.paths, workers)))
    return total.hexdigest()
