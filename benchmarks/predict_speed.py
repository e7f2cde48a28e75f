"""Inference of ours against torchvision's eager fp32 forward pass, in turns.

    make peers
    .venv-peers/bin/python benchmarks/predict_speed.py

resnet50 at 224 px with the same weights. Ours is the engine that `resnetkit predict` calls, on
uint8 images, preprocessing included; theirs is the network in evaluation mode and inference mode,
default layout, on the same images made floats beforehand. Says as well, of a resnet50 trained for a
few minutes on Fashion-MNIST at 224 px, how far probabilities in bf16 and fp32 are from the plain
network's on 1,000 test images, and how many of the likeliest classes change. Writes
benchmarks/results/predict_speed.json.
"""

import argparse
import functools
import tempfile
from pathlib import Path

import numpy as np
import torch

import resnetkit as rk
from peer_libraries import peer_libraries
from resnetkit.classifier import Classifier
from resnetkit.data.loader import Loader
from resnetkit.data.sources import Subset, open_dataset
from resnetkit.data.transform import Transform
from resnetkit.machine import ready_machine
from resnetkit.training.observer import Observer
from turns import answer, keep, median_of, ratio, take_turns

MODEL, SIZE = "resnet50", 224
CASES = {32: 9, 1: 61}
REAL = 1000


@functools.cache
def networks() -> tuple[Classifier, torch.nn.Module]:
    """Ours and theirs with equal weights: random ones, norms settled on noise."""
    torch.manual_seed(0)
    torchvision, _ = peer_libraries()
    theirs = torchvision.models.get_model(MODEL).train()
    with torch.no_grad():
        for _ in range(2):
            theirs(torch.randn(16, 3, 96, 96))
    own = rk.create(MODEL)
    rk.load_weights(own, theirs.state_dict(), "torchvision")
    classes = tuple(str(i) for i in range(1000))
    return Classifier(own, Transform(size=SIZE), classes), theirs.eval()


def side(who: str, batch: int) -> None:
    own, theirs = networks()
    pictures = np.random.default_rng(0).integers(0, 256, (batch, SIZE, SIZE, 3), np.uint8)
    images = torch.from_numpy(pictures)
    if who == "torchvision":
        x = own.transform.normalise(images).contiguous()

        def step() -> None:
            with torch.inference_mode():
                theirs(x)

    else:
        ready_machine("cpu")
        engine = own.engine("bf16" if who == "bf16" else "fp32")

        def step() -> None:
            engine(images)

    answer(step, warm=5)


def trained() -> Classifier:
    """A network that is sure of most images and not of all: learnt small, then at full size."""
    with tempfile.TemporaryDirectory() as place:
        small, large = str(Path(place) / "small"), str(Path(place) / "large")
        rk.train("fashion-mnist", model=MODEL, image_size=64, limit=12_000, epochs=5, lr=0.05,
                 batch_size=64, label_smoothing=0.0, erase=0.0, identity_start=True, out=small,
                 observer=Observer())  # fmt: skip
        rk.train("fashion-mnist", model=MODEL, image_size=SIZE, limit=2000, epochs=1, lr=0.01,
                 batch_size=32, label_smoothing=0.0, erase=0.0, weights=small, out=large,
                 observer=Observer())  # fmt: skip
        return rk.load(large)


def differences() -> dict:
    """Probabilities of the plain network against the engine's, on real images."""
    own = trained()
    images = Subset(open_dataset("fashion-mnist").parts["test"], np.arange(REAL))
    batches = list(Loader(images, own.transform, 50, workers=2).epoch())
    plain = torch.cat([own(batch.images) for batch in batches])
    found = {}
    for precision in ("bf16", "fp32"):
        engine = own.engine(precision)
        quick = torch.cat([engine(batch.images) for batch in batches])
        found[precision] = {
            "largest_probability_difference": (
                (plain.softmax(1) - quick.softmax(1)).abs().max().item()
            ),
            "changed_top1": (plain.argmax(1) != quick.argmax(1)).sum().item(),
            "images": len(plain),
            "accuracy": (plain.argmax(1).numpy() == images.labels).mean().item(),
        }  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", nargs=2)
    options = parser.parse_args()
    if options.side:
        who, batch = options.side
        return side(who, int(batch))
    cases = []
    for batch, rounds in CASES.items():
        sides = {who: [__file__, "--side", who, str(batch)]
                 for who in ("bf16", "fp32", "torchvision")}  # fmt: skip
        found = take_turns(sides, rounds)
        for who in ("bf16", "fp32"):
            row = {"batch": batch, "precision": who, **ratio(found, who, "torchvision"),
                   "milliseconds": 1e3 * median_of(found, who),
                   "their_milliseconds": 1e3 * median_of(found, "torchvision")}  # fmt: skip
            cases.append(row)
            print(row, flush=True)
    apart = differences()
    print(apart)
    keep("predict_speed", {"model": MODEL, "cases": cases, "differences": apart})


if __name__ == "__main__":
    main()
