"""The networks inside a deep one: which there are, what they compute, and what they share."""

from dataclasses import replace

import pytest
import torch
from tests.nets.test_depth import lived_in

import resnetkit as rk
from resnetkit.nets.nested import Nested, inner_layers, inner_spec
from resnetkit.nets.zoo import ZOO


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet56", (8, 14, 20, 32)),
        ("resnet20", (8, 14)),
        ("resnet50", (14, 17, 29)),
        ("resnet8", ()),
    ],
)
def test_half_of_the_blocks_a_quarter_and_so_on(name, layers):
    assert inner_layers(ZOO[name]) == layers


@pytest.mark.parametrize("name", ["resnet56", "resnet50", "resnet34", "preresnet164"])
def test_each_contains_every_shallower_one(name):
    spec = ZOO[name]
    a_block = {"basic": 2, "bottleneck": 3}[spec.block]
    before = (0,) * len(spec.depths)
    for layers in range(2 + a_block * len(spec.depths), spec.layers + 1, a_block):
        inner = inner_spec(spec, layers)
        assert inner.layers == layers
        assert all(1 <= d <= whole for d, whole in zip(inner.depths, spec.depths, strict=True))
        assert all(a <= b for a, b in zip(before, inner.depths, strict=True))
        before = inner.depths
    assert before == spec.depths
    with pytest.raises(rk.UserError, match=f"holds none of {spec.layers + a_block}: it has every"):
        inner_spec(spec, spec.layers + a_block)
    with pytest.raises(rk.UserError, match="holds none of"):
        inner_spec(spec, spec.layers - 1)


def test_named_networks_are_those_of_the_zoo():
    for layers in (8, 14, 20, 32, 44, 110):
        assert inner_spec(ZOO["resnet110"], layers) == ZOO[f"resnet{layers}"]


@pytest.mark.parametrize(
    "name", ["resnet56", "resnet34", "seresnet50", "preresnet110", "resnet50d"]
)
def test_one_inside_is_an_ordinary_network_of_the_same_numbers(name):
    whole = lived_in(name).eval()
    layers = inner_layers(whole.spec)[0]
    inner = Nested(whole, [layers]).all[1]
    alone = rk.create(inner_spec(whole.spec, layers)).eval()
    alone.load_state_dict({key: whole.state_dict()[key] for key in alone.state_dict()})
    x = torch.randn(2, whole.spec.channels, 32, 32)
    with torch.no_grad():
        assert torch.equal(inner(x), alone(x))


def test_parameters_are_shared_and_statistics_are_not():
    whole = lived_in("resnet20")
    kept = {name: buffer.clone() for name, buffer in whole.named_buffers()}
    nested = Nested(whole, [8, 14])
    assert len(list(nested.parameters())) == len(list(whole.parameters()))
    inner = nested.all[1].train()
    before = {name: buffer.clone() for name, buffer in inner.named_buffers()}
    loss = inner(torch.randn(8, 3, 32, 32)).square().sum()
    loss.backward()
    grown = {name for name, p in whole.named_parameters() if p.grad is not None}
    assert grown == {name for name, _ in inner.named_parameters()}
    assert all(torch.equal(buffer, kept[name]) for name, buffer in whole.named_buffers())
    assert not any(torch.equal(buffer, before[name]) for name, buffer in inner.named_buffers())
    other = nested.all[2]
    assert all(torch.equal(buffer, kept[name]) for name, buffer in other.named_buffers())


def test_statistics_come_back():
    one, two = (Nested(rk.create("resnet20"), [8, 14]) for _ in range(2))
    one.train()
    one(torch.randn(4, 3, 32, 32), 8, 14)
    two.load_statistics(one.statistics())
    assert set(one.statistics()) == set(two.statistics())
    assert {name.split("/")[0] for name in one.statistics()} == {"8", "14"}
    assert all(torch.equal(b, two.statistics()[name]) for name, b in one.statistics().items())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shortcut": "none"}, "a plain network has no shortcut"),
        ({"shortcut": "C"}, "projects in every block"),
        ({"order": "b"}, "order .b."),
        ({"order": "c"}, "order .c."),
    ],
)
def test_a_network_whose_blocks_cannot_be_left_out_is_refused(change, reason):
    with pytest.raises(rk.UserError, match=reason):
        inner_spec(replace(ZOO["resnet20"], **change), 8)
