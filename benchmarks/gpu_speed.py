"""A training step of resnet50 on a GPU against torchvision's and timm's, in turns.

    python benchmarks/gpu_speed.py

224 pixels, bf16 by autocast, channels-last, SGD with momentum, images on the GPU already. Ours is
`Trainer.train_step` with all that belongs to it, eager and compiled, with the repeatable kernels
that every run asks for. Theirs is the loop of their users at its quickest: cuDNN may try kernels,
torch's fused SGD, eager and compiled. The matrix rate is that of a bf16 product of 8192 x 8192.
torchvision and timm have to be installed. Writes benchmarks/results/gpu_speed.json.
"""

import argparse
import statistics
from collections.abc import Callable

import numpy as np
import torch

from resnetkit.benching.clock import MatrixProduct
from resnetkit.benching.step import random_images, training_step
from resnetkit.data.transform import Transform
from resnetkit.machine import environment, ready_machine, repeatable
from resnetkit.nets.create import create
from resnetkit.nets.summary import summarise
from resnetkit.nets.zoo import spec_of
from turns import answer, keep, median_of, ratio, take_turns

MODEL, SIZE, CLASSES, STEPS, GPU = "resnet50", 224, 1000, 10, torch.device("cuda")
SIDES = ("ours", "ours, compiled", "torchvision", "torchvision, compiled", "timm",
         "timm, compiled", "matrix")  # fmt: skip


def our_step(batch: int, *, compiled: bool) -> Callable[[], object]:
    ready_machine("cuda")
    repeatable(GPU)
    net = create(MODEL, classes=CLASSES)
    return training_step(net, Transform(size=SIZE), batch, "bf16", GPU, compile=compiled)


def their_step(batch: int, library: str, *, compiled: bool) -> Callable[[], object]:
    torch.backends.cudnn.benchmark = True
    if library == "timm":
        import timm

        net = timm.create_model(MODEL, num_classes=CLASSES)
    else:
        import torchvision

        net = torchvision.models.get_model(MODEL, num_classes=CLASSES)
    net = net.to(GPU, memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(net.parameters(), 0.01, 0.9, weight_decay=1e-4, fused=True)
    model = torch.compile(net) if compiled else net
    images = torch.from_numpy(random_images(batch, Transform(size=SIZE))).to(GPU)
    x = images.permute(0, 3, 1, 2).float() / 255
    y, loss_of = torch.from_numpy(np.arange(batch) % CLASSES).to(GPU), torch.nn.CrossEntropyLoss()

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = loss_of(model(x), y)
        loss.backward()
        optimiser.step()

    return step


def side(who: str, batch: int) -> None:
    compiled = who.endswith("compiled")
    if who == "matrix":
        step = MatrixProduct("bf16", GPU)
    elif who.startswith("ours"):
        step = our_step(batch, compiled=compiled)
    else:
        step = their_step(batch, who.split(",", maxsplit=1)[0], compiled=compiled)

    def turn() -> None:
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()

    answer(turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--side")
    options = parser.parse_args()
    batch = options.batch_size
    if options.side:
        return side(options.side, batch)
    commands = {who: [__file__, "--batch-size", str(batch), "--side", who] for who in SIDES}
    found = take_turns(commands, options.rounds)
    rates = {who: STEPS * batch / median_of(found, who) for who in SIDES[:-1]}
    operations = 3 * 2 * summarise(spec_of(MODEL), SIZE, SIZE).multiply_adds * batch
    products = operations / MatrixProduct("bf16", GPU).operations
    share = {who: statistics.median(products * row["matrix"] / row[who] for row in found)
             for who in SIDES[:2]}  # fmt: skip
    theirs = max(SIDES[2:-1], key=lambda who: rates[who])
    ours = max(SIDES[:2], key=lambda who: rates[who])
    row = {"images_per_second": rates, "share_of_matrix_rate": share, "best_of_theirs": theirs,
           "best_of_ours": ours, **ratio(found, ours, theirs)}  # fmt: skip
    for who, rate in rates.items():
        print(f"{who}: {rate:,.0f} images/s")
    print(f"{ours} against {theirs}: {row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f}); "
          f"shares of the matrix rate {share}")  # fmt: skip
    keep("gpu_speed", {"gpu": environment(GPU), "batch": batch, **row, "rounds": found})


if __name__ == "__main__":
    main()
