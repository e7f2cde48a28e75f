"""Which images are held out of training, by seed: a share of them, or a fold of several."""

import numpy as np

from resnetkit.data import prepare
from resnetkit.data.strata import strata, task_of

_FOLDS = 4  # which stream of random numbers of a seed


def fold_numbers(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of every image, (images,), 1 to `folds`.

    Images are put in order by class (of several: the rarest, then the whole set) and within that
    by seed, and dealt out like cards. So folds differ by at most one image, and so do the images
    that they have of a class, or of one set of several classes.
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0, _FOLDS])))
    shuffled, alike = generator.permutation(len(labels)), np.zeros(len(labels), np.int64)
    if task_of(labels) == "multi-label":
        packed = np.packbits(labels, axis=1)
        alike = np.unique(packed, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((shuffled, alike, strata(labels)))
    numbers = np.empty(len(labels), np.int64)
    numbers[order] = np.arange(len(labels)) % folds + 1
    return numbers


def hold_out(
    labels: np.ndarray,
    seed: int,
    *,
    val_fraction: float,
    folds: int | None = None,
    fold: int | None = None,
    limit: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Two sorted lists of indices: the rest, and what is held out.

    Args:
        labels: of all training images, those that cannot be read among them.
        seed: of what is drawn.
        val_fraction: the share to hold out; of no concern where there are folds.
        folds: hold out one of so many.
        fold: which, from 1 on.
        limit: with folds: so many images are chosen first, and folds are made of them alone.
    """
    if folds is None:
        return prepare.split(labels, val_fraction, seed)
    chosen = np.arange(len(labels)) if limit is None else prepare.limit(labels, limit, seed)
    out = fold_numbers(labels[chosen], folds, seed) == fold
    return chosen[~out], chosen[out]
