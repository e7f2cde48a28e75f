"""What is worth trying on someone's images, the most promising first."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from resnetkit.config import shown
from resnetkit.training.recipe import SMALL, Recipe
from resnetkit.training.settings import override

NETWORKS = {
    True: ("resnet8x2h", "resnet20", "resnet14x2h", "resnet14x4h", "resnet56"),
    False: ("resnet18", "resnet18d", "resnet34d", "resnet50d"),
}
"""For small images, and for others, from quick to deep: what is quick sees the images more often in
the same time."""

SIDES = (128, 96, 160, 224)
"""Pixels that larger images are resized to, the usual first."""

LOOKS: tuple[dict[str, Any], ...] = (
    {"mixup": 1.0, "erase": 0.0},
    {},
    {"policy": "trivial", "mixup": 1.0, "erase": 0.0},
    {"alternate": True, "erase": 0.5},
    {"policy": "trivial"},
)
"""Ways to show pictures to the network, as changes of the recipe's. With all of them pictures are
judged together with their mirror images, where the recipe mirrors them in training."""


@dataclass(frozen=True)
class Idea:
    """Settings that differ from the recipe that is begun with, by flat names.

    Attributes:
        settings: those.
        look: which of `LOOKS` they have.
        plain: whether it is the recipe as it is.
    """

    settings: dict[str, Any]
    look: int = LOOKS.index({})
    plain: bool = False

    def __str__(self) -> str:
        """In a few words."""
        if self.plain:
            return "the recipe as it is"
        return ", ".join(f"{name} {shown(value)}" for name, value in self.settings.items())


def ideas(asked: Recipe, begun: Recipe, rate: float, count: int) -> list[Idea]:
    """The recipe as it is, its network and look at the rate found, then combinations.

    Those whose places in the lists of networks, sizes and looks have the smallest sum come first.

    Args:
        asked: the recipe; a network or a size of images that it names stays.
        begun: the same, decided for the images.
        rate: that the range test suggests.
        count: how many, at the most.
    """
    common: dict[str, Any] = {"lr": rounded(rate)}
    if asked.augmentation.flip:
        common["mirror"] = True
    choices: list[list[dict[str, Any]]] = []
    pixels, begun_with = begun.data.image_size or SMALL, dict(common)
    if asked.weights is None and asked.model is None:
        choices.append([{"model": name} for name in NETWORKS[pixels <= SMALL]])
        begun_with["model"] = begun.model
    if asked.weights is None and asked.data.image_size is None and pixels > SMALL:
        choices.append([{"image_size": side} for side in SIDES])
        begun_with["image_size"] = pixels
    choices.append([look for look in LOOKS if not look or override(asked, look) != asked])
    found = [Idea({"batch_size": asked.batch_size}, plain=True), Idea(begun_with)]
    for places in sorted(product(*(range(len(each)) for each in choices)), key=sum):
        chosen = [each[place] for each, place in zip(choices, places, strict=True)]
        settings = {name: value for part in (common, *chosen) for name, value in part.items()}
        idea = Idea(settings, look=LOOKS.index(chosen[-1]))
        if idea not in found:
            found.append(idea)
    return found[:count]


def rounded(number: float) -> float:
    """To two digits: more are noise."""
    return float(f"{number:.2g}")
