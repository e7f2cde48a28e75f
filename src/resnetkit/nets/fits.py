"""Which network of the zoo a set of named tensors belongs to, and under whose names it has them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from resnetkit.nets.create import build
from resnetkit.nets.naming import (
    HEAD,
    NAMINGS,
    Naming,
    first_layer,
    names,
    to_ours,
    why_not_named,
)
from resnetkit.nets.spec import Spec
from resnetkit.nets.zoo import ZOO

_BLOCK = re.compile(r"(?:stages\.|layer)(\d{1,4})\.(?:blocks\.)?(\d{1,4})\.")
COUNTER = "num_batches_tracked"
"""Of batch norm; old files of other libraries have none."""


@dataclass(frozen=True)
class Fit:
    """The networks that tensors belong to, or the nearest one; head and channels left aside.

    Attributes:
        models: their names in the zoo: several may have the same tensors.
        naming: whose names the tensors have.
        found: how many tensors are there, in their shape.
        wanted: how many the network has, and those that it has not.
    """

    models: tuple[str, ...]
    naming: Naming
    found: int
    wanted: int

    @property
    def exact(self) -> bool:
        """Whether all tensors are there, and none is left over."""
        return self.found == self.wanted

    def __str__(self) -> str:
        """In a few words, for an error's line."""
        if self.exact:
            return f"it fits {' or '.join(self.models)} under {self.naming} names"
        share = f"{self.found} of {self.wanted} tensors agree"
        return f"nearest is {self.models[0]} under {self.naming} names: {share}"


def likeliest_naming(spec: Spec, ours: Iterable[str], given: Iterable[str]) -> Naming:
    """The naming under which a network has the most of the given names."""
    ours, given = list(ours), set(given)
    possible = [naming for naming in NAMINGS if not why_not_named(spec, naming)]
    return max(possible, key=lambda n: len(given.intersection(names(spec, ours, n).values())))


def find_fit(state: Mapping[str, Tensor]) -> Fit | None:
    """The networks of the zoo that the tensors fit, or come nearest to; None when none is near."""
    depths = _depths(state)
    fits = [_compare(name, state) for name, spec in ZOO.items() if spec.depths == depths]
    best = max(fits, key=lambda fit: fit.found / fit.wanted, default=None)
    if best is None or not best.found:
        return None
    same = (fit for fit in fits if fit.exact)
    return replace(best, models=tuple(fit.models[0] for fit in same)) if best.exact else best


def _depths(state: Iterable[str]) -> tuple[int, ...]:
    """Blocks in each stage, told from the names alone."""
    last: dict[int, int] = {}
    for name in state:
        if place := _BLOCK.match(name):
            stage, block = int(place[1]), int(place[2])
            last[stage] = max(last.get(stage, 0), block + 1)
    return tuple(last[stage] for stage in sorted(last))


def _compare(model: str, state: Mapping[str, Tensor]) -> Fit:
    spec = ZOO[model]
    with torch.device("meta"):
        own = build(spec).state_dict()
    naming = likeliest_naming(spec, own, state)
    theirs = names(spec, own, naming)
    head = {called for name, called in theirs.items() if name.startswith(HEAD)}
    own = {n: t for n, t in own.items() if not n.startswith(HEAD) and not n.endswith(COUNTER)}
    given = {n for n in state if not n.endswith(COUNTER) and n not in head}
    first, found = first_layer(spec), 0
    for name, tensor in own.items():
        if theirs[name] in given:
            ours = to_ours(spec, name, state[theirs[name]], naming)
            found += _agree(ours, tensor, is_first=name == first)
    left_over = given.difference(theirs[name] for name in own)
    return Fit((model,), naming, found, len(own) + len(left_over))


def _agree(given: Tensor, own: Tensor, *, is_first: bool) -> bool:
    """Whether shapes agree; the first convolution may see another number of channels."""
    if is_first and given.ndim == own.ndim == 4:
        return given.shape[:1] + given.shape[2:] == own.shape[:1] + own.shape[2:]
    return given.shape == own.shape
