"""images/s of our networks against the peers' modules, interleaved in one process.

    make peers
    .venv-peers/bin/python benchmarks/peers_speed.py

224 px, batch 8, channels last, the same weights and precision on both sides; inference is a forward
pass without gradients in evaluation mode, training a forward and a backward pass. Sides take turns,
and so does who begins. Freed memory is kept for both, or page faults, a tenth of a step and more,
decide; where weights happen to lie in memory moves a pair by 2%, so a ratio is the median over the
rounds of several pairs, made anew in turn. Writes benchmarks/results/peers_speed.json.
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
from resnetkit.machine import keep_freed_memory

RESULTS = Path(__file__).parent / "results"
NETWORKS = [
    ("torchvision", "resnet50"),
    ("timm", "resnet50d"),
    ("torchvision", "resnext50_32x4d"),
    ("timm", "seresnet50"),
    ("timm", "resnetv2_50"),
]
SETTINGS = {"fp32": False, "bf16": True}
BATCH, SIZE, ROUNDS = 8, 224, 5


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


def rounds_of(library: str, name: str, setting: str, *, train: bool, ours_first: bool) -> list:
    """Pairs of (our, their) seconds of one pair of networks."""
    torchvision, timm = peer_libraries()
    create = torchvision.models.get_model if library == "torchvision" else timm.create_model
    bf16, layout = SETTINGS[setting], torch.channels_last
    makers = [rk.create, create] if ours_first else [create, rk.create]
    nets = [maker(name).to(memory_format=layout) for maker in makers]
    own, peer = nets if ours_first else nets[::-1]
    rk.load_weights(own, peer.state_dict(), library)
    x = torch.randn(BATCH, 3, SIZE, SIZE).to(memory_format=layout)
    sides = [make_step(net, x, train=train, bf16=bf16) for net in (own, peer)]
    for side in sides * 2:
        side()
    pairs = []
    for number in range(ROUNDS):
        order = (0, 1) if number % 2 else (1, 0)
        taken = {which: seconds(sides[which]) for which in order}
        pairs.append((taken[0], taken[1]))
    return pairs


def compare(library: str, name: str, setting: str, fresh: int) -> dict:
    """Medians over the rounds of several pairs of networks."""
    row = {"library": library, "name": name, "setting": setting}
    for mode in ("inference", "training"):
        pairs = []
        for number in range(fresh):
            pairs += rounds_of(
                library, name, setting, train=mode == "training", ours_first=number % 2 == 0
            )
        row[mode] = statistics.median(theirs / ours for ours, theirs in pairs)
        row[f"{mode}_images_per_second"] = BATCH / statistics.median(ours for ours, _ in pairs)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4, help="fresh pairs of networks")
    options = parser.parse_args()
    keep_freed_memory()
    rows = []
    for setting in SETTINGS:
        for library, name in NETWORKS:
            rows.append(compare(library, name, setting, options.pairs))
            print("{setting}, {name} against {library}: inference {inference:.3f}, "
                  "training {training:.3f}".format(**rows[-1]), flush=True)  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "peers_speed.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
