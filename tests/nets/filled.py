"""Weights and images made from names and seeds alone, as the reference outputs were."""

import zlib

import numpy as np
import torch


def fill(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor made from its name."""
    seed = zlib.crc32(name.encode())
    u = np.random.Generator(np.random.PCG64(seed)).random(int(np.prod(shape))) * 2 - 1
    if len(shape) >= 2:
        u = u * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        u = 1 + 0.5 * u
    elif name.endswith("weight"):
        u = 0.5 + 0.2 * u
    else:
        u = 0.1 * u  # running_mean and biases
    return torch.from_numpy(u.astype(np.float32).reshape(shape))


def reference_images() -> torch.Tensor:
    """float32 (2, 3, 64, 64) in [-1, 1)."""
    images = np.random.Generator(np.random.PCG64(20151210)).random((2, 3, 64, 64)) * 2 - 1
    return torch.from_numpy(images.astype(np.float32))
