"""A checkpoint: one safetensors file with everything from which a run goes on in the same bits."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from resnetkit.errors import UserError
from resnetkit.files import whole_file

FORMAT = "1"
KEPT = 2
"""The newest so many checkpoints stay; older ones are removed once a new one is whole."""


@dataclass
class State:
    """Where a run stands.

    Attributes:
        step: steps done since the start.
        recipe: the run's recipe, as plain data.
        spec: the network's spec in force, as plain data.
        environment: what the bits depend on besides recipe and data.
        history: the lines of metrics.jsonl so far.
        seconds: of training since the start; `epoch_seconds`, since the epoch began.
        tensors: weights, optimiser, EMA, the sums of the epoch under way, and of the run
            (`dynamics`), by name; under several ranks also the running statistics and sums of every
            other rank.
        rollbacks: what was not finite, and where the run went back to.
    """

    step: int
    recipe: dict
    spec: dict
    environment: dict[str, str]
    history: list[dict]
    seconds: float
    epoch_seconds: float
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    rollbacks: list[dict] = field(default_factory=list)


def save(folder: Path, state: State, *, keep: int = -1) -> Path:
    """Write a checkpoint so that a kill at any moment leaves the last good one.

    Args:
        folder: of the run's checkpoints.
        state: where the run stands.
        keep: the step of an older checkpoint that stays, besides the newest ones.

    Raises:
        UserError: the disk is full, or the folder cannot be written any more.
    """
    path = checkpoint_file(folder, state.step)
    tensors = {name: t.detach().cpu().contiguous() for name, t in state.tensors.items()}
    about = json.dumps({k: v for k, v in vars(state).items() if k != "tensors"})
    metadata = {"format": FORMAT, "state": about, "sha256": _digest(about, tensors)}
    try:
        with whole_file(path) as beside:
            safetensors.torch.save_file(tensors, beside, metadata)
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"cannot write {path}: {error}; the one before it stays") from error
    for old in checkpoints(folder)[:-KEPT]:
        if old != checkpoint_file(folder, keep):
            old.unlink()
    return path


def remove_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps."""
    for path in checkpoints(folder):
        if path > checkpoint_file(folder, step):
            path.unlink()


def checkpoint_file(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:09d}.safetensors"


def load(path: Path) -> State:
    """Read a checkpoint; raises UserError when one bit of it is not as it was written."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
        if metadata.get("format") != FORMAT:
            raise ValueError(f"format {metadata.get('format')}, expected {FORMAT}")
        if metadata["sha256"] != _digest(metadata["state"], tensors):
            raise ValueError("its checksum does not match")
        return State(**json.loads(metadata["state"]), tensors=tensors)
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the checkpoint {path} is damaged ({error}); remove it to go on from the one before"
        ) from None


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in a folder, oldest first."""
    return sorted(p for p in folder.glob("*") if re.fullmatch(r"step-\d+\.safetensors", p.name))


def _digest(about: str, tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
