"""Every network of the zoo at work: forwards and backwards at two sizes, 20 steps on 64 images.

    python benchmarks/zoo_learns.py [PATTERN]

Real pictures (Fashion-MNIST as RGB at 32 px), the same 64 in every step, SGD with momentum, every
block as the identity at the start where the network allows it; networks with group norm at a
quarter of the rate. The loss is that of the 64 images in training mode; it falls when the mean of
the last five steps is below the first. The whole zoo takes 45 minutes. Writes
benchmarks/results/zoo_learns.json.

plain1202 and preplain1001 cannot: without shortcuts the gradient grows by 1.16 a layer at the start
(measured in float64 from 56 to 902 layers), and passes the largest float32 near 600 layers.
"""

import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import resnetkit as rk
from resnetkit.data.fashion_mnist import find_fashion_mnist
from resnetkit.data.sources import open_dataset
from resnetkit.nets.initialise import why_no_identity_start
from resnetkit.nets.network import Network, with_layout
from resnetkit.nets.zoo import spec_of, usual

IMAGES, STEPS, SIDE = 64, 20, 32
RESULTS = Path(__file__).parent / "results"


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """float (64, 3, 32, 32) and their labels, as many of each class as there are."""
    source = open_dataset("fashion-mnist", str(find_fashion_mnist())).parts["train"]
    labels = np.asarray(source.labels)
    chosen = np.concatenate([np.flatnonzero(labels == c)[:7] for c in range(10)])[:IMAGES]
    grey = np.stack([source.image(int(i), 1) for i in chosen])
    x = torch.from_numpy(grey).permute(0, 3, 1, 2).float() / 255 - 0.5
    x = functional.interpolate(x, (SIDE, SIDE), mode="bilinear").expand(-1, 3, -1, -1)
    return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(labels[chosen]).long()


def runs_at_two_sizes(net: Network, usual_size: int) -> bool:
    """Whether two images of two sizes go forwards and backwards to finite gradients."""
    side = 64 if usual_size > 32 else 24
    for height, width in ((side, side), (side + 9, side + 24)):
        net.zero_grad()
        net(torch.randn(2, 3, height, width)).square().mean().backward()
        if not all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters()):
            return False
    return True


def learn(net: Network, x: torch.Tensor, labels: torch.Tensor) -> list[float]:
    """The loss before each of 20 steps."""
    rate = 0.005 if net.spec.norm == "group" else 0.02
    optimiser = torch.optim.SGD(net.parameters(), rate, 0.9, nesterov=True, fused=True)
    losses = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(x)
        loss = functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def judge(name: str, x: torch.Tensor, labels: torch.Tensor) -> dict:
    torch.manual_seed(0)
    start = time.perf_counter()
    spec = replace(spec_of(name), classes=10)
    net = rk.create(spec, identity_start=why_no_identity_start(spec) is None)
    net = with_layout(net, channels_last=True)
    runs = runs_at_two_sizes(net, usual(name).size)
    losses = learn(net, x, labels)
    last = sum(losses[-5:]) / 5
    return {
        "name": name,
        "runs": runs,
        "first": round(losses[0], 4),
        "last": round(last, 4) if math.isfinite(last) else None,
        "falls": last < losses[0],
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    x, labels = pictures()
    rows = []
    names = rk.models(sys.argv[1] if len(sys.argv) > 1 else "*")
    for name in (n for n in names if isinstance(spec_of(n), rk.ResNetSpec)):
        rows.append(judge(name, x, labels))
        print("{name}: runs {runs}, loss {first} -> {last}, {seconds} s".format(**rows[-1]),
              flush=True)  # fmt: skip
    good = sum(row["runs"] and row["falls"] for row in rows)
    print(f"{good} of {len(rows)}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "zoo_learns.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
