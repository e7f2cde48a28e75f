"""Activation checkpointing: the same bits with less kept."""

import copy
from dataclasses import replace

import pytest
import torch
from tests.nets.test_zoo import SHORT

import resnetkit as rk
from resnetkit.nets.zoo import ZOO


@pytest.mark.parametrize("segments", [(1, 2), (3,)])
@pytest.mark.parametrize("spec", list(SHORT), ids=list(SHORT.values()))
def test_gradients_and_statistics_are_equal_bit_for_bit(spec, segments):
    plain = rk.create(replace(spec, classes=3, drop_path=0.3))
    saving = copy.deepcopy(plain)
    saving.segments = segments
    x = torch.randn(3, 3, 32, 32)
    for net in (plain, saving):
        torch.manual_seed(4)
        for _ in range(2):
            net(x).square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), name
    for (name, one), other in zip(plain.named_buffers(), saving.buffers(), strict=True):
        assert torch.equal(one, other), name


def test_less_is_kept_for_the_backward_pass():
    x = torch.randn(4, 3, 32, 32)

    def kept(segments: tuple[int, ...]) -> int:
        net = rk.create(replace(ZOO["resnet20"], depths=(9, 9, 9)))
        net.segments = segments
        sizes = {}

        def pack(tensor):
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            net(x).sum()
        return sum(sizes.values()) - sum(p.numel() for p in net.parameters())

    plain = kept(())
    assert kept((1,) * 27) < 0.35 * plain
    assert kept((3,) * 9) < 0.15 * plain
    assert kept((3,) * 9) < kept((3,) * 5) < plain


def test_a_second_backward_pass():
    net = rk.create("resnet8")
    net.segments = (2,)
    loss = net(torch.randn(4, 3, 16, 16)).sum()
    loss.backward(retain_graph=True)
    first = net.stem.conv.weight.grad.clone()
    loss.backward()
    assert torch.equal(net.stem.conv.weight.grad, 2 * first)
    assert net.stem.norm.num_batches_tracked == 1
