"""Ways in which the new blocks of a growing network may come in, compared on the validation part.

    python benchmarks/growth_ways.py            # anew
    python benchmarks/growth_ways.py --go-on    # with the runs that growth_ways.json holds already

As `growth.py` with 20,000 images, one seed, the test part not looked at; an hour. Every way begins
a new block as the identity; they differ in when it comes, what its convolutions begin with, how the
scale that ends its branch leaves 0, and the schedule. Writes benchmarks/results/growth_ways.json.
"""

import math
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

import resnetkit as rk
from arms import run_ways
from commands import epochs_of
from growth import EPOCHS, HELD_OUT
from resnetkit.nets.initialise import zero_branch
from resnetkit.nets.network import Network
from resnetkit.training import trainer as at_work
from resnetkit.training.observer import Observer
from resnetkit.training.session import RunResult

IMAGES = 20_000
DEEP, GRADUAL = ("resnet56",), ("resnet32", "resnet44", "resnet56")
WAYS: dict[str, dict] = {
    "resnet56": {"model": "resnet56"},
    "resnet56, three quarters": {"model": "resnet56", "epochs": EPOCHS * 3 // 4},
    "resnet20": {},
    "at a half": {"grow_at": (0.5,), "grow_to": DEEP},
    "at 3/8": {"grow_at": (0.375,), "grow_to": DEEP},
    "in three steps": {"grow_at": (0.17, 0.38, 0.6), "grow_to": GRADUAL},
    "copies of old blocks": {"grow_at": (0.375,), "grow_to": DEEP, "copies": True},
    "scales learn 50 times as fast": {"grow_at": (0.375,), "grow_to": DEEP, "faster": 50},
    "scales raised, 5% of the run": {"grow_at": (0.375,), "grow_to": DEEP, "raised": 0.05},
    "copies, scales raised, 10%": {
        "grow_at": (0.385,), "grow_to": DEEP, "copies": True, "raised": 0.1,
    },
    "in three steps, scales raised, 10%": {
        "grow_at": (0.17, 0.38, 0.6), "grow_to": GRADUAL, "raised": 0.1,
    },
    "scales raised, 15%": {"grow_at": (0.385,), "grow_to": DEEP, "raised": 0.15},
    "scales raised, 2%, full rate until then": {
        "grow_at": (0.385,), "grow_to": DEEP, "raised": 0.02, "held": 0.385,
    },
}  # fmt: skip
"""A way's name -> settings of the run, and what is done by hand: `by_hand` has it."""

BY_HAND = ("copies", "faster", "raised", "held")


def new_blocks(net: Network, before: tuple[int, ...]) -> list[torch.nn.Module]:
    """Those that a network of these depths had not."""
    stages = zip(net.stages, before, strict=True)
    return [block for stage, old in stages for block in list(stage.children())[old:]]


def copied(net: Network, *, depths: tuple[int, ...]) -> Network:
    """New blocks are copies of old ones of their stage, their branches zero (Gong 2019)."""
    deeper = rk.deepen(net, depths=depths)
    for stage, old in zip(deeper.stages, net.spec.depths, strict=True):
        blocks = list(stage.children())
        like = [block for block in blocks[:old] if not block.changes_shape]
        for number, block in enumerate(blocks[old:]):
            block.load_state_dict(like[number % len(like)].state_dict())
            zero_branch(block)
    return deeper


def by_hand(
    *, copies: bool = False, faster: float = 1, raised: float = 0, held: float = 0
) -> ExitStack:
    """Patches of the trainer, in force until the stack is closed.

    Args:
        copies: as `copied`.
        faster: what the learning rate of the new blocks' last norms is multiplied by.
        raised: part of the run in which the scales of those rise from 0 to 1 by themselves.
        held: part of the run until which the learning rate stays at its highest.
    """
    step, rates, factor, stack = (
        at_work.Trainer.train_step, at_work.layer_rates, at_work.factor, ExitStack()
    )  # fmt: skip

    def raising(trainer: Any, batch: Any) -> None:
        step(trainer, batch)
        ramp, before = round(raised * trainer.steps), trainer.first.depths
        for growth in trainer.growths:
            if growth.step < trainer.step <= growth.step + ramp:
                for block in new_blocks(trainer.net, before):
                    block.get_submodule("norm2").get_parameter("weight").data.add_(1 / ramp)
            before = growth.spec.depths

    def faster_rates(net: Network, decay: float) -> dict:
        found = rates(net, decay)
        for block in new_blocks(net, (3, 3, 3)):
            found |= {p: faster * found[p] for p in block.get_submodule("norm2").parameters()}
        return found

    def held_factor(schedule: Any, number: int, steps: int) -> float:
        if number < (schedule.warmup_steps or 0):
            return factor(schedule, number, steps)
        past = max(0.0, number - held * steps) / (steps - held * steps)
        return 0.5 * (1 + math.cos(math.pi * past))

    if copies:
        stack.enter_context(patch.object(at_work, "deepen", copied))
    if faster != 1:
        stack.enter_context(patch.object(at_work, "layer_rates", faster_rates))
    if raised:
        stack.enter_context(patch.object(at_work.Trainer, "train_step", raising))
    if held:
        stack.enter_context(patch.object(at_work, "factor", held_factor))
    return stack


def trained(way: str, seed: int) -> dict:
    """How a run went, and what the scales of new blocks came to."""
    settings: dict[str, Any] = {"model": "resnet20", "epochs": EPOCHS} | WAYS[way]
    patches = {name: settings.pop(name) for name in BY_HAND if name in settings}
    with tempfile.TemporaryDirectory() as place, by_hand(**patches):
        out = Path(place) / "run"
        run = rk.train("fashion-mnist", out=str(out), seed=seed, threads=1, workers=1, limit=IMAGES,
                       val_fraction=HELD_OUT, observer=Observer(), **settings)  # fmt: skip
        assert isinstance(run, RunResult)
        scales = [
            block.get_submodule("norm2").get_parameter("weight").abs().mean().item()
            for block in new_blocks(rk.load(out).net, (3, 3, 3))
        ]
        rows = [{key: row[key] for key in ("epoch", "val_top1", "train_loss")}
                for row in epochs_of(out)]  # fmt: skip
    scale = sum(scales) / len(scales) if scales else None
    return {"seconds": run.seconds, "val_top1": run.val_top1, "scale": scale, "epochs": rows}


if __name__ == "__main__":
    run_ways("growth_ways", __doc__, trained, list(WAYS))
