"""The blocks: y = x + g(x), where norm and ReLU may stand in five orders (He 2016, figure 4).

No block writes its input in place: a shortcut, or whoever looks at the features, still needs it.
In-place operations are used only on tensors that the block itself has just made.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnetkit.nets.convolution import make_convolution
from resnetkit.nets.layers import (
    DropPath,
    Projection,
    ZeroPad,
    make_antialias,
    make_attention,
    make_norm,
)
from resnetkit.nets.spec import ResNetSpec


class Block(nn.Module):
    """What all orders share: convolutions `conv1`..., norms `norm1`..., the `shortcut`."""

    def __init__(self, spec: ResNetSpec, inputs: int, width: int, stride: int, drop_path: float):
        super().__init__()
        shapes, outputs = _convolutions(spec, inputs, width, stride), width * spec.expansion
        self.order, self.convolutions = spec.order, len(shapes)
        self.antialias, self.antialias_after = nn.Identity(), 0
        for i, (before, after, side, step, groups) in enumerate(shapes, 1):
            pools = spec.antialias != "none" and step > 1
            if pools:
                self.antialias, self.antialias_after = make_antialias(spec, step), i
            conv = make_convolution(before, after, side, 1 if pools else step, groups)
            setattr(self, f"conv{i}", conv)
            setattr(self, f"norm{i}", make_norm(spec, before if spec.order == "e" else after))
        self.attention = make_attention(spec, outputs)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.changes_shape = stride != 1 or inputs != outputs
        self.shortcut = self._shortcut(spec, inputs, outputs, stride)

    def _shortcut(self, spec: ResNetSpec, inputs: int, outputs: int, stride: int):
        if spec.shortcut == "none":
            return None
        if spec.shortcut == "C" or (spec.shortcut == "B" and self.changes_shape):
            return Projection(spec, inputs, outputs, stride)
        return ZeroPad(inputs, outputs, stride) if self.changes_shape else nn.Identity()

    @property
    def branch_end(self) -> nn.Module:
        """The branch's last convolution or norm: where it is zero so is the branch, and learns.

        Orders (a) and (d) end in a norm (Goyal 2017, arXiv 1706.02677, section 5.1), order (e) in a
        convolution.
        """
        kind = "conv" if self.order == "e" else "norm"
        return self.get_submodule(f"{kind}{self.convolutions}")

    def conv(self, i: int, x: Tensor) -> Tensor:
        """The i-th convolution of the branch, counted from 1."""
        return getattr(self, f"conv{i}")(x)

    def norm(self, i: int, x: Tensor) -> Tensor:
        """The i-th norm of the branch, counted from 1."""
        return getattr(self, f"norm{i}")(x)

    def activate(self, i: int, x: Tensor) -> Tensor:
        """ReLU on what comes from the i-th convolution, and the stride that was taken from it."""
        x = functional.relu(x, inplace=True)
        return self.antialias(x) if i == self.antialias_after else x

    def add(self, x: Tensor, branch: Tensor) -> Tensor:
        """x + g(x), with the shortcut on x; a plain network has g(x) alone.

        The sum takes the branch's place in memory, but not in order (c), whose ReLU still needs it.
        """
        branch = self.drop_path(self.attention(branch))
        if self.shortcut is None:
            return branch
        add = torch.add if self.order == "c" else Tensor.add_
        return add(branch, self.shortcut(x))


class PostActivationBlock(Block):
    """Orders (a) original, (b) norm after the addition, (c) ReLU before the addition."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        out, last = x, self.convolutions
        for i in range(1, last):
            out = self.activate(i, self.norm(i, self.conv(i, out)))
        out = self.conv(last, out)
        if self.order == "b":
            return functional.relu(self.norm(last, self.add(x, out)), inplace=True)
        out = self.norm(last, out)
        if self.order == "c":
            return self.add(x, functional.relu(out, inplace=True))
        return functional.relu(self.add(x, out), inplace=True)


class PreActivationBlock(Block):
    """Orders (d) ReLU-only and (e) full pre-activation: the sum is passed on as it is.

    A block that changes the shape activates before its paths split: its shortcut begins from the
    activated input. So does the first block of the network (He 2016, appendix), where the spec
    does not say otherwise.
    """

    def __init__(
        self, spec: ResNetSpec, inputs: int, width: int, stride: int, drop_path: float, *,
        first: bool,
    ):  # fmt: skip
        super().__init__(spec, inputs, width, stride, drop_path)
        self.activates_both = self.changes_shape or (first and spec.activates_first)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        if self.order == "e":
            out = functional.relu(self.norm(1, x), inplace=True)
        else:
            out = functional.relu(x)
        if self.activates_both:
            x = out
        out = self._after(1, self.conv(1, out))
        for i in range(2, self.convolutions + 1):
            if self.order == "e":
                out = self.norm(i, out)
            out = self._after(i, self.conv(i, self.activate(i - 1, out)))
        return self.add(x, out)

    def _after(self, i: int, x: Tensor) -> Tensor:
        return self.norm(i, x) if self.order == "d" else x


def make_block(
    spec: ResNetSpec, inputs: int, width: int, stride: int, *, first: bool, drop_path: float = 0.0
) -> Block:
    """A block of the spec's order.

    Args:
        spec: the network.
        inputs: channels that come in.
        width: the stage's.
        stride: 1, or 2 where the block halves.
        first: whether it is the first one after the stem.
        drop_path: how often its branch is left out in training.
    """
    if spec.preactivation:
        return PreActivationBlock(spec, inputs, width, stride, drop_path, first=first)
    return PostActivationBlock(spec, inputs, width, stride, drop_path)


def _convolutions(spec: ResNetSpec, inputs: int, width: int, stride: int):
    """(inputs, outputs, side, stride, groups) of every convolution of a branch, in order."""
    if spec.block == "basic":
        return [(inputs, width, 3, stride, 1), (width, width, 3, 1, 1)]
    first, second = (stride, 1) if spec.stride_on == "1x1" else (1, stride)
    inside = width * spec.inner
    reduced = inside // spec.reduce_first
    return [
        (inputs, reduced, 1, first, 1),
        (reduced, inside, 3, second, spec.groups),
        (inside, width * spec.expansion, 1, 1, 1),
    ]
