"""A training step of ours against torchvision's network in a plain loop, in turns.

    make peers
    .venv-peers/bin/python benchmarks/step_speed.py

Ours is `Trainer.train_step` on a batch of uint8 images, as `resnetkit train` makes it on this
machine: normalise, forward, backward, finite check, sums, SGD with momentum. Theirs is the textbook
loop on the same images made floats beforehand: fp32, default layout, SGD with momentum. The matrix
rate is that of a bf16 product of 4096 x 4096, which takes its turn in every round. Writes
benchmarks/results/step_speed.json.
"""

import argparse
import statistics
from collections.abc import Callable

import numpy as np
import torch

from peer_libraries import peer_libraries
from resnetkit.benching.clock import MatrixProduct
from resnetkit.benching.step import random_images, training_step
from resnetkit.data.transform import Transform
from resnetkit.machine import choose_precision, ready_machine
from resnetkit.nets.create import create
from resnetkit.nets.summary import summarise
from resnetkit.nets.zoo import spec_of
from turns import answer, keep, median_of, ratio, take_turns

CLASSES = 10
CASES = (("resnet18", 96, 64), ("resnet50", 224, 16))
STEPS = 4
"""In a turn, one after the other as in training: the first finds the caches full of the rival's."""
CPU, MATRIX_SIDE = torch.device("cpu"), 4096


def our_step(name: str, transform: Transform, batch: int) -> Callable[[], object]:
    ready_machine("cpu")
    net = create(name, classes=CLASSES)
    return training_step(net, transform, batch, choose_precision("auto", CPU), CPU)


def their_step(name: str, transform: Transform, batch: int) -> Callable[[], object]:
    torchvision, _ = peer_libraries()
    net = torchvision.models.get_model(name, num_classes=CLASSES).train()
    images = torch.from_numpy(random_images(batch, transform))
    x = images.permute(0, 3, 1, 2).float().contiguous() / 255
    y, loss_of = torch.from_numpy(np.arange(batch) % CLASSES), torch.nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad()
        loss_of(net(x), y).backward()
        optimiser.step()

    return step


def matrix_product(_name: str, _transform: Transform, _batch: int) -> Callable[[], object]:
    ready_machine("cpu")
    return MatrixProduct("bf16", CPU, MATRIX_SIDE)


def side(who: str, name: str, size: int, batch: int) -> None:
    make = {"ours": our_step, "theirs": their_step, "matrix": matrix_product}[who]
    step = make(name, Transform(size=size), batch)

    def turn() -> None:
        for _ in range(STEPS):
            step()

    answer(turn)


def compare(name: str, size: int, batch: int, rounds: int) -> dict:
    sides = {who: [__file__, "--side", who, name, str(size), str(batch)]
             for who in ("ours", "theirs", "matrix")}  # fmt: skip
    found = take_turns(sides, rounds)
    operations = 3 * 2 * summarise(spec_of(name), size, size).multiply_adds * batch
    products = operations / MatrixProduct("bf16", CPU, MATRIX_SIDE).operations
    share = statistics.median(products * row["matrix"] / row["ours"] for row in found)
    ours, theirs = (median_of(found, who) / STEPS for who in ("ours", "theirs"))
    return {
        "model": name, "size": size, "batch": batch, **ratio(found, "ours", "theirs"),
        "images_per_second": batch / ours, "their_images_per_second": batch / theirs,
        "share_of_matrix_rate": share, "rounds": found,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
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
