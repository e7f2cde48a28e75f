"""Convolutions of blocks, those on tiny maps computed as matrix products where that is quicker."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

MOST_PIXELS, LEAST_WIDTH = 16, 512
"""3x3: maps up to so many pixels, and from so many channels on, are quicker as products."""

MOST_PIXELS_1X1 = 49
"""1x1: the same, whatever the channels. Both were measured: docs/speed.md."""


class Convolution3x3(nn.Conv2d):
    """A 3x3 convolution with a padding of 1 and no bias.

    On a map of 3 x 3 pixels a kernel that moves over the image has little to move over: where the
    CPU trains in bf16, the last stage of a resnet18 on 96 pixels takes 1.6 times as long as the
    same three products of matrices. Elsewhere it is torch's own.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int):
        super().__init__(inputs, outputs, 3, stride, 1, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        if self.out_channels >= LEAST_WIDTH and _as_product(self, input, MOST_PIXELS):
            stride, weight = self.stride[0], self.weight.to(torch.bfloat16)
            rows = _Product.apply(input.to(torch.bfloat16), weight, stride)
            height, width = (-(-side // stride) for side in input.shape[2:])
            return rows.view(len(input), height, width, -1).permute(0, 3, 1, 2)
        return super().forward(input)


class Convolution1x1(nn.Conv2d):
    """A 1x1 convolution without a bias: at every place a matrix times its channels.

    Where the CPU trains in bf16, torch's own takes 1.0 to 2.2 times as long on tiny maps.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int = 1):
        super().__init__(inputs, outputs, 1, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        if _as_product(self, input, MOST_PIXELS_1X1):
            places = input[:, :, :: self.stride[0], :: self.stride[1]].permute(0, 2, 3, 1)
            return functional.linear(places, self.weight.flatten(1)).permute(0, 3, 1, 2)
        return super().forward(input)


def make_convolution(inputs: int, outputs: int, side: int, stride: int, groups: int) -> nn.Conv2d:
    """A convolution of a block, 1x1 or 3x3; the padding keeps the size at stride 1."""
    kind = Convolution3x3 if side == 3 else Convolution1x1
    return kind(inputs, outputs, stride, groups)


def _as_product(conv: nn.Conv2d, x: Tensor, most_pixels: int) -> bool:
    """Whether the CPU trains in bf16, and the map that comes out is that small."""
    if x.ndim != 4 or not len(x):
        return False
    height, width = (-(-side // conv.stride[0]) for side in x.shape[2:])
    return (
        height * width <= most_pixels
        and conv.groups == 1
        and x.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and not torch.compiler.is_compiling()
    )


class _Product(torch.autograd.Function):
    """What lies under the kernel at every place, as rows, times the weights: (N * places, outputs).

    Rows, not a map: a block adds its shortcut to a map in place, and torch refuses that for a view
    that was made in here.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return _patches(x, stride) @ _matrix(weight).T

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, weight = ctx.saved_tensors
        (rows,) = gradients
        products = rows.T @ _patches(x, ctx.stride)
        to_weight = products.view(len(weight), 3, 3, -1).permute(0, 3, 1, 2)
        if not ctx.needs_input_grad[0]:
            return None, to_weight, None
        height, width = (-(-side // ctx.stride) for side in x.shape[2:])
        patches = (rows @ _matrix(weight)).view(len(x), height, width, 3, 3, -1)
        return _laid_back(patches, x, ctx.stride), to_weight, None


def _matrix(weight: Tensor) -> Tensor:
    """(outputs, inputs, 3, 3) -> (outputs, 9 * inputs), as its memory lies when channels-last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def _patches(x: Tensor, stride: int) -> Tensor:
    """(N, C, H, W) -> (N * places, 9 * C): the pixels under the kernel at each place."""
    count, channels, height, width = x.shape
    padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    image, row, pixel, one = padded.stride()
    down, right = (-(-side // stride) for side in (height, width))
    windows = padded.as_strided(
        (count, down, right, 3, 3, channels),
        (image, row * stride, pixel * stride, row, pixel, one),
    )
    return windows.reshape(count * down * right, 9 * channels)


def _laid_back(patches: Tensor, x: Tensor, stride: int) -> Tensor:
    """The opposite of `_patches` for (N, H', W', 3, 3, C): where they overlap they are summed."""
    count, channels, height, width = x.shape
    padded = torch.zeros(count, height + 2, width + 2, channels)
    down, right = patches.shape[1:3]
    for i in range(3):
        for j in range(3):
            rows = slice(i, i + stride * (down - 1) + 1, stride)
            columns = slice(j, j + stride * (right - 1) + 1, stride)
            padded[:, rows, columns] += patches[:, :, :, i, j]
    return padded[:, 1:-1, 1:-1].to(x.dtype).permute(0, 3, 1, 2)
