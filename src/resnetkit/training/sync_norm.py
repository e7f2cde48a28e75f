"""Batch normalisation over the images of all ranks, on any device.

torch's own SyncBatchNorm takes no CPU tensors; here each rank's moments are summed over the ranks.
"""

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SyncBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose statistics in training are those of all ranks' images together.

    Counts differ from rank to rank and may be 0. Gradients flow through the statistics to every
    rank's images, as they would in one process (Ioffe & Szegedy 2015, section 3).
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape and type; N may be 0."""
        if not self.training:
            return super().forward(input)
        x = input
        mean, variance, count = _moments(x)
        with torch.no_grad():
            self.num_batches_tracked += 1  # ty: ignore[unsupported-operator]
            unbiased = variance * (count / (count - 1))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)  # ty: ignore
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)  # ty: ignore
        scale = self.weight * torch.rsqrt(variance + self.eps).to(self.weight.dtype)
        shift = self.bias - mean.to(self.bias.dtype) * scale
        return (x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)).to(x.dtype)


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance a channel over all ranks, float64, and the number of values."""
    own = x.numel() // x.shape[1]
    count = x.new_full((1,), own, dtype=torch.float64)
    if own:
        variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
        mean, variance = mean.double(), variance.double()
    else:  # the sums of nothing, through which gradients of nothing still flow
        mean = variance = x.double().sum(dim=(0, 2, 3))
    sums = torch.cat([mean * own, (variance + mean * mean) * own, count])
    sums = all_reduce(sums)
    total, squares, everywhere = sums.split([x.shape[1], x.shape[1], 1])
    mean = total / everywhere
    return mean, squares / everywhere - mean * mean, everywhere


def synchronised(net: nn.Module) -> nn.Module:
    """The network with every BatchNorm2d made one over all ranks; parameters stay the same."""
    if next(net.parameters()).device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(net)
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                wide = SyncBatchNorm2d(child.num_features, child.eps, child.momentum)
                wide._parameters, wide._buffers = child._parameters, child._buffers
                setattr(parent, name, wide)
    return net
