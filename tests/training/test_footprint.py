"""What a batch leaves behind is measured, and what is computed anew keeps within a budget."""

import pytest
import torch

import resnetkit as rk
from resnetkit.nets.nested import Nested
from resnetkit.training.footprint import Footprint, footprint, together
from resnetkit.training.recipe import DataRecipe, Recipe

EVEN = Footprint(inputs=(1.0,) * 100, inside=(4.0,) * 100, ends=5.0)


def recipe(size=32, precision="fp32") -> Recipe:
    return Recipe(precision=precision, data=DataRecipe(image_size=size))


def kept(net, segments, images=8, size=32) -> int:
    """Bytes that autograd keeps, weights left out."""
    net.segments, sizes = segments, {}
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}

    def pack(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(torch.randn(images, 3, size, size)).sum()
    return sum(size for address, (size, _) in sizes.items() if address not in own)


def test_what_an_image_leaves_behind_grows_with_its_area():
    net = rk.create("resnet20", classes=10)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    small, large = (footprint(net, recipe(size)).peak() for size in (32, 64))
    assert 3.5 < large / small < 4.5
    assert footprint(net, recipe(precision="bf16")).peak() < 0.7 * small
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())


@pytest.mark.parametrize("model", ["resnet20", "preresnet110", "resnet50"])
def test_it_is_what_autograd_keeps(model):
    net = rk.create(model, classes=10)
    assert kept(net, ()) == pytest.approx(8 * footprint(net, recipe()).peak(), rel=0.05)


def test_segments_keep_the_square_root():
    """100 blocks of 4 bytes, 1 coming in: 10 segments keep 10 + 40 bytes."""
    assert EVEN.peak() == 405
    assert EVEN.peak((10,) * 10) == 5 + 10 + 40
    assert EVEN.peak((10,) * 5) == 5 + 5 + 200
    assert EVEN.peak(EVEN.segmented(100)) <= 5 + 10 + 40
    four = Footprint((1.0,) * 400, (4.0,) * 400, 5.0)
    assert four.peak(four.segmented(400)) < 2.1 * EVEN.peak(EVEN.segmented(100))


@pytest.mark.parametrize("most", [390.0, 300.0, 200.0, 100.0, 60.0])
def test_as_few_blocks_as_the_budget_asks_for(most):
    segments = EVEN.segments_within(most)
    assert EVEN.peak(segments) <= most
    assert EVEN.peak(EVEN.segmented(sum(segments) - 1)) > most


def test_plenty_and_too_little():
    assert EVEN.segments_within(405.0) == ()
    assert EVEN.segments_within(1.0) == EVEN.segmented(100)
    assert sum(EVEN.segmented(100)) == 100


def test_early_blocks_with_large_maps_lie_in_shorter_segments():
    uneven = Footprint((4.0,) * 20 + (1.0,) * 20, (16.0,) * 20 + (4.0,) * 20, 0.0)
    segments = uneven.segmented(40)
    assert segments[0] < segments[-1]
    assert uneven.peak(segments) < uneven.peak() / 4


def test_what_networks_inside_share_counts_once():
    nested = Nested(rk.create("resnet20", classes=10), [8, 14]).train()
    own = {p.untyped_storage().data_ptr() for p in nested.parameters()}
    sizes: dict[int, int] = {}
    alive = []

    def pack(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        sum(logits.sum() for logits in nested(torch.randn(8, 3, 32, 32), 8, 14))
    kept = sum(size for address, size in sizes.items() if address not in own)
    told = 8 * sum(one.peak() for one in together(nested, recipe()))
    assert kept == pytest.approx(told, rel=0.05)
