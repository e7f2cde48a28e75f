"""How long it takes to train a network that grows, and one file of many depths, from their steps.

    python benchmarks/depth_steps.py

Steps of batches of 128 at 28 px, in turns, each network in a process of its own. A run that grows
takes the shallow network's steps, then the deep one's. One file of many depths is set against the
sum of networks of those depths. Writes benchmarks/results/depth_steps.json.
"""

import argparse
import json
import statistics
from typing import Any

from any_depth import LAYERS
from growth import GROWS_AT
from resnetkit.benching.clock import wait_for
from resnetkit.benching.step import training_step
from resnetkit.data.transform import Transform
from resnetkit.machine import choose_precision, ready_machine
from resnetkit.nets.create import create
from resnetkit.training.recipe import DepthRecipe
from turns import answer, keep, take_turns

BATCH, TRANSFORM = 128, Transform(size=28, channels=1, mean=(0.5,), std=(0.5,))
ONE, ALONE, SHALLOW, DEEP = "one file", tuple(f"resnet{n}" for n in LAYERS), "resnet20", "resnet56"
STEPS = {ONE: 12} | dict.fromkeys(ALONE, 2)
"""In a turn; of one file's, each trains other depths."""


def side(who: str) -> None:
    device, _ = ready_machine()
    net = create(DEEP if who == ONE else who, classes=10, channels=1)
    inside = DepthRecipe(any_depth=who == ONE, inner_layers=LAYERS[:-1] if who == ONE else None)
    step = training_step(
        net, TRANSFORM, BATCH, choose_precision("auto", device), device, depth=inside
    )

    def turn() -> None:
        for _ in range(STEPS[who]):
            step()
        wait_for(device)

    answer(turn, warm=1)


def spread(ratios: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(ratios, n=4)
    return {"ratio": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


def told(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Both ratios, from the seconds of a step in every round."""
    grown = [GROWS_AT * row[SHALLOW] / row[DEEP] + 1 - GROWS_AT for row in rounds]
    one = [row[ONE] / sum(row[name] for name in ALONE) for row in rounds]
    seconds = {name: statistics.median(row[name] for row in rounds) for name in STEPS}
    return {"grows_at": GROWS_AT, "seconds": seconds, "grown": spread(grown), "one": spread(one)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side", choices=STEPS)
    options = parser.parse_args()
    if options.side:
        return side(options.side)
    found = take_turns({who: [__file__, "--side", who] for who in STEPS}, options.rounds)
    rounds = [{who: seconds / STEPS[who] for who, seconds in row.items()} for row in found]
    print(json.dumps(told(rounds), indent=1))
    keep("depth_steps", told(rounds) | {"rounds": rounds})


if __name__ == "__main__":
    main()
