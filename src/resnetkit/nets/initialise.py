"""How a network starts: He normal, and on request every block as the identity."""

from torch import nn

from resnetkit.errors import UserError
from resnetkit.nets.blocks import Block
from resnetkit.nets.spec import ResNetSpec


def initialise(net: nn.Module) -> None:
    """He normal (He et al. 2015, arXiv 1502.01852, section 2.2) from torch's default generator.

    Convolutions by their outgoing connections, the linear head by its incoming ones; norms
    scale by 1 and shift by 0. On the meta device, where there are no numbers, nothing is drawn:
    torch would import its compiler for it, which takes longer than loading a network.
    """
    if next(net.parameters()).is_meta:
        return
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def identity_start(net: nn.Module, spec: ResNetSpec) -> None:
    """Make every residual branch exactly zero, so that each block begins as its shortcut.

    Raises:
        UserError: the network has no exact identity start that learns.
    """
    reason = why_no_identity_start(spec)
    if reason:
        raise UserError(f"no identity start: {reason}")
    for block in net.modules():
        if isinstance(block, Block):
            zero_branch(block)


def zero_branch(block: nn.Module) -> None:
    """Make a block's residual branch exactly zero; the zeroed tensor learns from the first step.

    Orders (a) and (d) end in a norm: its scale and shift become 0 (Goyal 2017, arXiv 1706.02677,
    section 5.1). Order (e) ends in a convolution: its weights become 0.
    """
    assert isinstance(block, Block)
    kind = "conv" if block.order == "e" else "norm"
    for parameter in block.get_submodule(f"{kind}{block.convolutions}").parameters():
        nn.init.zeros_(parameter)


def why_no_identity_start(spec: ResNetSpec) -> str | None:
    """Why blocks of this spec cannot begin as the identity and still learn; None when they can."""
    if spec.shortcut == "none":
        return "a plain network has no shortcut that would carry the input past a zero branch"
    if spec.shortcut == "C":
        return "shortcut C projects in every block, so that no block can be the identity"
    if spec.order == "b":
        return "in order (b) the norm after the addition changes the sum whatever the branch gives"
    if spec.order == "c":
        return (
            "in order (c) a ReLU follows the branch's last norm: at exactly zero its gradient is "
            "zero, and the branch would never learn"
        )
    return None
