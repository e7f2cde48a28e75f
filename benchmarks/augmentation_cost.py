"""What changing and mixing pictures costs, in microseconds a picture, on one thread.

    python benchmarks/augmentation_cost.py

Batches of random bytes in memory; the median of 7 rounds in which all take turns. Beside them a
training step of the recipe `best`, and what that recipe does to the step's pictures. Writes
benchmarks/results/augmentation_cost.json.
"""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from resnetkit.benching.step import random_images, training_step
from resnetkit.data.augment import augment, picture_draws
from resnetkit.data.augmentation import Augmentation
from resnetkit.data.transform import Transform
from resnetkit.machine import choose_precision
from resnetkit.nets.create import create
from resnetkit.training.mixing import mixed
from resnetkit.training.recipe_files import read_recipe
from turns import keep, seconds

ROUNDS = 7
SHAPES = ((512, 28, 1), (128, 96, 3), (64, 224, 3))
PLAIN: dict[str, Any] = {"crop": "none", "flip": False, "erase": 0.0}
WAYS: dict[str, dict[str, Any]] = {
    "shift, flip, erase": {"crop": "shift", "shift": 2, "flip": True, "erase": 0.25},
    "policy rand": PLAIN | {"policy": "rand"},
    "policy trivial": PLAIN | {"policy": "trivial"},
    "policy auto": PLAIN | {"policy": "auto"},
    "jitter and lighting": PLAIN | {"jitter": 0.4, "lighting": 0.1},
    "mixup": PLAIN | {"mixup": 0.2},
    "cutmix": PLAIN | {"cutmix": 1.0},
}

BEST, STEP = "best: its augmentation", "best: a step"


def changed(squares: torch.Tensor, how: Augmentation) -> None:
    """One batch, as a loader does it."""
    draws = picture_draws(0, 0, 0, len(squares), how)
    augment(squares.clone(), how, draws)


def blended(x: torch.Tensor, labels: torch.Tensor, how: Augmentation) -> None:
    """One batch, as a step does it."""
    mixed(x, labels, how, 10, seed=0, step=0)


def calls_of_best() -> dict[tuple[str, str], tuple[int, Callable[[], object]]]:
    """What `best` does to a batch, and the step of its network on that batch."""
    recipe = read_recipe("best")
    count, cpu = recipe.batch_size, torch.device("cpu")
    transform = Transform(size=28, channels=1, mean=(0.5,), std=(0.2,))
    squares, shape = torch.from_numpy(random_images(count, transform)), f"{count} x 28 x 28 x 1"
    net = create(str(recipe.model), classes=10, channels=1)
    step = training_step(net, transform, count, choose_precision("auto", cpu), cpu)
    change = partial(changed, squares, recipe.augmentation)
    return {(BEST, shape): (count, change), (STEP, shape): (count, step)}


def calls_of_ways() -> dict[tuple[str, str], tuple[int, Callable[[], object]]]:
    """Every way on a batch of every shape."""
    calls: dict[tuple[str, str], tuple[int, Callable[[], object]]] = {}
    for count, side, channels in SHAPES:
        shape = f"{count} x {side} x {side} x {channels}"
        transform = Transform(
            size=side, channels=channels, mean=(0.5,) * channels, std=(0.2,) * channels
        )
        squares = torch.from_numpy(random_images(count, transform))
        labels, x = torch.arange(count) % 10, transform.normalise(squares)
        for name, settings in WAYS.items():
            how = Augmentation(**settings)
            mixes = how.mixup or how.cutmix
            call = partial(blended, x, labels, how) if mixes else partial(changed, squares, how)
            calls[name, shape] = (count, call)
    return calls


def main() -> None:
    torch.set_num_threads(1)
    calls = calls_of_ways() | calls_of_best()
    found: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for number in range(ROUNDS + 1):
        for key, (count, call) in calls.items():
            each = seconds(call) / count
            if number:
                found[key].append(1e6 * each)
    cost = {key: statistics.median(each) for key, each in found.items()}
    rows = [
        {"way": way, "batch": shape, "microseconds": round(each, 1)}
        for (way, shape), each in cost.items()
    ]
    for row in rows:
        print(f"{row['way']:20} {row['batch']:20} {row['microseconds']:8.1f} us a picture")
    by_way = {way: each for (way, _), each in cost.items()}
    best, step = by_way[BEST], by_way[STEP]
    print(f"of a step of best: {best / step:.1%}")
    about = {"rounds": ROUNDS, "share_of_best": best / step}
    keep("augmentation_cost", about | {"rows": rows})


if __name__ == "__main__":
    main()
