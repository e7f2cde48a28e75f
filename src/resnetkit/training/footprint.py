"""What a batch leaves behind for the backward pass, and what to compute anew to leave less."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from resnetkit.nets.nested import Nested
from resnetkit.nets.network import Network
from resnetkit.nets.spec import only_size
from resnetkit.training.recipe import Recipe

_TRIED = (2, 4)  # images; their difference is what one takes
_MOST_SIDE = 64  # pixels of the images tried; what larger ones take grows with their area


@dataclass(frozen=True)
class Footprint:
    """Bytes that one image leaves behind, part by part.

    Attributes:
        inputs: what comes into every block.
        inside: what every block keeps besides.
        ends: what stem and head keep.
    """

    inputs: tuple[float, ...]
    inside: tuple[float, ...]
    ends: float

    def peak(self, segments: tuple[int, ...] = ()) -> float:
        """The most bytes kept at a time when the blocks of these segments are computed anew."""
        bounds = [0, *accumulate(segments)]
        sums = [0.0, *accumulate(self.inside)]
        waiting, most = 0.0, 0.0
        for first, last in pairwise(bounds):
            waiting += self.inputs[first]
            most = max(most, waiting + sums[last] - sums[first])
        return self.ends + max(most, waiting + sums[-1] - sums[bounds[-1]])

    def segments_within(self, most: float) -> tuple[int, ...]:
        """The fewest blocks to compute anew, the first ones, so that no more is kept at a time.

        Where nothing suffices: what keeps the least.
        """
        if self.peak() <= most:
            return ()
        every = len(self.inside)
        counts = range(1, every)  # of blocks; each more keeps less
        few = bisect_left(counts, True, key=lambda n: self.peak(self.segmented(n)) <= most)
        return self.segmented(counts[few] if few < len(counts) else every)

    def segmented(self, blocks: int) -> tuple[int, ...]:
        """The first blocks in segments of about as many bytes each, as many as keep the least.

        With the square root of their number it is the square root of the memory (Chen 2016, arXiv
        1604.06174, section 3.2).
        """
        most = min(blocks, 2 * math.isqrt(blocks) + 2)
        return min((self._even(blocks, count) for count in range(1, most + 1)), key=self.peak)

    def _even(self, blocks: int, count: int) -> tuple[int, ...]:
        sums = list(accumulate(self.inside[:blocks]))
        cuts = [bisect_left(sums, sums[-1] * i / count) + 1 for i in range(1, count)]
        bounds = sorted({0, *cuts, blocks})
        return tuple(b - a for a, b in pairwise(bounds))


def together(nested: Nested, recipe: Recipe) -> list[Footprint]:
    """What a step keeps at most: of the whole network, the smallest inside it and the deepest."""
    most = [nested.all[number] for number in (1, -1)[: len(nested.all) - 1]]
    inner = [footprint(net, recipe, shared=shared_blocks(net)) for net in most]
    return [footprint(nested.net, recipe), *inner]


def shared_blocks(inner: Network) -> int:
    """Blocks of a network inside another that are the other's, and are computed with it."""
    return inner.spec.depths[0]


def footprint(net: Network, recipe: Recipe, *, shared: int = 0) -> Footprint:
    """Measure what an image leaves behind, in two small batches.

    Args:
        net: in any layout, on any device; it stays as it is.
        recipe: resolved: its precision and the size of its images.
        shared: so many blocks, and the stem, are left out.
    """
    whole = recipe.data.image_size or 1
    side = only_size(net.spec) or min(whole, _MOST_SIDE)
    small, large = (_kept_bytes(net, recipe, count, side) for count in _TRIED)
    larger = whole**2 / side**2 / (_TRIED[1] - _TRIED[0])
    kept, inputs = (
        [max(0, b - a) * larger for a, b in zip(*pair, strict=True)]
        for pair in zip(small, large, strict=True)
    )
    stem = 0 if shared else kept[0]
    return Footprint(tuple(inputs[shared:]), tuple(kept[1 + shared : -1]), stem + kept[-1])


def _kept_bytes(net: Network, recipe: Recipe, count: int, side: int) -> tuple[list[int], list[int]]:
    """Bytes that stem, blocks and head keep of some images; bytes that come into the blocks.

    What two parts keep counts for the first of them.
    """
    device = net.head.weight.device
    x = torch.zeros(count, net.spec.channels, side, side, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    seen: dict[int, Tensor] = {}  # held: no address is given anew
    kept, inputs = [], []

    def keep(tensor: Tensor) -> Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in seen:
            kept[-1] += tensor.untyped_storage().nbytes()
            seen[address] = tensor
        return tensor

    was_training, statistics = net.training, [(b, b.clone()) for b in net.buffers()]
    with (
        torch.random.fork_rng(devices=[]),
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"),
    ):
        net.train()
        for part in (net.stem, *net.blocks, lambda x: net.head(net.pooled(x))):
            kept.append(0)
            inputs.append(x.untyped_storage().nbytes())
            x = part(x)
    net.train(was_training)
    for buffer, value in statistics:
        buffer.copy_(value)
    return kept, inputs[1:-1]
