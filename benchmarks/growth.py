"""A network that grows against the deep one from the start; and plain ones, grown by hand.

    python benchmarks/growth.py

20,000 images of Fashion-MNIST, 12 epochs' worth, judged on a sixth of the training images held out;
the test part is not looked at. The deep network is also trained in the time that the growing one
takes with the first seed, rounded up to whole epochs. `rk.deepen` refuses plain networks, for their
layers cannot begin as the identity; here they are deepened nevertheless, with layers that begin as
usual, and with such that begin as Dirac's delta, which norm and ReLU follow (Zagoruyko 2017, arXiv
1706.00388). Arms take turns, seed by seed. Writes benchmarks/results/growth.json.
"""

import argparse
import json
import math
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from torch import nn

import resnetkit as rk
from commands import epochs_of
from resnetkit.nets.create import create
from resnetkit.nets.resnet import ResNet, has_channels_last, with_layout
from resnetkit.nets.zoo import spec_of
from resnetkit.training.observer import Observer
from resnetkit.training.session import RunResult
from turns import keep

EPOCHS, IMAGES, HELD_OUT, GROWS_AT = 12, 20_000, 1 / 6, 0.5
GROWN, DEEP, SHORT = "resnet20 -> resnet56", "resnet56", "resnet56, in the grown one's time"


def grown(shallow: str, deep: str) -> dict:
    return {"model": shallow, "grow_at": (GROWS_AT,), "grow_to": (deep,)}


RESIDUAL = {GROWN: grown("resnet20", "resnet56"), DEEP: {"model": "resnet56"}}
PLAIN = {
    "plain56": {"model": "plain56"},
    "plain20": {"model": "plain20"},
    "plain20 -> plain56, usual start": grown("plain20", "plain56"),
    "plain20 -> plain56, Dirac start": grown("plain20", "plain56"),
}


def deepened_by_hand(net: ResNet, *, depths: tuple[int, ...], dirac: bool) -> ResNet:
    """A deeper plain network with the layers of the shallower one in it."""
    deeper = create(replace(net.spec, depths=depths))
    for stage, old in zip(deeper.stages, net.spec.depths, strict=True):
        added = [m for block in list(stage.children())[old:] for m in block.modules()]
        for layer in (m for m in added if dirac and isinstance(m, nn.Conv2d)):
            nn.init.dirac_(layer.weight)
    deeper.train(net.training).load_state_dict(deeper.state_dict() | net.state_dict())
    return with_layout(deeper, channels_last=has_channels_last(net))


def trained(seed: int, *, dirac: bool = False, epochs: int = EPOCHS, **settings) -> dict:
    """The history of a run and the seconds of its training."""

    def by_hand(net: ResNet, *, depths: tuple[int, ...]) -> ResNet:
        if net.spec.shortcut != "none":
            return rk.deepen(net, depths=depths)
        return deepened_by_hand(net, depths=depths, dirac=dirac)

    def spec_by_hand(spec: rk.ResNetSpec, to: str) -> rk.ResNetSpec:
        return replace(spec, depths=spec_of(to).depths)

    with (
        tempfile.TemporaryDirectory() as place,
        patch("resnetkit.training.growth.deeper_spec", spec_by_hand),
        patch("resnetkit.training.trainer.deepen", by_hand),
        patch("resnetkit.training.setup.deepen", by_hand),
    ):
        out = Path(place) / "run"
        run = rk.train(
            "fashion-mnist", out=str(out), seed=seed, epochs=epochs, limit=IMAGES,
            val_fraction=HELD_OUT, observer=Observer(), **settings,
        )  # fmt: skip
        assert isinstance(run, RunResult)
        rows = [{key: row[key] for key in ("epoch", "seconds", "val_top1", "train_loss")}
                for row in epochs_of(out)]  # fmt: skip
    return {"seed": seed, "seconds": run.seconds, "val_top1": run.val_top1, "epochs": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    runs: dict[str, list[dict]] = {}

    def add(arm: str, seed: int, **settings) -> None:
        row = trained(seed, dirac="Dirac" in arm, **settings)
        runs.setdefault(arm, []).append(row)
        print(f"{arm}, seed {seed}: {row['val_top1']:.4f}, {row['seconds']:.0f} s", flush=True)

    for seed in range(options.seeds):
        for arm, settings in (RESIDUAL | PLAIN).items():
            add(arm, seed, **settings)
        part = runs[GROWN][0]["seconds"] / runs[DEEP][0]["seconds"]
        add(SHORT, seed, model="resnet56", epochs=math.ceil(part * EPOCHS))
    means = {arm: statistics.mean(row["val_top1"] for row in rows) for arm, rows in runs.items()}
    times = [a["seconds"] / b["seconds"] for a, b in zip(runs[GROWN], runs[DEEP], strict=True)]
    told = {"epochs": EPOCHS, "images": IMAGES, "grows_at": GROWS_AT, "val_top1": means,
            "times_the_time": statistics.median(times),
            "minus_deep": means[GROWN] - means[DEEP],
            "minus_deep_in_the_same_time": means[GROWN] - means[SHORT]}  # fmt: skip
    print(json.dumps(told, indent=1))
    keep("growth", told | {"runs": runs})


if __name__ == "__main__":
    main()
