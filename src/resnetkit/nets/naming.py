"""Tensor names of other libraries, both ways, as pure functions of a spec.

torchvision and timm share the names of order (a); timm has others for full pre-activation (its
resnetv2), torchvision none. Counters of batch norm (`num_batches_tracked`) are named like the rest.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, get_args

from resnetkit.errors import UserError, not_one_of
from resnetkit.nets.spec import MLPSpec, ResNetSpec, Spec

if TYPE_CHECKING:
    from torch import Tensor

Naming = Literal["resnetkit", "torchvision", "timm"]
NAMINGS: tuple[Naming, ...] = get_args(Naming)

HEAD = "head."
"""What names of the head begin with, here."""

_DEEPER = ("imagenet", "deep", "tiered")
_TIMM: dict[str, tuple] = {"stem": _DEEPER, "shortcut": ("B",), "stride_on": ("3x3",)}
_PLAINER: dict[str, tuple] = {
    "stem_pool": ("max",), "shortcut_kernel": (1,), "reduce_first": (1,), "attention": ("none",),
    "antialias": ("none",),
}  # fmt: skip
_ALLOWED: dict[tuple[str, str], dict[str, tuple]] = {
    ("torchvision", "a"): _TIMM | _PLAINER | {"stem": ("imagenet",), "shortcut_pool": (False,)},
    ("timm", "a"): _TIMM,
    ("timm", "e"): _TIMM | _PLAINER | {"activates_first": (False,)},
}
"""(library, order) -> what fields of a spec may be for the library to compute the same."""


def first_layer(spec: Spec) -> str:
    """The name here of the one tensor whose shape has to do with the channels of the image."""
    if isinstance(spec, MLPSpec):
        return "stem.fc.weight"
    return "stem.conv1.weight" if len(spec.stem_widths) > 1 else "stem.conv.weight"


def why_not_named(spec: Spec, naming: Naming) -> str | None:
    """Why a library cannot compute such a network; None when it can."""
    if naming == "resnetkit":
        return None
    if naming not in NAMINGS:
        return f"naming {not_one_of(naming, NAMINGS)}"
    if isinstance(spec, MLPSpec):
        return f"{naming} has no fully connected network"
    if (naming, spec.order) not in _ALLOWED:
        return f"{naming} has no residual network of order ({spec.order})"
    for field, values in _ALLOWED[naming, spec.order].items():
        if getattr(spec, field) not in values:
            return f"{naming} has no residual network with {field} {getattr(spec, field)}"
    return None


def names(spec: Spec, ours: Iterable[str], naming: Naming) -> dict[str, str]:
    """The names of tensors here -> what a library calls them.

    Raises:
        UserError: the library has no such network.
    """
    reason = why_not_named(spec, naming)
    if reason:
        raise UserError(reason)
    if naming == "resnetkit":
        return {name: name for name in ours}
    assert isinstance(spec, ResNetSpec)
    rename = _resnetv2 if spec.order == "e" else _resnet
    return {name: rename(spec, name) for name in ours}


def to_theirs(spec: Spec, name: str, tensor: "Tensor", naming: Naming) -> "Tensor":
    """A tensor in the shape that a library keeps it in: timm's v2 head is a 1x1 convolution."""
    if naming == "timm" and _is_v2(spec) and name == f"{HEAD}weight":
        return tensor[:, :, None, None]
    return tensor


def to_ours(spec: Spec, name: str, tensor: "Tensor", naming: Naming) -> "Tensor":
    """The way back; a tensor of another shape stays as it is."""
    is_head = naming == "timm" and _is_v2(spec) and name == f"{HEAD}weight"
    return tensor.flatten(1) if is_head and tensor.shape[2:] == (1, 1) else tensor


def _is_v2(spec: Spec) -> bool:
    return isinstance(spec, ResNetSpec) and spec.order == "e"


def _resnet(spec: ResNetSpec, name: str) -> str:
    """torchvision's resnet.py, and timm's, which began as its copy."""
    part, *rest = name.split(".")
    if part == "stem":
        return _resnet_stem(spec, rest)
    if part == "head":
        return f"fc.{rest[0]}"
    stage, block, layer, *leaf = rest
    if layer == "shortcut":
        place = int(spec.shortcut_pool) + (leaf[0] == "norm")
        layer, leaf = f"downsample.{place}", leaf[1:]
    layer = "se" if layer == "attention" else layer.replace("norm", "bn")
    return ".".join([f"layer{int(stage) + 1}", block, layer, *leaf])


def _resnet_stem(spec: ResNetSpec, name: list[str]) -> str:
    """A deep stem's convolutions and norms are counted with the ReLU that follows each."""
    kind, leaf = name[0].rstrip("0123456789"), name[1]
    number, last = name[0].removeprefix(kind), len(spec.stem_widths)
    place = int(number) if number else last
    if spec.stem_pool == "conv":
        if place == last:
            return f"maxpool.{int(kind == 'norm')}.{leaf}"
        last -= 1
    if place == last and kind == "norm":
        return f"bn1.{leaf}"
    return f"conv1.{3 * (place - 1) + (kind == 'norm')}.{leaf}" if last > 1 else f"conv1.{leaf}"


def _resnetv2(spec: ResNetSpec, name: str) -> str:
    """timm's resnetv2.py; its stem numbers every convolution where there are several."""
    part, *rest = name.split(".")
    if part == "head":
        return f"head.fc.{rest[0]}"
    if part == "stages":
        stage, block, layer, *leaf = rest
        layer = "downsample" if layer == "shortcut" else layer
        return ".".join(["stages", stage, "blocks", block, layer, *leaf])
    count = len(spec.stem_widths)
    if part == "stem" and rest[0] == "conv" and count > 1:
        return f"stem.conv{count}.{rest[1]}"
    return name
