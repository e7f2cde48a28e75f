"""Files of weights -> a network, checked before anything is changed. No pickles are run."""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from resnetkit.errors import UserError
from resnetkit.nets.fits import COUNTER, find_fit
from resnetkit.nets.naming import HEAD, Naming, first_layer, names, to_ours, to_theirs
from resnetkit.nets.network import Network
from resnetkit.sums import check_sum, sums_of

WRAPPED = ("state_dict", "model")
"""Under these keys the training scripts of others keep the weights in their checkpoints."""

PREFIXES = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name."""

_NUMBERS = (
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool, torch.uint8,
    torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64, torch.complex128,
)  # fmt: skip

INSIDE = "inside/"
"""Before the names of what belongs to the networks inside one; others read past it."""

MOST_NAMED = 3
"""So many tensors that do not fit are named, and the others counted."""


def read_state(file: str | Path) -> dict[str, Tensor]:
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
            return _whole(safetensors.torch.load_file(path))
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
    state = _unwrapped(state)
    _check_state(state, str(path))
    return state


def read_inside(file: Path) -> dict[str, Tensor]:
    """What a file that `read_state` has read holds of the networks inside: `<layers>/<name>`."""
    everything = safetensors.torch.load_file(file)
    return {n.removeprefix(INSIDE): t for n, t in everything.items() if n.startswith(INSIDE)}


def _whole(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.startswith(INSIDE)}


def _check_state(state: object, where: str) -> None:
    """Raise UserError for anything but names with tensors of plain numbers."""
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise UserError(f"{where} is not a state dict: it must hold named tensors and nothing else")
    for name, tensor in state.items():
        dense = tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_nested)
        if not dense or tensor.is_quantized or tensor.dtype not in _NUMBERS:
            raise UserError(f"{where}: {name} is no tensor of plain numbers ({tensor.dtype})")


def _unwrapped(state: Any) -> Any:
    """The weights inside a training script's checkpoint, under the network's own names."""
    inside = [state[key] for key in WRAPPED if isinstance(state, dict) and key in state]
    if inside and isinstance(inside[0], dict):
        state = inside[0]
    for prefix in PREFIXES:
        if isinstance(state, dict) and state and all(str(n).startswith(prefix) for n in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def load_weights(
    net: Network,
    state_or_file: Mapping[str, Tensor] | str | Path,
    naming: Naming = "resnetkit",
    *,
    head: bool = True,
) -> tuple[str, ...]:
    """Copy weights into a network; every tensor must be there, in its shape, and none be left over.

    Only the first convolution may see another number of channels. For one from three its weights
    are summed: a grey picture gives what it gave as RGB. For three from one each gets a third.
    Counters of batch norm, which nothing reads, may be missing under other libraries' names.

    Args:
        net: the network, left as it was when anything does not fit.
        state_or_file: tensors by name, or a file of them.
        naming: whose names the tensors have: `resnetkit`, `torchvision` or `timm`.
        head: False leaves the head as it is: for other classes than the weights were trained on.

    Returns:
        What was done to the weights on their way, in words; empty when nothing was.

    Raises:
        UserError: what is missing, left over or of another shape, by name, and the network of the
            zoo that would fit; or the library has no such network.
    """
    from_file = isinstance(state_or_file, str | Path)
    where = f"{state_or_file}" if from_file else "the state dict"
    if not from_file:
        _check_state(state_or_file, where)
    state = read_state(state_or_file) if from_file else dict(state_or_file)
    own = net.state_dict()
    theirs = names(net.spec, own, naming)
    if not head:
        left_out = {theirs.pop(name) for name in list(own) if name.startswith(HEAD)}
        state = {name: tensor for name, tensor in state.items() if name not in left_out}
    loaded, notes = {}, []
    for name, called in theirs.items():
        if called in state:
            tensor = to_ours(net.spec, name, state[called], naming)
            is_first = name == first_layer(net.spec)
            loaded[name] = _with_channels(tensor, own[name], notes) if is_first else tensor
    problems = _misfits(own, loaded, theirs, state)
    if naming != "resnetkit":
        problems = [p for p in problems if not (p.startswith("missing") and p.endswith(COUNTER))]
    if problems:
        hint = _hint(problems, theirs, state)
        raise UserError(f"{where} does not fit this network: {_in_a_line(problems)}; {hint}")
    with torch.no_grad():
        for name, tensor in loaded.items():
            own[name].copy_(tensor)
    return tuple(notes)


def state_dict(net: Network, naming: Naming = "resnetkit") -> dict[str, Tensor]:
    """A network's tensors under a library's names and in its shapes, so that it runs there.

    Raises:
        UserError: the library has no such network.
    """
    own = net.state_dict()
    return {
        called: to_theirs(net.spec, name, own[name], naming).contiguous()
        for name, called in names(net.spec, own, naming).items()
    }


def _with_channels(tensor: Tensor, own: Tensor, notes: list[str]) -> Tensor:
    """The first convolution's weights for one channel from three, or three from one."""
    if tensor.ndim != 4 or tensor.shape[:1] + tensor.shape[2:] != own.shape[:1] + own.shape[2:]:
        return tensor
    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.to(own.dtype)
    if (tensor.shape[1], own.shape[1]) == (3, 1):
        notes.append("one channel from three: the first convolution's weights are summed")
        return tensor.sum(1, keepdim=True)
    if (tensor.shape[1], own.shape[1]) == (1, 3):
        notes.append("three channels from one: each has a third of the first convolution's weights")
        return tensor.expand(own.shape) / 3
    return tensor


def _misfits(
    own: Mapping[str, Tensor],
    loaded: Mapping[str, Tensor],
    theirs: Mapping[str, str],
    state: Mapping[str, Tensor],
) -> list[str]:
    """What is missing, left over, of another type or shape, under the names that it was given."""
    known = set(theirs.values())
    problems = [f"missing {called}" for name, called in theirs.items() if name not in loaded]
    problems += [f"left over {called}" for called in state if called not in known]
    for name, tensor in loaded.items():
        kinds = (tensor.is_floating_point(), own[name].is_floating_point())
        if kinds[0] != kinds[1] or tensor.is_complex():
            problems.append(f"{theirs[name]} is {tensor.dtype}, not {own[name].dtype}")
        elif tensor.shape != own[name].shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(own[name].shape)}"
            problems.append(f"{theirs[name]} is {shapes}")
    return problems


def _hint(problems: list[str], theirs: Mapping[str, str], state: Mapping[str, Tensor]) -> str:
    """What to do about tensors that do not fit."""
    of_head = tuple(called for name, called in theirs.items() if name.startswith(HEAD))
    if all(problem.removeprefix("missing ").startswith(of_head) for problem in problems):
        return "all but the head fits (in Python, head=False leaves the network's own)"
    return what_fits(state)


def _in_a_line(problems: list[str]) -> str:
    """The first few, and how many more."""
    more = f", and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
    return f"{'; '.join(problems[:MOST_NAMED])}{more}"


def what_fits(state: Mapping[str, Tensor]) -> str:
    """The network that tensors belong to, in a few words for an error's line."""
    return str(find_fit(state) or "no network of the zoo is near")
