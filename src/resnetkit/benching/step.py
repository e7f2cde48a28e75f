"""A step of training by itself, as `resnetkit train` takes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resnetkit.config import Precision
from resnetkit.data.loader import Loader
from resnetkit.data.sources import ArraySource
from resnetkit.data.transform import Transform
from resnetkit.nets.network import Network, with_layout
from resnetkit.ranks import Ranks
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import DataRecipe, Recipe
from resnetkit.training.run_folder import RunFolder
from resnetkit.training.trainer import Trainer

EPOCHS = 1_000_000
"""Of which a few steps are taken, all in the warm-up: nothing can grow out of bounds."""


def random_images(count: int, transform: Transform) -> np.ndarray:
    """uint8 (count, size, size, channels), the same at every call."""
    shape = (count, transform.size, transform.size, transform.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def training_step(
    net: Network,
    transform: Transform,
    batch: int,
    precision: Precision,
    device: torch.device,
    **settings: Any,
) -> Callable[[], None]:
    """A function that takes one more step on a batch of random images.

    Args:
        net: is trained.
        transform: says the size of the images.
        batch: how many images.
        precision: fp32 or bf16.
        device: where to.
        settings: others of the recipe.
    """
    net = with_layout(net.to(device), channels_last=True)
    data = DataRecipe(image_size=transform.size, channels=transform.channels)
    recipe = Recipe(epochs=EPOCHS, batch_size=batch, precision=precision, data=data, **settings)
    labels = np.arange(batch) % net.spec.classes
    loader = Loader(
        ArraySource(random_images(batch, transform), labels, "random"), transform, batch,
        device=device,
    )  # fmt: skip
    trainer = Trainer(
        net, recipe, loader, transform, _never, RunFolder(Path()), Observer(), Ranks()
    )
    trainer.replica.ready_for(0)
    images = loader.batch(0, 0)
    return lambda: trainer.train_step(images)


def _never(_: Network):
    raise AssertionError("a step alone does not validate")
