"""The same picture twice: bit for bit, or resized, recompressed, shifted by a pixel.

Candidates are found by the magnitudes of their Fourier transforms, which a shift does not change,
then compared pixel by pixel: what a small shift and a little blur cannot explain must be next to
nothing. Both limits were chosen on the first half of Fashion-MNIST's training images
(`benchmarks/check_duplicates.py`).
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SIDE = 32
"""Pictures are compared as grey images of SIDE x SIDE pixels."""

ALIKE = 0.989
"""Least cosine of two candidates' descriptors."""

NEAREST = 8
"""So many candidates behind it are compared with a picture: those most alike."""

MOST_UNEXPLAINED = 0.0028
"""Largest part of a picture's variance that shift and blur of its twin may leave unexplained."""

MOST_TINT = 16
"""Largest difference of two twins' mean colours, of 255."""

LEAST_CONTRAST = 4
"""Pictures whose grey levels deviate less have no content to compare."""

MOST_COMPARED = 5e10
"""So many comparisons are made at most: about 220,000 pictures among one another."""

_WAVES, _BLOCK, _EDGE = 8, 2048, 3
_WORTH_TURNING = 4
"""The blurred one of a pair explains the sharp one less well than the other way round."""


def near_pairs(thumbs: np.ndarray, tints: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Pairs of rows that show the same picture.

    Args:
        thumbs: uint8 (n, SIDE, SIDE), grey.
        tints: uint8 (n, 3), the mean colour.
        groups: (n,) whole numbers. Where all would be too many to compare, only those of one
            group are; where that is too many as well, none.

    Returns:
        int64 (pairs, 2), the lower row first.
    """
    lively = np.flatnonzero(thumbs.std(axis=(1, 2)) >= LEAST_CONTRAST)
    counts = np.bincount(groups[lively] - groups.min(initial=0)).astype(float)
    if len(lively) ** 2 <= MOST_COMPARED:
        searched = [lively]
    elif (counts**2).sum() <= MOST_COMPARED:
        searched = [lively[groups[lively] == group] for group in np.unique(groups[lively])]
    else:
        return np.empty((0, 2), np.int64)
    found = [rows[_candidates(_descriptors(thumbs[rows]))] for rows in searched if len(rows) > 1]
    pairs = np.concatenate([np.empty((0, 2), np.int64), *found])
    tinted = np.abs(tints[pairs[:, 0]].astype(int) - tints[pairs[:, 1]].astype(int)).max(axis=1)
    pairs = pairs[tinted <= MOST_TINT]
    return pairs[_unexplained(thumbs, pairs) <= MOST_UNEXPLAINED]


def _descriptors(thumbs: np.ndarray) -> Tensor:
    """(n, SIDE, SIDE) -> (n, 120) of length 1: roots of the lowest Fourier magnitudes."""
    found = []
    for block in np.split(thumbs, range(_BLOCK, len(thumbs), _BLOCK)):
        pixels = torch.from_numpy(block).float()
        waves = torch.fft.rfft2(pixels - pixels.mean((1, 2), keepdim=True)).abs()
        low = torch.cat([waves[:, :_WAVES, :_WAVES], waves[:, 1 - _WAVES :, :_WAVES]], 1)
        found.append(functional.normalize(low.flatten(1).sqrt()))
    return torch.cat(found)


def _candidates(descriptors: Tensor) -> np.ndarray:
    """Pairs of rows whose descriptors are alike: (pairs, 2), the lower row first.

    A row has the NEAREST behind it at most: the frames of a film are all alike, and their pairs
    are as many as their square.
    """
    found = [torch.empty(0, 2, dtype=torch.long)]
    blocks = descriptors.split(_BLOCK)
    for i, one in enumerate(blocks):
        pairs, alike = torch.empty(0, 2, dtype=torch.long), torch.empty(0)
        for j, other in enumerate(blocks[i:], i):
            products = one @ other.T
            if i == j:
                products = products.triu(1)
            new = (products > ALIKE).nonzero()
            alike = torch.cat([alike, products[new[:, 0], new[:, 1]]])
            pairs = torch.cat([pairs, new + torch.tensor([i * _BLOCK, j * _BLOCK])])
            if len(pairs) > _BLOCK * NEAREST:
                pairs, alike = _nearest(pairs, alike)
        found.append(_nearest(pairs, alike)[0])
    return torch.cat(found).numpy()


def _nearest(pairs: Tensor, alike: Tensor) -> tuple[Tensor, Tensor]:
    """Of every first row the NEAREST pairs that are most alike."""
    order = alike.argsort(descending=True, stable=True)
    order = order[pairs[order, 0].argsort(stable=True)]
    _, counts = pairs[order, 0].unique_consecutive(return_counts=True)
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    kept = order[torch.arange(len(order)) - starts < NEAREST]
    return pairs[kept], alike[kept]


def _unexplained(thumbs: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """For each pair the part of one picture's variance that the other does not explain."""
    found = [np.empty(0)]
    for block in np.split(pairs, range(_BLOCK, len(pairs), _BLOCK)):
        one, other = (_blurred(torch.from_numpy(thumbs[block[:, i]]).float()) for i in (0, 1))
        rest = _left_over(one, other)
        near = (rest > MOST_UNEXPLAINED) & (rest < _WORTH_TURNING * MOST_UNEXPLAINED)
        rest[near] = torch.minimum(rest[near], _left_over(other[near], one[near]))
        found.append(rest.numpy())
    return np.concatenate(found)


def _blurred(pixels: Tensor) -> Tensor:
    """A Gaussian of 0.8 pixels takes off what compression has left."""
    places = torch.arange(-2, 3)
    kernel = torch.exp(-(places**2) / (2 * 0.8**2))
    kernel = kernel / kernel.sum()
    padded = functional.pad(pixels[:, None], (2, 2, 2, 2), mode="replicate")
    across = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(across, kernel.view(1, 1, -1, 1))[:, 0]


def _left_over(target: Tensor, source: Tensor) -> Tensor:
    """The part of the target's variance that remains after fitting the source to it.

    The source may be shifted by up to a whole pixel, by a fraction more through its two slopes,
    and blurred or sharpened through its Laplacian: four numbers by least squares.
    """
    inner = slice(_EDGE, SIDE - _EDGE)
    wanted = target[:, inner, inner].flatten(1)
    wanted = wanted - wanted.mean(1, keepdim=True)
    spread = wanted.norm(dim=1).clamp_min(1e-6)
    best, shift = torch.full((len(wanted),), -2.0), torch.zeros(len(wanted), 2, dtype=torch.long)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            rows = slice(_EDGE + down, SIDE - _EDGE + down)
            moved = source[:, rows, _EDGE + right : SIDE - _EDGE + right].flatten(1)
            moved = moved - moved.mean(1, keepdim=True)
            alike = (moved * wanted).sum(1) / (moved.norm(dim=1).clamp_min(1e-6) * spread)
            shift[alike > best] = torch.tensor([down, right])
            best = torch.maximum(best, alike)
    steps = [torch.tensor([step]) for step in ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))]
    here, left, right, up, down = (_window(source, shift + step) for step in steps)
    laplacian = left + right + up + down - 4 * here
    basis = torch.stack([here, (right - left) / 2, (down - up) / 2, laplacian], 1)
    square = basis @ basis.transpose(1, 2)
    ridge = 1e-4 * square.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-6)
    weights = torch.linalg.solve(
        square + ridge[:, None, None] * torch.eye(4), basis @ wanted[:, :, None]
    )
    rest = wanted[:, :, None] - basis.transpose(1, 2) @ weights
    return (rest[:, :, 0].norm(dim=1) / spread) ** 2


def _window(pixels: Tensor, shift: Tensor) -> Tensor:
    """The inner pixels of every picture, shifted by (down, right), without their mean."""
    inside = torch.arange(_EDGE, SIDE - _EDGE)
    rows = (inside + shift[:, :1])[:, :, None]
    columns = (inside + shift[:, 1:])[:, None, :]
    found = pixels[torch.arange(len(pixels))[:, None, None], rows, columns].flatten(1)
    return found - found.mean(1, keepdim=True)
