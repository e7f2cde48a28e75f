"""What changing and mixing pictures costs, in microseconds a picture, on one thread.

    python benchmarks/augmentation_cost.py

Batches of random bytes in memory; the median of 7 rounds in which all take turns. Writes
benchmarks/results/augmentation_cost.json.
"""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from resnetkit.data.augment import augment, picture_draws
from resnetkit.data.augmentation import Augmentation
from resnetkit.data.transform import Transform
from resnetkit.training.mixing import mixed
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


def changed(squares: torch.Tensor, how: Augmentation) -> None:
    """One batch, as a loader does it."""
    draws = picture_draws(0, 0, 0, len(squares), how)
    augment(squares.clone(), how, draws)


def blended(x: torch.Tensor, labels: torch.Tensor, how: Augmentation) -> None:
    """One batch, as a step does it."""
    mixed(x, labels, how, 10, seed=0, step=0)


def main() -> None:
    torch.set_num_threads(1)
    calls: dict[tuple[str, str], tuple[int, Callable[[], None]]] = {}
    for count, side, channels in SHAPES:
        shape = f"{count} x {side} x {side} x {channels}"
        batch = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)
        squares, labels = torch.from_numpy(batch), torch.arange(count) % 10
        transform = Transform(
            size=side, channels=channels, mean=(0.5,) * channels, std=(0.2,) * channels
        )
        x = transform.normalise(squares)
        for name, settings in WAYS.items():
            how = Augmentation(**settings)
            mixes = how.mixup or how.cutmix
            call = partial(blended, x, labels, how) if mixes else partial(changed, squares, how)
            calls[name, shape] = (count, call)
    found: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for number in range(ROUNDS + 1):
        for key, (count, call) in calls.items():
            each = seconds(call) / count
            if number:
                found[key].append(1e6 * each)
    rows = [
        {"way": way, "batch": shape, "microseconds": round(statistics.median(each), 1)}
        for (way, shape), each in found.items()
    ]
    for row in rows:
        print(f"{row['way']:20} {row['batch']:20} {row['microseconds']:8.1f} us a picture")
    keep("augmentation_cost", {"rounds": ROUNDS, "rows": rows})


if __name__ == "__main__":
    main()
