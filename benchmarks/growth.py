"""A network that grows against the deep one from the start; and plain ones, grown by hand.

    python benchmarks/growth.py            # anew
    python benchmarks/growth.py --go-on    # with the runs that growth.json holds already

30,000 images of Fashion-MNIST, 10,000 others held out, 12 epochs' worth; every trained network is
judged once on the test part. The deep network is also trained for three quarters of the epochs.
`rk.deepen` refuses plain networks, for their layers cannot begin as the identity; here they are
deepened nevertheless, with layers that begin as usual, and with such that begin as Dirac's delta,
which norm and ReLU follow (Zagoruyko 2017, arXiv 1706.00388). Runs share the machine, one thread
each: how long each takes alone is `depth_steps.py`'s to say. Writes benchmarks/results/growth.json.
"""

import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch import nn

import resnetkit as rk
from arms import Runs, run_arms, seeded_options
from commands import rows_of
from resnetkit.machine import choose_device
from resnetkit.nets.create import create
from resnetkit.nets.network import Network, has_channels_last, with_layout
from resnetkit.nets.zoo import spec_of
from resnetkit.training.observer import Observer
from resnetkit.training.session import RunResult
from turns import keep

EPOCHS, IMAGES, HELD_OUT, GROWS_AT = 12, 30_000, 1 / 6, 0.375
GROWN, DEEP, SHORT = "resnet20 -> resnet56", "resnet56", "resnet56, three quarters"
DIRAC = "plain20 -> plain56, Dirac start"


def grown(shallow: str, deep: str) -> dict:
    return {"model": shallow, "grow_at": (GROWS_AT,), "grow_to": (deep,)}


ARMS = {
    GROWN: grown("resnet20", "resnet56"),
    DEEP: {"model": "resnet56"},
    SHORT: {"model": "resnet56", "epochs": EPOCHS * 3 // 4},
    "plain56": {"model": "plain56"},
    "plain20": {"model": "plain20"},
    "plain20 -> plain56, usual start": grown("plain20", "plain56"),
    DIRAC: grown("plain20", "plain56"),
}


def deepened_by_hand(net: Network, *, depths: tuple[int, ...], dirac: bool) -> Network:
    """A deeper plain network with the layers of the shallower one in it."""
    deeper = create(replace(net.spec, depths=depths))
    for stage, old in zip(deeper.stages, net.spec.depths, strict=True):
        added = [m for block in list(stage.children())[old:] for m in block.modules()]
        for layer in (m for m in added if dirac and isinstance(m, nn.Conv2d)):
            nn.init.dirac_(layer.weight)
    deeper.to(net.head.weight.device).train(net.training).load_state_dict(
        deeper.state_dict() | net.state_dict()
    )
    return with_layout(deeper, channels_last=has_channels_last(net))


def trained(arm: str, seed: int) -> dict:
    """How a run went, the seconds of its training, and its accuracy on the test part."""

    def by_hand(net: Network, *, depths: tuple[int, ...]) -> Network:
        if net.spec.shortcut != "none":
            return rk.deepen(net, depths=depths)
        return deepened_by_hand(net, depths=depths, dirac=arm == DIRAC)

    def spec_by_hand(spec: rk.ResNetSpec, to: str) -> rk.ResNetSpec:
        return replace(spec, depths=spec_of(to).depths)

    with (
        tempfile.TemporaryDirectory() as place,
        patch("resnetkit.training.growth.deeper_spec", spec_by_hand),
        patch("resnetkit.training.trainer.deepen", by_hand),
        patch("resnetkit.training.setup.deepen", by_hand),
    ):
        out = Path(place) / "run"
        common = {"epochs": EPOCHS, "limit": IMAGES, "val_fraction": HELD_OUT}
        settings: dict[str, Any] = common | ARMS[arm]
        run = rk.train("fashion-mnist", out=str(out), seed=seed, threads=1, workers=1,
                       observer=Observer(), **settings)  # fmt: skip
        assert isinstance(run, RunResult)
        test = rk.evaluate(rk.load(out).to(choose_device()), "fashion-mnist").to_dict()
        rows = rows_of(out)
    return {"seconds": run.seconds, "val_top1": run.val_top1,
            "test_top1": test["top1"], "epochs": rows}  # fmt: skip


def told(runs: Runs) -> dict:
    """What is asked: the growing network against the deep one, and against its shorter run."""
    means = {arm: statistics.mean(row["test_top1"] for row in rows) for arm, rows in runs.items()}
    return {"epochs": EPOCHS, "images": IMAGES, "grows_at": GROWS_AT, "test_top1": means,
            "minus_deep": means[GROWN] - means[DEEP],
            "minus_deep_in_the_same_time": means[GROWN] - means[SHORT]}  # fmt: skip


def main() -> None:
    options = seeded_options("growth", __doc__)
    arms = list(ARMS)
    residual, plain = (
        [(arm, seed) for seed in range(options.seeds) for arm in some]
        for some in (arms[:3], arms[3:])
    )
    runs = run_arms(
        "growth", trained, residual + plain, go_on=options.go_on, at_once=options.at_once
    )
    print(json.dumps(told(runs), indent=1))
    keep("growth", told(runs) | {"runs": runs})


if __name__ == "__main__":
    main()
