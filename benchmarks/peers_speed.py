"""images/s of our networks against the peers' modules, interleaved in one process.

    make peers
    PYTHONPATH=src .venv-peers/bin/python benchmarks/peers_speed.py

224 px, batch 8, the same weights, layout and precision on both sides; inference is a forward pass
without gradients in evaluation mode, training a forward and a backward pass. Sides take turns, and
so does who begins; a ratio is the median of the rounds' ratios. Writes
benchmarks/results/peers_speed.json.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import resnetkit as rk
from peer_libraries import peer_libraries

RESULTS = Path(__file__).parent / "results"
NETWORKS = [
    ("torchvision", "resnet50"),
    ("timm", "resnet50d"),
    ("torchvision", "resnext50_32x4d"),
    ("timm", "seresnet50"),
    ("timm", "resnetv2_50"),
]
SETTINGS = {"fp32, NCHW": (False, False), "fp32, NHWC": (False, True), "bf16, NHWC": (True, True)}
BATCH, SIZE = 8, 224


def make_step(net: torch.nn.Module, x: torch.Tensor, *, train: bool, bf16: bool) -> Callable:
    net.train(train)

    def step() -> None:
        with torch.set_grad_enabled(train), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = net(x)
        if train:
            out.float().sum().backward()
            net.zero_grad(set_to_none=True)

    return step


def seconds(step: Callable) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def compare(library: str, name: str, setting: str, rounds: int) -> dict:
    torchvision, timm = peer_libraries()
    create = torchvision.models.get_model if library == "torchvision" else timm.create_model
    peer, own = create(name), rk.create(name)
    rk.load_weights(own, peer.state_dict(), library)
    bf16, channels_last = SETTINGS[setting]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(BATCH, 3, SIZE, SIZE).to(memory_format=layout)
    peer, own = peer.to(memory_format=layout), own.to(memory_format=layout)
    row = {"library": library, "name": name, "setting": setting}
    for mode in ("inference", "training"):
        sides = [make_step(n, x, train=mode == "training", bf16=bf16) for n in (own, peer)]
        for side in sides * 2:
            side()
        pairs = []
        for number in range(rounds):
            order = (0, 1) if number % 2 else (1, 0)
            taken = {which: seconds(sides[which]) for which in order}
            pairs.append((taken[0], taken[1]))
        row[mode] = statistics.median(theirs / ours for ours, theirs in pairs)
        row[f"{mode}_images_per_second"] = BATCH / statistics.median(ours for ours, _ in pairs)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    rows = []
    for setting in SETTINGS:
        for library, name in NETWORKS:
            rows.append(compare(library, name, setting, options.rounds))
            print("{setting}, {name} against {library}: inference {inference:.3f}, "
                  "training {training:.3f}".format(**rows[-1]), flush=True)  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "peers_speed.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
