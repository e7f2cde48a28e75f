"""The small parts that blocks and stems are made of: norms, shortcuts, attention, pooling."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnetkit.nets.convolution import make_convolution
from resnetkit.nets.spec import ResNetSpec


def make_norm(spec: ResNetSpec, channels: int) -> nn.Module:
    """The spec's normalisation of (N, channels, H, W)."""
    if spec.norm == "group":
        return nn.GroupNorm(spec.norm_groups, channels)
    return nn.BatchNorm2d(channels)


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

    In order (b) the norm comes after the addition, in (e) before the convolution: none here. The
    stride is the convolution's, or that of average pooling before it (He 2019, figure 2c).
    """

    def __init__(self, spec: ResNetSpec, inputs: int, outputs: int, stride: int):
        super().__init__()
        pools = spec.shortcut_pool and stride > 1
        self.pool = average_pool(2, stride) if pools else nn.Identity()
        side = spec.shortcut_kernel if stride > 1 else 1
        step = 1 if pools else stride
        self.conv = make_convolution(inputs, outputs, side, step, groups=1)
        normed = spec.order in ("a", "c", "d")
        self.norm = make_norm(spec, outputs) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        return self.norm(self.conv(self.pool(x)))


def average_pool(side: int, stride: int) -> nn.AvgPool2d:
    """(N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride)); nothing counts past the edge."""
    return nn.AvgPool2d(side, stride, ceil_mode=True, count_include_pad=False)


class Blur(nn.Module):
    """A stride after the filter [1 2 1] x [1 2 1] / 16 (Zhang 2019, section 3.2).

    The filter is the 2x2 average taken twice: no weights, and no grouped convolution. The edge is
    reflected by slices: torch's own padding has no repeatable gradient on CUDA.
    """

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride))."""
        x = torch.cat([x[:, :, :2][:, :, -1:], x, x[:, :, -2:][:, :, :1]], 2)
        x = torch.cat([x[..., :2][..., -1:], x, x[..., -2:][..., :1]], 3)
        return functional.avg_pool2d(functional.avg_pool2d(x, 2, 1), 2, self.stride)


def make_antialias(spec: ResNetSpec, stride: int) -> nn.Module:
    """What takes the stride of a convolution or of max pooling in its place."""
    return Blur(stride) if spec.antialias == "blur" else average_pool(stride, stride)


class SqueezeExcite(nn.Module):
    """Channels weighted by what is in all of them (Hu 2017, arXiv 1709.01507, section 3).

    The inner width is a multiple of 8, and at least 8.
    """

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        inner = max(8, (2 * channels // reduction + 8) // 16 * 8)
        self.fc1 = nn.Conv2d(channels, inner, 1)
        self.fc2 = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        squeezed = x.mean((2, 3), keepdim=True)
        excited = self.fc2(functional.relu(self.fc1(squeezed), inplace=True))
        return x * excited.sigmoid()


class EfficientChannelAttention(nn.Module):
    """Channels weighted by what is in their neighbours (Wang 2019, arXiv 1910.03151, section 3).

    The number of neighbours grows with the number of channels (equation 12), and is odd.
    """

    def __init__(self, channels: int):
        super().__init__()
        side = int((math.log2(channels) + 1) / 2)
        side = max(side if side % 2 else side + 1, 3)
        self.conv = nn.Conv1d(1, 1, side, padding=side // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        weights = self.conv(x.mean((2, 3))[:, None]).sigmoid()
        return x * weights.view(*x.shape[:2], 1, 1)


def make_attention(spec: ResNetSpec, channels: int) -> nn.Module:
    """The spec's channel attention for (N, channels, H, W)."""
    if spec.attention == "se":
        return SqueezeExcite(channels, spec.se_reduction)
    if spec.attention == "eca":
        return EfficientChannelAttention(channels)
    return nn.Identity()


class DropPath(nn.Module):
    """Stochastic depth (Huang 2016, section 3): in training a picture's branch is left out.

    What stays is scaled up, so that evaluation computes with nothing changed. Draws come from
    torch's default generator of the device.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> the same shape."""
        if not self.training:
            return x
        keep, ones = 1 - self.rate, (1,) * (x.ndim - 1)
        kept = torch.empty(len(x), *ones, device=x.device).bernoulli_(keep)
        return x * (kept / keep).to(x.dtype)
