"""A training step of ours against torchvision's network in a plain loop, in one process.

    make peers
    PYTHONPATH=src .venv-peers/bin/python benchmarks/step_speed.py

Ours is `Trainer.train_step` on a batch of uint8 images, as `resnetkit train` makes it on this
machine: normalise, forward, backward, finite check, sums, SGD with momentum. Theirs is the textbook
loop on the same images made floats beforehand: fp32, default layout, SGD with momentum. Sides take
turns; a ratio is the median over the rounds. The matrix rate is that of a bf16 product of 4096 x
4096 between the rounds. Writes benchmarks/results/step_speed.json.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peer_libraries import peer_libraries
from resnetkit.data.loader import Loader
from resnetkit.data.sources import ArraySource
from resnetkit.machine import environment, ready_machine
from resnetkit.nets.resnet import with_layout
from resnetkit.nets.summary import summarise
from resnetkit.nets.zoo import spec_of
from resnetkit.ranks import Ranks
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import DataRecipe, Facts, Recipe, resolve
from resnetkit.training.setup import starting_network, transform_of
from resnetkit.training.trainer import Trainer

RESULTS = Path(__file__).parent / "results"
CLASSES = tuple("0123456789")
CASES = (("resnet18", 96, 64), ("resnet50", 224, 16))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def our_step(name: str, images: np.ndarray, labels: np.ndarray, device: torch.device) -> Callable:
    size, batch = images.shape[1], len(images)
    data = DataRecipe(image_size=size, channels=3, mean=MEAN, std=STD)
    recipe = resolve(Recipe(model=name, batch_size=batch, data=data),
                     Facts(frozenset({(size, size)}), grey=False, bf16=True))  # fmt: skip
    transform = transform_of(recipe)
    loader = Loader(ArraySource(images, labels, "random"), transform, batch)
    net = with_layout(starting_network(recipe, CLASSES), channels_last=True).to(device)
    no_run: Any = None  # a step alone neither validates nor saves
    trainer = Trainer(net, recipe, loader, transform, no_run, no_run, Observer(), Ranks())
    trainer.replica.ready_for(0)
    trainer.replica.train()
    whole = loader.batch(0, 0)
    return lambda: trainer.train_step(whole)


def their_step(name: str, images: np.ndarray, labels: np.ndarray) -> Callable:
    torchvision, _ = peer_libraries()
    net = torchvision.models.get_model(name, num_classes=len(CLASSES)).train()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous() / 255
    y, loss_of = torch.from_numpy(labels), torch.nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad()
        loss_of(net(x), y).backward()
        optimiser.step()

    return step


def seconds(step: Callable) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def matrix_rate(side: int = 4096) -> float:
    """bf16 operations a second of a square product."""
    a, b = (torch.randn(side, side).bfloat16() for _ in range(2))
    a @ b
    return 2 * side**3 / seconds(lambda: a @ b)


def compare(name: str, size: int, batch: int, rounds: int, device: torch.device) -> dict:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (batch, size, size, 3), np.uint8)
    labels = generator.integers(0, len(CLASSES), batch)
    sides = [our_step(name, images, labels, device), their_step(name, images, labels)]
    for side in sides * 2:
        side()
    rows = []
    for number in range(rounds):
        order = (0, 1) if number % 2 else (1, 0)
        taken = {which: seconds(sides[which]) for which in order}
        rows.append({"ours": taken[0], "theirs": taken[1], "matrix": matrix_rate()})
    operations = 3 * 2 * summarise(spec_of(name), size, size).multiply_adds * batch
    return {
        "model": name, "size": size, "batch": batch,
        "images_per_second": batch / statistics.median(row["ours"] for row in rows),
        "their_images_per_second": batch / statistics.median(row["theirs"] for row in rows),
        "ratio": statistics.median(row["theirs"] / row["ours"] for row in rows),
        "share_of_matrix_rate": statistics.median(
            operations / row["ours"] / row["matrix"] for row in rows
        ),
        "rounds": rows,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    device, _ = ready_machine("cpu")
    found = []
    for case in CASES:
        found.append(compare(*case, options.rounds, device))
        print("{model} at {size} px, batch {batch}: {images_per_second:.1f} images/s against "
              "{their_images_per_second:.1f}, ratio {ratio:.2f}; {share_of_matrix_rate:.0%} of the "
              "matrix rate".format(**found[-1]), flush=True)  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": environment(device), "cases": found}
    (RESULTS / "step_speed.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
