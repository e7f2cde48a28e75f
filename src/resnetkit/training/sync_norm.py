"""Batch normalisation over the images of all ranks, on any device.

torch's own SyncBatchNorm takes no CPU tensors; here each rank's sums are added over the ranks. They
are float64 sums of float32 terms: any number of ranks gets the same statistics, to the last bit but
one, and so the same signs before every ReLU. A single flipped sign changes gradients by 1e-3.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _OverRanks(nn.modules.batchnorm._BatchNorm):
    """Batch norm whose statistics in training are those of all ranks' images together.

    Counts differ from rank to rank and may be 0. Gradients flow through the statistics to every
    rank's images, as they would in one process (Ioffe & Szegedy 2015, section 3).
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape and type; N may be 0."""
        if not self.training:
            return super().forward(input)
        out, mean, unbiased = _Normalise.apply(input, self.weight, self.bias, self.eps)
        with torch.no_grad():
            self.num_batches_tracked += 1  # ty: ignore[unsupported-operator]
            self.running_mean.lerp_(mean, self.momentum)  # ty: ignore
            self.running_var.lerp_(unbiased, self.momentum)  # ty: ignore
        return out


class SyncBatchNorm1d(_OverRanks, nn.BatchNorm1d):
    """Of (N, C)."""


class SyncBatchNorm2d(_OverRanks, nn.BatchNorm2d):
    """Of (N, C, H, W)."""


_SYNCHRONISED = {nn.BatchNorm1d: SyncBatchNorm1d, nn.BatchNorm2d: SyncBatchNorm2d}


class _Normalise(torch.autograd.Function):
    """(x - mean) / deviation * weight + bias, mean and deviation over all ranks."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        """x, weight, bias, eps -> the normalised x, the mean, the unbiased variance."""
        given, weight, bias, eps = inputs
        x = given.float()
        count = x.new_full((1,), x.numel() // x.shape[1], dtype=torch.float64)
        total, squares, count = _over_ranks(_sum(x), _sum(x * x), count)
        mean = total / count
        variance = squares / count - mean * mean
        unbiased = (variance * (count / (count - 1))).float()
        mean, inverse = mean.float(), torch.rsqrt(variance + eps).float()
        x = (x - _wide(mean, x)) * _wide(inverse, x)
        ctx.save_for_backward(x, weight, inverse, count)
        out = (x * _wide(weight, x) + _wide(bias, x)).to(given.dtype)
        ctx.mark_non_differentiable(mean, unbiased)
        return out, mean, unbiased

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        """The gradients of x and of this rank's part of weight and bias."""
        x, weight, inverse, count = ctx.saved_tensors
        gradient = gradients[0].float()
        bias_gradient, weight_gradient = _sum(gradient), _sum(gradient * x)
        plain, along, _ = _over_ranks(bias_gradient, weight_gradient, count * 0)
        plain, along = (plain / count).float(), (along / count).float()
        centred = gradient - _wide(plain, x) - x * _wide(along, x)
        x_gradient = centred * _wide(weight * inverse, x)
        return (
            x_gradient.to(gradients[0].dtype),
            weight_gradient.float(),
            bias_gradient.float(),
            None,
        )


def _sum(x: Tensor) -> Tensor:
    """(N, C, ...) float32 -> (C,) float64."""
    return x.sum([0, *range(2, x.ndim)], dtype=torch.float64)


def _wide(values: Tensor, like: Tensor) -> Tensor:
    """A value a channel, shaped for (N, C, ...)."""
    return values.view(1, -1, *(1,) * (like.ndim - 2))


def _over_ranks(*parts: Tensor) -> tuple[Tensor, ...]:
    """The sums of vectors over all ranks, told in one message."""
    values = torch.cat(parts)
    if distributed.is_initialized():
        distributed.all_reduce(values)
    return values.split([len(part) for part in parts])


def synchronised(net: nn.Module) -> None:
    """Make every batch norm of a network one over all ranks; its tensors stay the same."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            kind = _SYNCHRONISED.get(type(child))
            if kind and isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                wide = kind(child.num_features, child.eps, child.momentum)
                wide._parameters, wide._buffers = child._parameters, child._buffers
                setattr(parent, name, wide)
