"""How rare classes are, and how much their images count for it."""

import numpy as np

from resnetkit.data.strata import class_counts
from resnetkit.errors import UserError, nearest
from resnetkit.training.balance import BALANCED, BalanceRecipe, named_weights


def class_weights(
    recipe: BalanceRecipe, classes: tuple[str, ...], labels: np.ndarray
) -> np.ndarray | None:
    """How much an image of each class counts: float32 (classes,); None where all count alike.

    Balanced weights are images / (classes * images of the class): over all images their mean is 1.

    Args:
        recipe: what is asked for.
        classes: the names.
        labels: of the training images.

    Raises:
        UserError: it names a class that is not there.
    """
    if recipe.class_weights is None:
        return None
    if recipe.class_weights == BALANCED:
        return (1 / (len(classes) * shares(labels, len(classes)))).astype(np.float32)
    named = named_weights(recipe.class_weights)
    for name in named:
        if name not in classes:
            raise UserError(f"class_weights: there is no class {name!r}; {nearest(name, classes)}")
    weights = np.array([named.get(name, 1.0) for name in classes], np.float32)
    if not weights.any():
        raise UserError("class_weights are 0 for every class: nothing would be learned")
    return weights


def shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """Each class's share of the images: float64 (classes,)."""
    return class_counts(labels, classes) / len(labels)
