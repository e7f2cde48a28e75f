"""A network for inference alone: norms folded into convolutions, ReLU and sums into those."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_weights

from resnetkit.nets.blocks import Block
from resnetkit.nets.layers import Projection
from resnetkit.nets.network import Network
from resnetkit.nets.resnet import ResNet, Stem

_ONEDNN: Any = torch.ops.mkldnn
"""torch's own fused convolutions on the CPU, those that its compiler calls."""


MOST_SHAPES = 2
"""Of inputs whose packed weights are kept: whole batches, and the last one."""


class FoldedResNet:
    """The features and logits of a ResNet in evaluation mode, computed with fewer passes.

    A batch norm after a convolution is one more linear map of its channels: both are one
    convolution with a bias. On the CPU its ReLU and the addition of the shortcut are done while
    its output is still in the cache, and its weights lie as the hardware wants them. What is
    computed is the same but for rounding.

    Args:
        net: the network; its weights are copied, so that later changes are not seen.
        dtype: of weights and activations, float32 or bfloat16; features and logits are float32.

    Raises:
        ValueError: it cannot be folded, see `can_fold`.
    """

    def __init__(self, net: Network, dtype: torch.dtype):
        if not can_fold(net):
            raise ValueError("only convolutions, finite weights and batch norm can be folded")
        assert isinstance(net, ResNet)
        self.dtype, self.preactivation = dtype, net.spec.preactivation
        with torch.no_grad():
            self._stem = _FoldedStem(net.stem, dtype)
            blocks = [m for stage in net.stages for m in stage.children() if isinstance(m, Block)]
            self._blocks = [_FoldedBlock(block, dtype) for block in blocks]
            self._norm = _part(net.norm, torch.float32)  # bf16 would round means and deviations
            self._head = _part(net.head, torch.float32)

    @torch.inference_mode()
    def features(self, x: Tensor) -> Tensor:
        """Float (N, channels, H, W) -> float32 (N, features)."""
        x = self._stem(x.to(self.dtype, memory_format=torch.channels_last))
        for block in self._blocks:
            x = block(x)
        x = self._norm(x)
        if self.preactivation:
            x = functional.relu(x)
        return x.mean(dim=(2, 3), dtype=torch.float32)

    @torch.inference_mode()
    def head(self, features: Tensor) -> Tensor:
        """(N, features) -> float32 logits (N, classes)."""
        return self._head(features)

    def __call__(self, x: Tensor) -> Tensor:
        """Float (N, channels, H, W) -> float32 logits (N, classes)."""
        return self.head(self.features(x))


def can_fold(net: Network) -> bool:
    """Whether it has convolutions, norms that are linear once trained, and finite numbers alone.

    A fused ReLU makes 0 of what is no number: a broken network would be judged as a healthy one.
    """
    return (
        isinstance(net, ResNet)
        and net.spec.norm == "batch"
        and all(bool(tensor.isfinite().all()) for tensor in net.state_dict().values())
    )


class _FoldedStem:
    def __init__(self, stem: Stem, dtype: torch.dtype):
        names = [*map(str, range(1, stem.before + 1)), ""]
        self.convolutions = [
            _Convolution(stem.get_submodule(f"conv{n}"), stem.get_submodule(f"norm{n}"), dtype)
            for n in names
        ]
        self.activates, self.pool, self.antialias = stem.activates, stem.pool, stem.antialias

    def __call__(self, x: Tensor) -> Tensor:
        for convolution in self.convolutions[:-1]:
            x = convolution(x, relu=True)
        x = self.convolutions[-1](x, relu=self.activates)
        return self.antialias(self.pool(x))


class _FoldedBlock:
    """What `Block` says, its norms in the convolutions before them where there are such."""

    def __init__(self, block: Block, dtype: torch.dtype):
        self.order, self.last = block.order, block.convolutions
        self.antialias, self.antialias_after = block.antialias, block.antialias_after
        self.attends = not isinstance(block.attention, nn.Identity)
        self.attention = _part(block.attention, dtype)
        self.activates_both = getattr(block, "activates_both", False)
        self.first_norm = (
            _part(block.get_submodule("norm1"), torch.float32) if self.order == "e" else None
        )
        self.last_norm = None
        if self.order == "b":
            self.last_norm = _part(block.get_submodule(f"norm{self.last}"), torch.float32)
        self.convolutions = [
            _Convolution(block.get_submodule(f"conv{i}"), self._norm_after(block, i), dtype)
            for i in range(1, self.last + 1)
        ]
        self.shortcut = block.shortcut
        if isinstance(block.shortcut, Projection):
            self.shortcut = _FoldedProjection(block.shortcut, dtype)

    def _norm_after(self, block: Block, i: int) -> nn.Module:
        """The norm that follows the i-th convolution immediately."""
        place = i + 1 if self.order == "e" else i
        none = place > self.last or (self.order == "b" and i == self.last)
        return nn.Identity() if none else block.get_submodule(f"norm{place}")

    def __call__(self, x: Tensor) -> Tensor:
        out = x
        if self.order in ("d", "e"):
            out = functional.relu(self.first_norm(x) if self.first_norm else x)
            x = out if self.activates_both else x
        for i, convolution in enumerate(self.convolutions[:-1], 1):
            out = convolution(out, relu=True)
            out = self.antialias(out) if i == self.antialias_after else out
        return self._end(x, out)

    def _end(self, x: Tensor, out: Tensor) -> Tensor:
        """The last convolution, the shortcut, and what follows."""
        convolution, ends = self.convolutions[-1], self.order in ("a", "b", "c")
        if self.shortcut is not None and self.order != "c" and not self.attends:
            relu = ends and self.last_norm is None
            out = convolution.add(out, self.shortcut(x), relu=relu)
        else:
            out = self.attention(convolution(out, relu=self.order == "c"))
            out = out if self.shortcut is None else out + self.shortcut(x)
            if self.order == "a":
                out = functional.relu(out)
        return functional.relu(self.last_norm(out)) if self.last_norm else out


class _FoldedProjection:
    def __init__(self, projection: Projection, dtype: torch.dtype):
        self.pool = projection.pool
        self.convolution = _Convolution(projection.conv, projection.norm, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return self.convolution(self.pool(x), relu=False)


class _Convolution:
    """A convolution with the norm after it."""

    def __init__(self, conv: nn.Module, norm: nn.Module, dtype: torch.dtype):
        assert isinstance(conv, nn.Conv2d)
        weight, bias = conv.weight, conv.bias
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            weight, bias = fuse_conv_bn_weights(
                weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.weight = weight.detach().to(dtype, memory_format=torch.channels_last, copy=True)
        assert not isinstance(conv.padding, str)
        self.how = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self.fused = weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
        self._packed: dict[torch.Size, Tensor] = {}

    def _packed_for(self, shape: torch.Size) -> Tensor:
        """The weights as the hardware wants them for a shape: otherwise each call packs them."""
        if shape not in self._packed:
            if len(self._packed) == MOST_SHAPES:
                del self._packed[next(iter(self._packed))]
            pack = _ONEDNN._reorder_convolution_weight
            self._packed[shape] = pack(self.weight, *self.how, list(shape))
        return self._packed[shape]

    def __call__(self, x: Tensor, *, relu: bool) -> Tensor:
        """With ReLU or without."""
        if self.fused:
            after = "relu" if relu else "none"
            weight = self._packed_for(x.shape)
            return _ONEDNN._convolution_pointwise(x, weight, self.bias, *self.how, after, [], None)
        out = self._plain(x)
        return out.relu_() if relu else out

    def add(self, x: Tensor, shortcut: Tensor, *, relu: bool) -> Tensor:
        """The sum with a shortcut, whose memory it may take."""
        if self.fused:
            shortcut = shortcut.contiguous(memory_format=torch.channels_last)
            return _ONEDNN._convolution_pointwise_(
                shortcut, x, self._packed_for(x.shape), self.bias, *self.how, "add", 1.0,
                "relu" if relu else None, [], None,
            )  # fmt: skip
        out = self._plain(x).add_(shortcut)
        return out.relu_() if relu else out

    def _plain(self, x: Tensor) -> Tensor:
        padding, stride, dilation, groups = self.how
        return torch.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)


def _part(module: nn.Module, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """A copy of a module in a dtype, in evaluation mode."""
    return copy.deepcopy(module).to(dtype).eval()
