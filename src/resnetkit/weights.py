"""Files of weights -> a network, checked before anything is changed. No pickles are run."""

import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from resnetkit.errors import UserError
from resnetkit.sums import check_sum, sums_of


def read_state(file: str | Path) -> dict[str, torch.Tensor]:
    """Tensors by name from a safetensors file, or a torch state dict read with weights_only.

    Raises:
        UserError: no such file, damaged, or something else than named tensors.
    """
    path = Path(file)
    if not path.is_file():
        raise UserError(f"no such file of weights: {path}")
    if sums_of(path):
        check_sum(path)
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle, which is refused below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, OSError, RuntimeError, ValueError, EOFError, LookupError,
            TypeError, AttributeError, ImportError, AssertionError, MemoryError, OverflowError,
            struct.error, pickle.UnpicklingError, zipfile.BadZipFile) as error:  # fmt: skip
        if path.suffix == ".safetensors":
            reason = f"it is damaged ({error})"
        else:
            reason = "it is neither .safetensors nor a torch state dict of plain tensors"
        raise UserError(f"{path} holds no weights that can be read safely: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise UserError(f"{path} is not a state dict: it must hold named tensors and nothing else")
    return state


def load_weights(
    net: nn.Module, state_or_file: dict[str, torch.Tensor] | str | Path, *, head: bool = True
) -> None:
    """Copy weights into a network; every tensor must be there, in its shape, and none be left over.

    Args:
        net: the network, left as it was when anything does not fit.
        state_or_file: tensors by name, or a file of them.
        head: False leaves the head as it is: for other classes than the weights were trained on.

    Raises:
        UserError: what is missing, left over or of another shape, by name.
    """
    from_file = not isinstance(state_or_file, dict)
    state = read_state(state_or_file) if from_file else state_or_file
    where = f"{state_or_file}" if from_file else "these weights"
    own = net.state_dict()
    if not head:
        own = {name: t for name, t in own.items() if not name.startswith("head.")}
        state = {name: t for name, t in state.items() if not name.startswith("head.")}
    problems = [f"missing {name}" for name in own if name not in state]
    problems += [f"left over {name}" for name in state if name not in own]
    problems += [
        f"{name} is {state[name].dtype}, not {own[name].dtype}"
        for name in own
        if name in state
        and (
            state[name].is_floating_point() != own[name].is_floating_point()
            or state[name].is_complex()
        )
    ]
    problems += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(f"{where} does not fit this network: {'; '.join(problems[:3])}{more}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])
