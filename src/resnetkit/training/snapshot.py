"""A trainer's state, taken for a checkpoint and put back from one: with the bits of every rank."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from resnetkit.config import from_plain, to_plain
from resnetkit.errors import UserError
from resnetkit.machine import environment
from resnetkit.nets.create import blank
from resnetkit.nets.nested import Nested
from resnetkit.nets.network import Network, with_layout
from resnetkit.nets.spec import read_spec
from resnetkit.training import checkpoint
from resnetkit.training.recipe import Recipe
from resnetkit.training.schedule import depends_on_length
from resnetkit.training.settings import differences

if TYPE_CHECKING:
    from resnetkit.training.trainer import Trainer


def take(trainer: "Trainer") -> checkpoint.State:
    """Where the run stands; all ranks must call it together."""
    tensors = {}
    for group, nested in _groups(trainer).items():
        tensors |= {f"{group}/{name}": t for name, t in nested.net.state_dict().items()}
        tensors |= {f"{group}-inner/{name}": t for name, t in nested.statistics().items()}
    if trainer.dynamics:
        tensors |= {f"dynamics/{name}": t for name, t in trainer.dynamics.tensors().items()}
    tensors |= {f"optimiser/{name}": t for name, t in trainer.optimiser.tensors().items()}
    tensors["sums"] = trainer.sums
    own = _own(trainer)
    for rank, packed in enumerate(trainer.ranks.gather(_pack(own))):
        if rank > 0:
            tensors |= {f"rank{rank}/{name}": t for name, t in _unpack(packed, own).items()}
    return checkpoint.State(
        step=trainer.step,
        recipe=to_plain(trainer.recipe),
        spec=trainer.net.spec.to_dict(),
        environment=environment(trainer.device, trainer.ranks.count),
        history=trainer.history,
        seconds=trainer.seconds,
        epoch_seconds=trainer.epoch_seconds,
        rollbacks=trainer.rollbacks,
        tensors=tensors,
    )


def put_back(trainer: "Trainer", state: checkpoint.State) -> None:
    """Go on from a checkpoint; raises UserError where equal bits could not be promised."""
    _check_same_run(trainer, state)
    if state.spec != trainer.net.spec.to_dict():
        trainer.hold(_network_of(state, trainer))
    groups: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    sums = state.tensors["sums"]
    for name, tensor in state.tensors.items():
        group, _, rest = name.partition("/")
        groups[group][rest] = tensor
    for name in _own(trainer):
        mine = state.tensors.get(f"rank{trainer.ranks.rank}/{name}")
        group, _, rest = name.partition("/")
        if mine is not None and rest:
            groups[group][rest] = mine
        elif mine is not None:
            sums = mine
    for group, nested in _groups(trainer).items():
        nested.net.load_state_dict(groups[group])
        nested.load_statistics(groups[f"{group}-inner"])
    if trainer.dynamics:
        trainer.dynamics.load_tensors(groups["dynamics"])
    trainer.optimiser.load_tensors(groups["optimiser"])
    trainer.sums.copy_(sums)
    trainer.step, trainer.history = state.step, state.history
    trainer.rollbacks = state.rollbacks
    trainer.seconds, trainer.epoch_seconds = state.seconds, state.epoch_seconds


def _network_of(state: checkpoint.State, trainer: "Trainer") -> Network:
    """The network of a checkpoint, made before or after the one at hand has grown."""
    net = blank(read_spec(state.spec, where="checkpoint")).to(trainer.device)
    return with_layout(net, channels_last=trainer.recipe.channels_last)


def _check_same_run(trainer: "Trainer", state: checkpoint.State) -> None:
    run = trainer.run.path
    check_same_recipe(state, trainer.recipe, run)
    specs = [trainer.first, *(growth.spec for growth in trainer.growths)]
    if state.step > trainer.steps or state.spec not in [spec.to_dict() for spec in specs]:
        raise UserError(f"the checkpoint in {run} belongs to another run: another network")
    changed = [
        f"{name}: {state.environment.get(name)} -> {value}"
        for name, value in environment(trainer.device, trainer.ranks.count).items()
        if state.environment.get(name) != value
    ]
    if changed:
        raise UserError(
            f"{run} cannot go on in the same bits: {'; '.join(changed)}; resume it as it was "
            f"started, or {trainer.run.how_to_start_anew}"
        )


def check_same_recipe(state: checkpoint.State, recipe: Recipe, run: Path) -> None:
    """Raise UserError when a checkpoint was made by another recipe than its run's."""
    began = from_plain(Recipe, state.recipe, where="checkpoint")
    others = differences(began, recipe)
    if not depends_on_length(recipe.schedule):
        others.pop("epochs", None)
    if others:
        changes = ", ".join(f"{k}: {v}" for k, v in others.items())
        raise UserError(f"the checkpoint in {run} belongs to another run: {changes}")


def _own(trainer: "Trainer") -> dict[str, torch.Tensor]:
    """What differs from rank to rank: sums of epoch and run, running statistics of norms."""
    found = {"sums": trainer.sums}
    if trainer.dynamics:
        found |= {f"dynamics/{name}": t for name, t in trainer.dynamics.tensors().items()}
    for group, nested in _groups(trainer).items():
        found |= {f"{group}/{name}": buffer for name, buffer in nested.net.named_buffers()}
        found |= {f"{group}-inner/{name}": b for name, b in nested.statistics().items()}
    return found


def _groups(trainer: "Trainer") -> dict[str, Nested]:
    """The networks of a trainer, by the names of their tensors' groups."""
    averaged = {"ema": trainer.ema.net} if trainer.ema else {}
    return {"net": trainer.replica.nested, **averaged}


def _pack(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """All bytes of some tensors, one after the other."""
    return torch.cat([t.detach().cpu().reshape(-1).view(torch.uint8) for t in tensors.values()])


def _unpack(packed: torch.Tensor, like: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    parts = packed.split([t.numel() * t.element_size() for t in like.values()])
    return {
        name: part.clone().view(t.dtype).view(t.shape)
        for (name, t), part in zip(like.items(), parts, strict=True)
    }
