"""The blocks: y = x + g(x), where norm and ReLU may stand in five orders (He 2016, figure 4).

No block writes its input in place: a shortcut, or whoever looks at the features, still needs it.
In-place ReLU is used only on tensors that the block itself has just made.
"""

from torch import Tensor, nn
from torch.nn import functional

from resnetkit.nets.spec import ResNetSpec


class ZeroPad(nn.Module):
    """Shortcut A (He 2015, section 3.3): every stride-th pixel, new channels 0."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.extra, self.stride = outputs - inputs, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + extra, ceil(H / stride), ceil(W / stride))."""
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, 0, self.extra))


class Projection(nn.Module):
    """Shortcuts B and C: a 1x1 convolution, normalised where the branch ends normalised.

    In order (b) the norm comes after the addition, in (e) before the convolution: none here.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, norm: bool):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        return self.norm(self.conv(x))


class Block(nn.Module):
    """What all orders share: convolutions `conv1`..., norms `norm1`..., the `shortcut`."""

    def __init__(self, spec: ResNetSpec, inputs: int, width: int, stride: int):
        super().__init__()
        shapes = _convolutions(spec, inputs, width, stride)
        self.order, self.convolutions = spec.order, len(shapes)
        for i, (before, after, kernel, step) in enumerate(shapes, 1):
            conv = nn.Conv2d(before, after, kernel, step, padding=kernel // 2, bias=False)
            setattr(self, f"conv{i}", conv)
            setattr(self, f"norm{i}", nn.BatchNorm2d(before if spec.order == "e" else after))
        self.changes_shape = stride != 1 or inputs != width * spec.expansion
        self.shortcut = self._shortcut(spec, inputs, width * spec.expansion, stride)

    def _shortcut(self, spec: ResNetSpec, inputs: int, outputs: int, stride: int):
        if spec.shortcut == "none":
            return None
        if spec.shortcut == "C" or (spec.shortcut == "B" and self.changes_shape):
            return Projection(inputs, outputs, stride, norm=spec.order in ("a", "c", "d"))
        return ZeroPad(inputs, outputs, stride) if self.changes_shape else nn.Identity()

    def conv(self, i: int, x: Tensor) -> Tensor:
        """The i-th convolution of the branch, counted from 1."""
        return getattr(self, f"conv{i}")(x)

    def norm(self, i: int, x: Tensor) -> Tensor:
        """The i-th norm of the branch, counted from 1."""
        return getattr(self, f"norm{i}")(x)

    def add(self, x: Tensor, branch: Tensor) -> Tensor:
        """x + g(x), with the shortcut on x; a plain network has g(x) alone."""
        return branch if self.shortcut is None else self.shortcut(x) + branch


class PostActivationBlock(Block):
    """Orders (a) original, (b) norm after the addition, (c) ReLU before the addition."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        out, last = x, self.convolutions
        for i in range(1, last):
            out = functional.relu(self.norm(i, self.conv(i, out)), inplace=True)
        out = self.conv(last, out)
        if self.order == "b":
            return functional.relu(self.norm(last, self.add(x, out)), inplace=True)
        out = self.norm(last, out)
        if self.order == "c":
            return self.add(x, functional.relu(out, inplace=True))
        return functional.relu(self.add(x, out))


class PreActivationBlock(Block):
    """Orders (d) ReLU-only and (e) full pre-activation: the sum is passed on as it is.

    The first block of the network activates before its paths split (He 2016, appendix), and so
    does every block that changes the shape: there the shortcut begins from the activated input.
    """

    def __init__(self, spec: ResNetSpec, inputs: int, width: int, stride: int, *, first: bool):
        super().__init__(spec, inputs, width, stride)
        self.activates_both = first or self.changes_shape

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
            out = functional.relu(out, inplace=True)
            out = self._after(i, self.conv(i, out))
        return self.add(x, out)

    def _after(self, i: int, x: Tensor) -> Tensor:
        return self.norm(i, x) if self.order == "d" else x


def make_block(spec: ResNetSpec, inputs: int, width: int, stride: int, *, first: bool) -> Block:
    """A block of the spec's order; `first` says that it is the first one after the stem."""
    if spec.preactivation:
        return PreActivationBlock(spec, inputs, width, stride, first=first)
    return PostActivationBlock(spec, inputs, width, stride)


def _convolutions(spec: ResNetSpec, inputs: int, width: int, stride: int):
    """(inputs, outputs, kernel, stride) of every convolution of a branch, in order."""
    if spec.block == "basic":
        return [(inputs, width, 3, stride), (width, width, 3, 1)]
    first, second = (stride, 1) if spec.stride_on == "1x1" else (1, stride)
    return [
        (inputs, width, 1, first),
        (width, width, 3, second),
        (width, width * spec.expansion, 1, 1),
    ]
