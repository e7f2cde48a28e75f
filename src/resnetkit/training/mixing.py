"""Pictures mixed with others of their batch: mixup and CutMix."""

import math

import numpy as np
from torch import Tensor
from torch.nn import functional

from resnetkit.data.augment import step_seed
from resnetkit.data.augmentation import Augmentation


def mixed(
    x: Tensor, labels: Tensor, how: Augmentation, classes: int, *, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """Pictures computed together, each mixed with the one before it.

    Mixup (Zhang 2017, arXiv 1710.09412, section 2): a weighted mean of both. CutMix (Yun 2019,
    arXiv 1905.04899, section 3.1): a box of the one is put into the other. Where both are asked for
    either is drawn. The share is drawn once a step, from Beta(alpha, alpha); it, the box and the
    choice are a function of (seed, step).

    Args:
        x: float (images, channels, height, width).
        labels: int64 (images,), or uint8 (images, classes).
        how: its `mixup` and `cutmix` are the alphas; 0 for neither.
        classes: how many there are.
        seed, step: of the run, and where it stands.

    Returns:
        The pictures, and as labels how much of every class each has: float32 (images, classes).
        As they were given where nothing is to be mixed.
    """
    if not (how.mixup or how.cutmix):
        return x, labels
    draws = np.random.default_rng(step_seed(seed, step, 0))
    cut = draws.random() < (0.5 if how.mixup else 1.0) if how.cutmix else False
    alpha = how.cutmix if cut else how.mixup
    share = float(draws.beta(alpha, alpha))
    other = x.roll(1, 0)
    if cut:
        top, bottom, left, right = _box(x.shape[2], x.shape[3], share, draws)
        x = x.clone()
        x[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (x.shape[2] * x.shape[3])
    else:
        x = x.lerp(other, 1 - share)
    whole = labels.float() if labels.ndim == 2 else functional.one_hot(labels, classes).float()
    return x, whole.lerp(whole.roll(1, 0), 1 - share)


def _box(height: int, width: int, share: float, draws: np.random.Generator):
    """(top, bottom, left, right) of a box that leaves about a share of the picture."""
    part = math.sqrt(1 - share)
    middle_down, middle_right = draws.random(2) * (height, width)
    bounds = (
        middle_down - part * height / 2, middle_down + part * height / 2,
        middle_right - part * width / 2, middle_right + part * width / 2,
    )  # fmt: skip
    sides = (height, height, width, width)
    return tuple(min(side, max(0, round(at))) for at, side in zip(bounds, sides, strict=True))
