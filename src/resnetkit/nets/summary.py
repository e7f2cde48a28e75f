"""What a network costs: shapes stage by stage, parameters, multiply-adds."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from resnetkit.nets.create import build
from resnetkit.nets.spec import Spec


@dataclass(frozen=True)
class Row:
    """A part of a network: its name, the shape it gives for one image, what it costs."""

    part: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """A network's parts and totals for one image.

    Attributes:
        narrowest: width in pixels of the narrowest map that a convolution larger than 1x1 reads
            with a stride.
    """

    rows: tuple[Row, ...]
    layers: int
    parameters: int
    multiply_adds: int
    narrowest: int


def summarise(spec: Spec, height: int, width: int) -> Summary:
    """Count by running the real network on torch's meta device, which computes shapes alone.

    All blocks of a stage after its first are equal: one of them is run and counted for all.

    Args:
        spec: the network.
        height, width: size of the image in pixels.

    Returns:
        Shapes are (channels, height, width), and (n,) after pooling. A multiply-add is one
        multiplication with its addition, counted in convolutions and linear layers.

    Raises:
        UserError: a fully connected network is for images of another size.
    """
    with torch.device("meta"):
        net = build(replace(spec, depths=tuple(min(d, 2) for d in spec.depths))).eval()
        image = torch.empty(1, spec.channels, height, width)
    parts = [_Part("stem", net.stem, 1)]
    for i, (stage, depth) in enumerate(zip(net.stages, spec.depths, strict=True), 1):
        name = f"stage {i}: {depth} block{'s' if depth > 1 else ''}"
        first, *rest = stage.children()
        parts += [_Part(name, first, 1), *(_Part(name, block, depth - 1) for block in rest)]
    if not isinstance(net.norm, nn.Identity):
        parts.append(_Part("norm, ReLU", net.norm, 1))
    parts.append(_Part("head", net.head, 1))
    _without_norms(net.stem, *net.stages)
    strided = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    strided = [conv for conv in strided if conv.stride[1] > 1 and conv.kernel_size[1] > 1]
    widths = [width]
    for conv in strided:
        conv.register_forward_pre_hook(lambda _, inputs: widths.append(inputs[0].shape[3]))
    with torch.no_grad():
        net(image)
    names = dict.fromkeys(part.name for part in parts)
    rows = tuple(_row(name, [part for part in parts if part.name == name]) for name in names)
    parameters, multiply_adds = (sum(getattr(r, c) for r in rows) for c in _COSTS)
    return Summary(rows, spec.layers, parameters, multiply_adds, min(widths))


_COSTS = ("parameters", "multiply_adds")


class _Part:
    """A module that stands in a network some number of times, and what a call of it costs."""

    def __init__(self, name: str, module: nn.Module, times: int):
        self.name, self.times, self.shape = name, times, ()
        self.parameters = sum(p.numel() for p in module.parameters())
        self.multiply_adds = 0
        module.register_forward_hook(self._keep_shape)
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(self._count)

    def _keep_shape(self, _module, _inputs, output):
        self.shape = tuple(output.shape[1:])

    def _count(self, layer, _inputs, output):
        self.multiply_adds += output.numel() * layer.weight[0].numel()


def _without_norms(*parts: nn.Module) -> None:
    """Leave the norms out: they change no shape, and are slow on the meta device."""
    for parent in [module for part in parts for module in part.modules()]:
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d | nn.GroupNorm | nn.BatchNorm1d | nn.LayerNorm):
                setattr(parent, name, nn.Identity())


def _row(name: str, parts: list[_Part]) -> Row:
    totals = {cost: sum(getattr(part, cost) * part.times for part in parts) for cost in _COSTS}
    return Row(name, parts[-1].shape, **totals)
