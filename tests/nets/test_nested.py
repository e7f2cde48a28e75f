"""The networks inside a deep one: which there are, what they compute, and what they share."""

import copy
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


def test_parameters_are_shared_and_statistics_are_from_the_second_stage_on_not():
    whole = lived_in("resnet20")
    nested = Nested(whole, [8, 14])
    assert len(list(nested.parameters())) == len(list(whole.parameters()))
    kept = {name: buffer.clone() for name, buffer in nested.named_buffers()}
    inner = nested.all[1].train()
    inner(torch.randn(8, 3, 32, 32)).square().sum().backward()
    grown = {name for name, p in whole.named_parameters() if p.grad is not None}
    assert grown == {name for name, _ in inner.named_parameters()}
    changed = {n for n, b in nested.named_buffers() if not torch.equal(b, kept[n])}
    shared = {n for n, _ in inner.named_buffers() if n.startswith(("stem.", "stages.0."))}
    own = {n for n, _ in inner.named_buffers()} - shared
    assert changed == {f"net.{n}" for n in shared} | {f"inner.8.{n}" for n in own}
    assert {n for n in nested.statistics() if n.startswith("8/")} == {f"8/{n}" for n in own}


def trained(nested: Nested, x: torch.Tensor, segments: dict[int, tuple[int, ...]]) -> list:
    """Logits, gradients and statistics of a step in training mode."""
    nested = copy.deepcopy(nested).train()
    for net in nested.all:
        net.segments = segments.get(net.layers, ())
    torch.manual_seed(1)
    _, *logits = nested(x, 14, 8)
    sum((some.square().sum() for some in logits), torch.zeros(())).backward()
    return [*logits, *(p.grad for p in nested.parameters()), *nested.buffers()]


@pytest.mark.parametrize("order", ["a", "e"])
def test_what_they_have_in_common_is_computed_once(order):
    """In one pass the same as one by one; the first stage's statistics count a batch once."""
    spec = replace(ZOO["resnet20"], order=order)
    torch.manual_seed(0)
    nested, x = Nested(rk.create(spec), [8, 14]), torch.randn(4, 3, 32, 32)
    found = trained(nested, x, {})
    one = copy.deepcopy(nested).train()
    alone = [one.net(x), *(net(x) for net in one.all[2:0:-1])]
    assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=False))
    sum((some.square().sum() for some in alone), torch.zeros(())).backward()
    gradients = [p.grad for p in one.parameters()]
    for a, b in zip(found[3:], gradients, strict=False):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    nested.train()(x, 14, 8)
    counts = [b for n, b in nested.named_buffers() if n.endswith("num_batches_tracked")]
    assert all(count == 1 for count in counts)


@pytest.mark.parametrize(
    "segments", [{20: (9,), 8: (3,), 14: (6,)}, {20: (1, 2, 1)}, {20: (2, 3), 14: (1, 1, 3)}]
)
def test_computed_anew_it_has_the_same_bits(segments):
    """Wherever a segment ends: within the first stage, at its end, across it."""
    torch.manual_seed(0)
    nested = Nested(rk.create(replace(ZOO["resnet20"], drop_path=0.3)), [8, 14])
    x = torch.randn(4, 3, 32, 32)
    plain, anew = trained(nested, x, {}), trained(nested, x, segments)
    assert all(torch.equal(a, b) for a, b in zip(plain, anew, strict=True))


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
