"""Nested function classes: a trained network inside a deeper one, its function unchanged."""

from collections.abc import Sequence
from dataclasses import fields, replace

from resnetkit.errors import UserError
from resnetkit.nets.create import create
from resnetkit.nets.initialise import why_no_identity_start, zero_branch
from resnetkit.nets.network import Network, has_channels_last, with_layout
from resnetkit.nets.spec import Spec
from resnetkit.nets.zoo import spec_of

_FREE = ("depths", "size", "channels", "classes", "dropout", "drop_path")
"""Fields of a spec in which a deeper network may differ; all but depths stay the network's own."""


def deepen(net: Network, to: str | None = None, *, depths: Sequence[int] | None = None) -> Network:
    """A deeper network that computes the same function, bit for bit, and goes on learning.

    Blocks are added at the ends of stages, so the tensors of the old ones keep their names. Each
    new block begins as the identity: its branch is zero by its last norm's scale and shift (orders
    (a) and (d)) or its last convolution (order (e)), which have gradients at the first step; the
    rest of the branch begins as in `create`, drawn from torch's default generator. A residual
    network contains every shallower one so (He 2016, arXiv 1603.05027, section 2; Chen 2015,
    arXiv 1511.05641, for networks that grow).

    Args:
        net: stays as it is.
        to: a deeper network's name in the zoo; it keeps the net's channels, classes and dropout.
        depths: instead of a name, the blocks in every stage.

    Returns:
        A new network on the same device, of the same type, in the same memory layout and mode.
        With stochastic depth the rates of the old blocks fall, for they rise with the depth: it is
        the same function in evaluation.

    Raises:
        UserError (a ValueError): the target is not a deeper one of the same family, or its blocks
            cannot begin as the identity.
    """
    spec = deeper_spec(net.spec, to, depths)
    deeper = create(spec)
    for stage, old in zip(deeper.stages, net.spec.depths, strict=True):
        for block in list(stage.children())[old:]:
            zero_branch(block)
    like = net.head.weight
    deeper = deeper.to(like.device, like.dtype).train(net.training)
    deeper.load_state_dict(deeper.state_dict() | net.state_dict())
    return with_layout(deeper, channels_last=has_channels_last(net))


def deeper_spec(spec: Spec, to: str | None = None, depths: Sequence[int] | None = None) -> Spec:
    """The spec of the deeper network that is asked for.

    Raises:
        UserError: as `deepen`.
    """
    if (to is None) == (depths is None):
        raise UserError("say how deep: either the name of a deeper network or depths, not both")
    target = spec_of(to) if to is not None else replace(spec, depths=tuple(depths or ()))
    named = to or f"depths {_dashed(target.depths)}"
    reason = why_no_identity_start(spec)
    if reason:
        raise UserError(f"this network cannot be deepened: {reason}")
    if type(target) is not type(spec):
        raise UserError(f"{named} is of another kind: one is fully connected, the other is not")
    other = [
        f"{f.name} {getattr(target, f.name)}, not {getattr(spec, f.name)}"
        for f in fields(spec)
        if f.name not in _FREE and getattr(target, f.name) != getattr(spec, f.name)
    ]
    if other:
        raise UserError(f"{named} is of another kind: it has {'; '.join(other)}")
    if target.depths == spec.depths:
        raise UserError(f"{named} is as deep as the network is: {_dashed(spec.depths)} blocks")
    if any(new < old for new, old in zip(target.depths, spec.depths, strict=True)):
        raise UserError(
            f"{named} is shallower: it has {_dashed(target.depths)} blocks in its stages, the "
            f"network has {_dashed(spec.depths)}, and none can be taken away"
        )
    return replace(spec, depths=target.depths)


def _dashed(depths: Sequence[int]) -> str:
    return "-".join(str(d) for d in depths)
