"""From a name or a spec to a network with fresh weights."""

from dataclasses import replace

import torch
from torch import nn

from resnetkit.errors import UserError
from resnetkit.nets.initialise import identity_start as start_as_identity
from resnetkit.nets.mlp import MLP
from resnetkit.nets.network import Network
from resnetkit.nets.resnet import ResNet
from resnetkit.nets.spec import MLPSpec, Spec
from resnetkit.nets.zoo import spec_of


def create(
    model: str | Spec,
    *,
    classes: int | None = None,
    channels: int | None = None,
    identity_start: bool = False,
) -> Network:
    """A residual network with random weights, drawn from torch's default generator.

    Args:
        model: a name of the zoo (`resnetkit.models()`) or a ResNetSpec or MLPSpec.
        classes: outputs of the head; by default the spec's own.
        channels: channels of the images, 1 for grey; by default the spec's own.
        identity_start: make every residual branch exactly zero at the start.

    Raises:
        UserError (a ValueError): an unknown name, an impossible number, or an identity start
            asked of a network that has none.
    """
    if not isinstance(model, str | Spec):
        raise UserError(f"a model is a name, a ResNetSpec or an MLPSpec, not {model!r:.60}")
    spec = spec_of(model) if isinstance(model, str) else model
    if classes is not None:
        spec = replace(spec, classes=classes)
    if channels is not None:
        spec = replace(spec, channels=channels)
    net = build(spec)
    if identity_start:
        start_as_identity(net.blocks, spec)
    return net


def build(spec: Spec) -> Network:
    """The network of a spec, with random weights."""
    return MLP(spec) if isinstance(spec, MLPSpec) else ResNet(spec)


def blank(spec: Spec) -> Network:
    """A network on the CPU whose numbers are still to be filled in: nothing is drawn.

    torch's own way, `to_empty`, imports its compiler's symbols first: a quarter of a second.
    """
    with torch.device("meta"):
        net = build(spec)
    for module in net.modules():
        for name, value in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(torch.empty(value.shape)))
        for name, value in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(value.shape, dtype=value.dtype))
    return net
