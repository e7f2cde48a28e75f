"""How many images a batch may have before more of them tell the optimiser little new."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from resnetkit.training.trainer import Trainer

BATCH, STEPS, SAMPLES = 32, 20, 8
"""Images in each batch; steps of training before every point, and batches compared there."""

POINTS = 5
"""Of the training at which it is measured, of which the middle one counts."""


@dataclass(frozen=True)
class Noise:
    """The simple noise scale of gradients, where training begins.

    Attributes:
        scale: images; a batch much larger wastes them, one much smaller is all noise.
        points: what it was from point to point.
    """

    scale: float
    points: tuple[float, ...]


def noise_scale(trainer: Trainer, points: int = POINTS) -> Noise:
    """Train a little, compare gradients of single batches with their mean, and again.

    The trace of a single image's covariance over the squared length of the true gradient
    (McCandlish 2018, arXiv 1812.06162, section 2.2 and appendix A.1). It grows as training goes
    on, and is low where a high learning rate throws weights about: hence the middle of some points.

    Args:
        trainer: at its first step; is used up.
        points: to measure at.
    """
    found = []
    for _ in range(points):
        for _ in range(STEPS):
            trainer.train_step(trainer.loader.batch(*divmod(trainer.step, trainer.loader.steps)))
        trainer.check_finite()
        found.append(noise_of(_gradients(trainer), trainer.recipe.batch_size))
    return Noise(statistics.median(found), tuple(found))


def _gradients(trainer: Trainer) -> Iterable[torch.Tensor]:
    """Gradients of some batches at the same weights, each as one long vector."""
    for step in range(trainer.step, trainer.step + SAMPLES):
        trainer.gradients(trainer.loader.batch(*divmod(step, trainer.loader.steps)))
        own = [p.grad.flatten() for p in trainer.net.parameters() if p.grad is not None]
        yield torch.cat(own).cpu().double()


def noise_of(gradients: Iterable[torch.Tensor], batch: int) -> float:
    """The noise scale in images, infinite where no common direction is seen.

    Args:
        gradients: of at least two batches at the same weights, (parameters,) each.
        batch: images in each.
    """
    total, squares, count = torch.zeros(()), 0.0, 0
    for gradient in gradients:
        total, squares, count = (
            total + gradient,
            squares + float(gradient.square().sum()),
            count + 1,
        )
    single, mean = squares / count, float(total.square().sum()) / count**2
    covariance = (single - mean) * count / (count - 1)  # of a batch's gradient: its trace
    true = mean - covariance / count
    return batch * covariance / true if true > 0 else float("inf")
