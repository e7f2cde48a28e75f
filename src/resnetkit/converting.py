"""`resnetkit convert`: weights under another library's names."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import safetensors.torch
from torch import Tensor

from resnetkit.errors import UserError
from resnetkit.files import write_whole
from resnetkit.nets.create import build
from resnetkit.nets.fits import find_fit, likeliest_naming
from resnetkit.nets.naming import HEAD, Naming, first_layer, names, why_not_named
from resnetkit.nets.spec import Spec
from resnetkit.nets.zoo import ZOO, spec_of
from resnetkit.pretrained import Pretrained, open_pretrained
from resnetkit.training.few import counted
from resnetkit.weights import load_weights, state_dict, what_fits


@dataclass(frozen=True)
class Converted:
    """What was converted, and how."""

    model: str
    classes: int
    channels: int
    from_naming: str
    to_naming: str
    tensors: int
    out: str

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """In a line."""
        return (
            f"{self.out}: {self.model}, {self.classes:,} classes, "
            f"{counted(self.channels, 'channel')}, {counted(self.tensors, 'tensor')}, "
            f"{self.from_naming} -> {self.to_naming} names"
        )


def convert(
    weights: str,
    out: str,
    to: Naming,
    *,
    model: str | None = None,
    naming: Naming | None = None,
) -> Converted:
    """Write weights under another library's names, in float32.

    Args:
        weights: a file, a run or Classifier folder, or a name of the Hub.
        out: the .safetensors file to write; it must not exist.
        to: whose names to write.
        model: a name of the zoo; needed where it cannot be told from the weights.
        naming: whose names the weights have; by default told from the names.

    Raises:
        UserError: the weights do not fit the network, or the library has no such network.
    """
    _check_out(Path(out))
    begun = open_pretrained(weights)
    model, spec = _network(begun, model, to)
    with_names = build(replace(spec, classes=1, channels=1)).state_dict()
    naming = naming or likeliest_naming(spec, with_names, begun.state)
    sizes = _sizes(spec, begun.state, naming)
    net = build(replace(spec, **sizes))
    try:
        load_weights(net, begun.state, naming)
        state = state_dict(net, to)
    except UserError as error:
        raise UserError(f"{weights}: {error}") from None
    write_whole(Path(out), safetensors.torch.save(state, metadata={"format": "pt"}))
    return Converted(model, net.spec.classes, net.spec.channels, naming, to, len(state), out)


def _check_out(out: Path) -> None:
    if out.suffix != ".safetensors":
        raise UserError(f"--out must end in .safetensors, not {out}")
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} exists already; choose another name or remove it")
    if not out.parent.is_dir():
        raise UserError(f"cannot write {out}: no folder {out.parent}")


def _network(begun: Pretrained, model: str | None, to: Naming) -> tuple[str, Spec]:
    """The network's name and spec: as asked for, as the weights say, or the one that they fit.

    Of several that they fit any will do, if the library can compute all of them.
    """
    if model is not None:
        return model, spec_of(model)
    if begun.spec is not None:
        return begun.model or "a network of one's own", begun.spec
    fit = find_fit(begun.state)
    if not fit or not fit.exact or any(why_not_named(ZOO[name], to) for name in fit.models):
        raise UserError(f"{begun.where}: say --model; {what_fits(begun.state)}")
    return " or ".join(fit.models), spec_of(fit.models[0])


def _sizes(spec: Spec, state: dict[str, Tensor], naming: Naming) -> dict[str, int]:
    """Classes and channels, where the weights say them."""
    first = first_layer(spec)
    theirs = names(spec, [first, f"{HEAD}bias"], naming)
    head, conv = state.get(theirs[f"{HEAD}bias"]), state.get(theirs[first])
    found = {}
    if head is not None and head.ndim == 1 and len(head):
        found["classes"] = len(head)
    if conv is not None and conv.ndim == 4 and conv.shape[1]:
        found["channels"] = conv.shape[1]
    return found
