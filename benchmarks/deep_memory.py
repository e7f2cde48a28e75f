"""What a step through a thousand layers takes, plainly and with as little memory as can be.

    python benchmarks/deep_memory.py

Counted: the most bytes of tensors alive at a time that a step has made: activations, gradients and
what lies between. Weights and what the optimiser keeps are older. Resident: what a process that did
nothing else has held at the most. Seconds: processes of their own that take turns. `little` has
every block computed anew, as `--memory` does where nothing else suffices. Writes
benchmarks/results/deep_memory.json.
"""

import argparse
import json
import subprocess
import sys
import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnetkit.benching.peak import most_resident
from resnetkit.benching.step import training_step
from resnetkit.data.transform import Transform
from resnetkit.machine import choose_precision, ready_machine
from resnetkit.nets.create import create
from resnetkit.training.footprint import footprint
from resnetkit.training.recipe import DataRecipe, Recipe
from turns import answer, keep, median_of, ratio, take_turns

SIZE, BATCH, CPU = 32, 64, torch.device("cpu")
PAIRS = (("preresnet164", "preresnet1001"), ("resnet110", "resnet1202"))
"""How much more the deeper one of each takes, in little memory."""

TIMED = "resnet1202"


class AliveBytes(TorchDispatchMode):
    """Counts the bytes of what is made within it, and takes off what is freed."""

    def __init__(self):
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.now = self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self.sizes:
            self.sizes[storage._cdata] = storage.nbytes()
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._freed, storage._cdata)

    def _freed(self, address: int) -> None:
        self.now -= self.sizes.pop(address)


def a_step(how: str, name: str):
    """A function that takes one more step, by `plain` or `little`."""
    ready_machine("cpu")
    net, precision = create(name, classes=10), choose_precision("auto", CPU)
    if how == "little":
        recipe = Recipe(precision=precision, data=DataRecipe(image_size=SIZE, channels=3))
        net.segments = footprint(net, recipe).segmented(len(net.blocks))
    return training_step(net, Transform(size=SIZE), BATCH, precision, CPU)


def counted(how: str, name: str) -> dict[str, int]:
    """Bytes alive and resident at the most; the step that is watched is not the first one."""
    step = a_step(how, name)
    step()
    resident, alive = most_resident(), AliveBytes()
    with alive:
        step()
    return {"counted": alive.most, "resident": resident}


def asked(*arguments: str) -> dict:
    """What this script says in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side", nargs=2)
    parser.add_argument("--count", nargs=2)
    options = parser.parse_args()
    if options.side:
        return answer(a_step(*options.side), warm=1)
    if options.count:
        return print(json.dumps(counted(*options.count)))
    found = {name: asked("--count", "little", name) for pair in PAIRS for name in pair}
    plain = {TIMED: asked("--count", "plain", TIMED)}
    sides = {how: [__file__, "--side", how, TIMED] for how in ("plain", "little")}
    rounds = take_turns(sides, options.rounds)
    told = {
        "model": TIMED, "size": SIZE, "batch": BATCH, "plain": plain[TIMED], "little": found,
        "times_less": {key: plain[TIMED][key] / found[TIMED][key] for key in plain[TIMED]},
        "more_for_depth": {
            f"{shallow} -> {deep}": {key: found[deep][key] / found[shallow][key]
                                     for key in found[deep]}
            for shallow, deep in PAIRS
        },
        "seconds": {how: median_of(rounds, how) for how in sides},
        "times_the_time": ratio(rounds, "plain", "little"),
    }  # fmt: skip
    print(json.dumps(told, indent=1))
    keep("deep_memory", told | {"rounds": rounds})
    return None


if __name__ == "__main__":
    main()
