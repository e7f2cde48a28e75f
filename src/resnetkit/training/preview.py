"""What a recipe makes of training pictures, for people to look at."""

from dataclasses import replace

import numpy as np
import torch

from resnetkit.data import prepare
from resnetkit.data.loader import Loader
from resnetkit.data.sources import Source, Subset, open_dataset
from resnetkit.data.strata import strata
from resnetkit.errors import UserError
from resnetkit.training.images import check_classes
from resnetkit.training.mixing import mixed
from resnetkit.training.recipe import Facts, Recipe, resolve
from resnetkit.training.setup import transform_of

ROWS, COLUMNS = 8, 8


def previewed(recipe: Recipe, data: str, data_dir: str | None = None) -> list[np.ndarray]:
    """Up to 8 training pictures: each as it is, then as 7 epochs show it.

    Args:
        recipe: what is open in it is decided by these few pictures.
        data, data_dir: as `train` takes them.

    Returns:
        Row by row uint8 (side, side, 3).

    Raises:
        UserError: no such data, or none of the pictures tried can be read.
    """
    dataset = open_dataset(data, data_dir, multi_label=recipe.data.multi_label)
    check_classes(dataset)
    source = _some(dataset.parts["train"])
    facts = prepare.scan(source, workers=1)
    recipe = resolve(recipe, Facts(facts.sizes, facts.grey, dataset.task == "multi-label"))
    return _rows(recipe, source, len(dataset.classes))


def _some(source: Source) -> Source:
    """A few that can be read, of as many classes as may be."""
    by_class = np.argsort(strata(source.labels), kind="stable")
    tried = Subset(source, by_class[_spaced(len(source), 4 * ROWS)])
    bad = {found.path for found in prepare.scan(tried, workers=1).bad}
    good = np.array([i for i in range(len(tried)) if tried.name(i) not in bad], np.int64)
    if not len(good):
        raise UserError(f"none of {len(tried)} pictures could be read, {tried.name(0)} the first")
    return Subset(tried, good[_spaced(len(good), ROWS)])


def _spaced(length: int, count: int) -> np.ndarray:
    """Up to so many positions, from the first to the last."""
    return np.unique(np.linspace(0, length - 1, count).round().astype(np.int64))


def _rows(recipe: Recipe, source: Source, classes: int) -> list[np.ndarray]:
    channels = recipe.data.channels or 3
    bytes_alone = replace(
        recipe.data, eval_size=None, mean=(0.0,) * channels, std=(1.0,) * channels
    )
    transform = transform_of(replace(recipe, data=bytes_alone))
    how = replace(recipe.augmentation, repeats=1)
    loader = Loader(source, transform, len(source), augmentation=how, seed=recipe.seed)
    columns = [Loader(source, transform, len(source)).batch(0, 0).images.numpy()]
    for epoch in range(COLUMNS - 1):
        batch = loader.batch(epoch, 0)
        x = transform.normalise(batch.images)
        x, _ = mixed(x, batch.labels, how, classes, seed=recipe.seed, step=epoch)
        pixels = (255 * x).round().to(torch.uint8).permute(0, 2, 3, 1)
        columns.append(pixels[batch.indices.argsort()].numpy())
    return [
        np.broadcast_to(column[row], (*column.shape[1:3], 3))
        for row in range(len(source))
        for column in columns
    ]
