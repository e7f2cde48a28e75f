"""Nested function classes: the deeper network is the same function, bit for bit, and learns."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

import resnetkit as rk
from resnetkit.machine import computes_bf16
from resnetkit.nets.network import Network, has_channels_last, with_layout
from resnetkit.nets.zoo import ZOO

PAIRS = [
    ("resnet20", "resnet110"),
    ("resnet110", "resnet1202"),
    ("resnet18", "resnet34"),
    ("resnet50", "resnet101"),
    ("resnet101", "resnet152"),
    ("preresnet164", "preresnet1001"),
    ("seresnet50", "seresnet101"),
    ("resnet50d", "resnet101d"),
    ("resnext50_32x4d", "resnext101_32x4d"),
    ("resnetv2_50", "resnetv2_101"),
    ("wrn16_8", "wrn22_8"),
]


def lived_in(name: str, **spec) -> Network:
    """A network whose norms have statistics, scales and shifts as if it had been trained."""
    torch.manual_seed(0)
    net = rk.create(replace(ZOO[name], classes=10, **spec))
    with torch.no_grad():
        for part, tensor in [*net.named_buffers(), *net.named_parameters()]:
            if "norm" in part and tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5) if "var" in part or "weight" in part else tensor.uniform_(
                    -0.5, 0.5
                )
    return net


def images(net: Network, count: int = 4, side: int = 32) -> torch.Tensor:
    return torch.randn(count, net.spec.channels, side, side)


BF16_SIDE = 32 if computes_bf16(torch.device("cpu")) else 16
"""Where the hardware has no bf16, one whole image takes minutes."""


@pytest.mark.parametrize(("dtype", "side"), [(torch.float32, 32), (torch.bfloat16, BF16_SIDE)])
@pytest.mark.parametrize(("name", "to"), PAIRS)
def test_the_deeper_network_gives_the_same_bits(name, to, dtype, side):
    net = lived_in(name).to(dtype)
    x = images(net, side=side).to(dtype)
    for mode in (False, True):
        deeper = rk.deepen(net.train(mode), to)
        assert deeper.training == mode
        assert deeper.layers == ZOO[to].layers > net.layers
        with torch.no_grad():
            mine, theirs = net(x), deeper(x)
        assert mine.isfinite().all()
        assert torch.equal(mine, theirs)
    mine = net.state_dict()  # after a batch in training mode: statistics too
    theirs = {name: tensor for name, tensor in deeper.state_dict().items() if name in mine}
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize(
    "spec",
    [
        {"order": "d"},
        {"order": "e"},
        {"block": "bottleneck", "shortcut": "B", "order": "d"},
        {"attention": "eca"},
        {"norm": "group", "norm_groups": 8},
        {"antialias": "blur"},
    ],
    ids=str,
)
def test_every_family_deepens_by_depths(spec):
    net = lived_in("resnet8", **spec).train()
    deeper = rk.deepen(net, depths=(1, 3, 2))
    x, labels = images(net), torch.arange(4)
    for each in (net, deeper):
        cross_entropy(each(x), labels).backward()
    grown = dict(deeper.named_parameters())
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter.grad, grown[name].grad), name


@pytest.mark.parametrize("name", ["resnet8", "wrn16_4", "seresnet18", "resnet14d"])
def test_new_blocks_learn_at_the_second_step(name):
    spec = {"resnet14d": replace(ZOO["resnet50d"], depths=(1, 1, 1, 1))}.get(name, ZOO.get(name))
    torch.manual_seed(0)
    net = rk.create(replace(spec, classes=10))
    deeper = rk.deepen(net, depths=tuple(d + 1 for d in spec.depths)).train()
    old = {name for name, _ in net.named_parameters()}
    optimiser = torch.optim.SGD(deeper.parameters(), 0.05)
    for _ in range(2):
        optimiser.zero_grad()
        cross_entropy(deeper(images(net, 8)), torch.arange(8)).backward()
        optimiser.step()
    for part, parameter in deeper.named_parameters():
        assert part in old or parameter.grad.abs().max() > 0, part


def test_what_a_network_is_stays():
    net = with_layout(lived_in("resnet8"), channels_last=True).double()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    deeper = rk.deepen(net, "resnet14")
    assert deeper.head.weight.dtype == torch.float64
    assert has_channels_last(deeper)
    assert deeper.spec == replace(net.spec, depths=(2, 2, 2))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert not has_channels_last(rk.deepen(lived_in("resnet8"), "resnet14"))


@pytest.mark.parametrize(
    ("name", "how", "reason"),
    [
        ("resnet34", {"to": "resnet18"}, "shallower: it has 2-2-2-2 blocks"),
        ("resnet20", {"to": "resnet20"}, "as deep as the network is"),
        ("resnet34", {"to": "resnet50"}, "block bottleneck, not basic"),
        ("resnet50", {"to": "wide_resnet101_2"}, "inner 2, not 1"),
        ("resnet50", {"to": "resnet101d"}, "stem deep, not imagenet"),
        ("resnet20", {"to": "preresnet110"}, "order e, not a"),
        ("plain20", {"to": "plain56"}, "a plain network has no shortcut"),
        ("plain20", {"to": "resnet56"}, "a plain network has no shortcut"),
        ("resnet8", {"depths": (1, 1)}, "of one length"),
        ("resnet8", {"depths": (2, 1, 0)}, "depths must be at least 1"),
        ("resnet8", {"depths": (2, 2, 1.5)}, "whole number"),
        ("resnet8", {}, "say how deep"),
        ("resnet8", {"to": "resnet14", "depths": (2, 2, 2)}, "not both"),
        ("resnet8", {"to": "resnet15"}, "did you mean"),
    ],
)
def test_what_is_refused_is_refused_with_its_reason(name, how, reason):
    with pytest.raises(ValueError, match=reason):
        rk.deepen(rk.create(name), **how)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"order": "b"}, "order \\(b\\)"),
        ({"order": "c"}, "order \\(c\\)"),
        ({"shortcut": "C"}, "shortcut C"),
    ],
)
def test_blocks_that_cannot_be_the_identity_are_not_added(spec, reason):
    net = rk.create(replace(ZOO["resnet8"], **spec))
    with pytest.raises(ValueError, match=reason):
        rk.deepen(net, depths=(2, 2, 2))
