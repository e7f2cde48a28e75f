"""A training step of ours against torchvision's network in a plain loop, in turns.

    make peers
    .venv-peers/bin/python benchmarks/step_speed.py

Ours is `Trainer.train_step` on a batch of uint8 images, as `resnetkit train` makes it on this
machine: normalise, forward, backward, finite check, sums, SGD with momentum. Theirs is the textbook
loop on the same images made floats beforehand: fp32, default layout, SGD with momentum. The matrix
rate is that of a bf16 product of 4096 x 4096 between the rounds. Writes
benchmarks/results/step_speed.json.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from peer_libraries import peer_libraries
from resnetkit.data.loader import Loader
from resnetkit.data.sources import ArraySource
from resnetkit.machine import computes_bf16, ready_machine
from resnetkit.nets.resnet import with_layout
from resnetkit.nets.summary import summarise
from resnetkit.nets.zoo import spec_of
from resnetkit.ranks import Ranks
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import DataRecipe, Facts, Recipe, resolve
from resnetkit.training.setup import starting_network, transform_of
from resnetkit.training.trainer import Trainer
from turns import answer, keep, matrix_rate, median_of, ratio, take_turns

CLASSES = tuple("0123456789")
CASES = (("resnet18", 96, 64), ("resnet50", 224, 16))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def our_step(name: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], object]:
    device, _ = ready_machine("cpu")
    size, batch = images.shape[1], len(images)
    data = DataRecipe(image_size=size, channels=3, mean=MEAN, std=STD)
    recipe = resolve(Recipe(model=name, batch_size=batch, data=data),
                     Facts(frozenset({(size, size)}), False, computes_bf16(device)))  # fmt: skip
    transform = transform_of(recipe)
    loader = Loader(ArraySource(images, labels, "random"), transform, batch)
    net = with_layout(starting_network(recipe, CLASSES), channels_last=True).to(device)
    no_run: Any = None  # a step alone neither validates nor saves
    trainer = Trainer(net, recipe, loader, transform, no_run, no_run, Observer(), Ranks())
    trainer.replica.ready_for(0)
    trainer.replica.train()
    whole = loader.batch(0, 0)
    return lambda: trainer.train_step(whole)


def their_step(name: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], object]:
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


def side(who: str, name: str, size: int, batch: int) -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (batch, size, size, 3), np.uint8)
    labels = generator.integers(0, len(CLASSES), batch)
    answer({"ours": our_step, "theirs": their_step}[who](name, images, labels))


def compare(name: str, size: int, batch: int, rounds: int) -> dict:
    sides = {who: [__file__, "--side", who, name, str(size), str(batch)]
             for who in ("ours", "theirs")}  # fmt: skip
    before = matrix_rate(torch.bfloat16)
    found = take_turns(sides, rounds)
    rate = statistics.mean([before, matrix_rate(torch.bfloat16)])
    operations = 3 * 2 * summarise(spec_of(name), size, size).multiply_adds * batch
    ours, theirs = (median_of(found, who) for who in ("ours", "theirs"))
    return {
        "model": name, "size": size, "batch": batch, **ratio(found, "ours", "theirs"),
        "images_per_second": batch / ours, "their_images_per_second": batch / theirs,
        "share_of_matrix_rate": operations / ours / rate, "rounds": found,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--side", nargs=4)
    options = parser.parse_args()
    if options.side:
        who, name, size, batch = options.side
        return side(who, name, int(size), int(batch))
    cases = []
    for case in CASES:
        cases.append(compare(*case, options.rounds))
        print("{model} at {size} px, batch {batch}: {images_per_second:.1f} images/s against "
              "{their_images_per_second:.1f}, {ratio:.2f} times ({low:.2f} to {high:.2f}), "
              "{share_of_matrix_rate:.0%} of the matrix rate"
              .format(**cases[-1]), flush=True)  # fmt: skip
    keep("step_speed", {"cases": cases})


if __name__ == "__main__":
    main()
