"""Counts from one block for all that are equal, against the whole network."""

import pytest
import torch

import resnetkit as rk
from resnetkit.nets.zoo import ZOO


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet44",
        "resnet50",
        "preresnet110",
        "plain34",
        "resnetrs50",
        "ecaresnet26t",
        "resnetv2_50d_gn",
        "resnetblur18",
        "senet154",
    ],
)
def test_counts_equal_the_whole_network(name):
    spec, size = ZOO[name], 37
    net = rk.create(spec).eval()
    counted = 0

    def count(layer, _, out):
        nonlocal counted
        counted += out.numel() * layer.weight.numel() // layer.weight.shape[0]

    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        net(torch.randn(1, 3, size, size))
    summary = rk.summarise(spec, size, size)
    assert summary.multiply_adds == counted
    assert summary.parameters == sum(p.numel() for p in net.parameters())
    assert all(row.shape for row in summary.rows)


@pytest.mark.parametrize(
    ("name", "size", "narrowest"),
    [("resnet18", 16, 1), ("resnet18", 17, 2), ("resnet18", 64, 4), ("resnet20", 28, 14),
     ("resnet50d", 16, 1), ("resnetblur18", 16, 16)],
)  # fmt: skip
def test_the_narrowest_map_that_a_stride_reads(name, size, narrowest):
    assert rk.summarise(ZOO[name], size, size).narrowest == narrowest


def test_the_textbooks_table():
    """ResNet-18, one channel, 96 px: the shapes that the chapter prints, scaled to 96."""
    spec = rk.create("resnet18", channels=1, classes=10).spec
    shapes = [row.shape for row in rk.summarise(spec, 96, 96).rows]
    assert shapes == [(64, 24, 24), (64, 24, 24), (128, 12, 12), (256, 6, 6), (512, 3, 3), (10,)]
