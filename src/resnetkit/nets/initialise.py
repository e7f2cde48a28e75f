"""How a network starts: He normal, and on request every block as the identity."""

from collections.abc import Iterable

from torch import nn

from resnetkit.errors import UserError
from resnetkit.nets.spec import MLPSpec, Spec


def initialise(net: nn.Module) -> None:
    """He normal (He et al. 2015, arXiv 1502.01852, section 2.2) from torch's default generator.

    Convolutions by their outgoing connections, linear layers by their incoming ones, the head as
    one that no ReLU follows; norms scale by 1 and shift by 0. On the meta device, where there are
    no numbers, nothing is drawn: torch would import its compiler for it, which takes longer than
    loading a network.
    """
    if next(net.parameters()).is_meta:
        return
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            after = "linear" if module is net.head else "relu"
            nn.init.kaiming_normal_(module.weight, nonlinearity=after)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d | nn.GroupNorm | nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def identity_start(blocks: Iterable[nn.Module], spec: Spec) -> None:
    """Make every residual branch exactly zero, so that each block begins as its shortcut.

    Raises:
        UserError: the network has no exact identity start that learns.
    """
    reason = why_no_identity_start(spec)
    if reason:
        raise UserError(f"no identity start: {reason}")
    for block in blocks:
        zero_branch(block)


def zero_branch(block: nn.Module) -> None:
    """Make a block's residual branch exactly zero; the zeroed tensors learn from the first step."""
    assert isinstance(block.branch_end, nn.Module)
    for parameter in block.branch_end.parameters():
        nn.init.zeros_(parameter)


def why_no_identity_start(spec: Spec) -> str | None:
    """Why blocks of this spec cannot begin as the identity and still learn; None when they can."""
    if spec.shortcut == "none":
        return "a plain network has no shortcut that would carry the input past a zero branch"
    if isinstance(spec, MLPSpec):
        return None
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
