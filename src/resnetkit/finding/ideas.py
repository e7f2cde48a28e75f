"""What is worth trying on someone's images: combinations drawn by seed, the plain recipe first."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from resnetkit.config import shown
from resnetkit.training.recipe import SMALL, Recipe

T = TypeVar("T")

NETWORKS = {
    True: ("resnet8x2h", "resnet14x2h", "resnet20", "resnet14x4h", "resnet56"),
    False: ("resnet18", "resnet18d", "resnet34d", "resnet50d"),
}
"""From quick to deep; for small images, and for others."""

SIDES = (96, 128, 160, 224)
"""Pixels that larger images are resized to."""

LOOKS: tuple[dict[str, Any], ...] = (
    {},
    {"alternate": True, "erase": 0.5},
    {"policy": "trivial"},
    {"policy": "trivial", "mixup": 0.2},
    {"mixup": 0.2, "erase": 0.0},
    {"erase": 0.0},
)
"""Ways to show pictures to the network, as changes of the recipe's."""

RATES = (0.5, 1.0, 2.0)
"""Times the learning rate that the range test suggests."""

DECAYS = (1.0, 1.0, 4.0)
"""Times the recipe's weight decay."""


@dataclass(frozen=True)
class Idea:
    """Settings that differ from the recipe that is begun with, by flat names; or that as it is."""

    settings: dict[str, Any] = field(default_factory=dict)
    plain: bool = False

    def __str__(self) -> str:
        """In a few words."""
        if self.plain:
            return "the recipe as it is"
        return ", ".join(f"{name} {shown(value)}" for name, value in self.settings.items())


def ideas(asked: Recipe, begun: Recipe, rate: float, count: int) -> list[Idea]:
    """The recipe as it is, the same at the rate found, then combinations drawn by its seed.

    Args:
        asked: the recipe; a network or a size of images that it names stays.
        begun: the same, decided for the images.
        rate: that the range test suggests.
        count: how many, at the most.
    """
    draw = random.Random(asked.seed)
    found = [Idea({"batch_size": asked.batch_size}, plain=True), Idea({"lr": rounded(rate)})]
    small = (begun.data.image_size or SMALL) <= SMALL
    rates, decays, looks = dealt(RATES, draw), dealt(DECAYS, draw), dealt(LOOKS, draw)
    networks, sides = dealt(NETWORKS[small], draw), dealt(SIDES, draw)
    for _ in range(count * 20):
        settings: dict[str, Any] = {"lr": rounded(rate * next(rates))}
        if asked.model is None and asked.weights is None:
            settings["model"] = next(networks)
        if asked.data.image_size is None and asked.weights is None and not small:
            settings["image_size"] = next(sides)
        decay = next(decays)
        if decay != 1:
            settings["weight_decay"] = rounded(asked.optimiser.weight_decay * decay)
        idea = Idea(settings | next(looks))
        if idea not in found:
            found.append(idea)
    return found[:count]


def dealt(choices: Sequence[T], draw: random.Random) -> Iterator[T]:
    """The choices in random order, then again in another: few draws have all of them."""
    while True:
        yield from draw.sample(choices, len(choices))


def rounded(number: float) -> float:
    """To two digits: more are noise."""
    return float(f"{number:.2g}")
