"""Whether a batch fits memory, told before step 0: a CPU's system ends who takes too much."""

import torch
from torch import Tensor

from resnetkit.errors import UserError
from resnetkit.machine import available_memory
from resnetkit.nets.resnet import ResNet
from resnetkit.ranks import Ranks
from resnetkit.training.recipe import Recipe

COPIES = 4
"""Of the weights: themselves, gradients, what the optimiser keeps, and a moving average."""

SPARE = 2.0
"""What is kept for the backward pass, and the layers' own work: up to as much again, measured."""

_TRIED = (2, 4)  # images; their difference is what one takes
_MOST_SIDE = 64  # pixels of the images tried; what larger ones take grows with their area


def check_room(
    net: ResNet, recipe: Recipe, images: int, device: torch.device, ranks: Ranks
) -> None:
    """Raise UserError, naming what fits, where a batch needs more memory than is free.

    Args:
        net: the network on the CPU; it stays as it is.
        recipe: resolved.
        images: that there are to train on; a batch has no more.
        device: where it will be trained.
        ranks: who share the batch, and on a CPU the memory.
    """
    if recipe.freeze != "none" and recipe.unfreeze_at is None:
        return  # what is frozen leaves nothing behind
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
    if free is None or device.type == "mps":
        return
    fixed = COPIES * sum(p.numel() * p.element_size() for p in net.parameters())
    each = SPARE * image_bytes(net, recipe)
    share = free if device.type == "cuda" else free // ranks.local_count
    pieces = recipe.optimiser.accumulate * ranks.count
    batch, fits = min(recipe.batch_size, images), int((share - fixed) // each)
    if batch <= pieces * fits:
        return
    if fits < _TRIED[0]:
        raise UserError(
            f"{recipe.model} at {recipe.data.image_size} pixels does not fit memory: a batch of "
            f"{_TRIED[0]} needs about {_giga(fixed + _TRIED[0] * each)}, {_giga(share)} are free"
        )
    most, needed = pieces * fits, fixed + batch / pieces * each
    raise UserError(
        f"a batch of {batch:,} images does not fit memory: it needs about "
        f"{_giga(needed)} and {_giga(share)} are free; --batch-size {2 ** (most.bit_length() - 1)} "
        f"fits, or --accumulate {-(-batch // (fits * ranks.count))}"
    )


def image_bytes(net: ResNet, recipe: Recipe) -> int:
    """Bytes that an image leaves behind for the backward pass, counted in two small batches."""
    whole = recipe.data.image_size or 1
    side = min(whole, _MOST_SIDE)
    small, large = (_kept_bytes(net, recipe, count, side) for count in _TRIED)
    return max(1, (large - small) // (_TRIED[1] - _TRIED[0]) * whole**2 // side**2)


def _kept_bytes(net: ResNet, recipe: Recipe, count: int, side: int) -> int:
    kept = {}
    images = torch.zeros(count, net.spec.channels, side, side)

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held: no address is given anew
        return tensor

    bf16 = recipe.precision == "bf16"
    statistics = [(buffer, buffer.clone()) for buffer in net.buffers()]
    with (
        torch.random.fork_rng(devices=[]),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        net.train()(images.contiguous(memory_format=torch.channels_last))
    for buffer, value in statistics:
        buffer.copy_(value)
    return sum(size for size, _ in kept.values())


def _giga(size: float) -> str:
    return f"{max(0.0, size) / 2**30:.1f} GiB"
