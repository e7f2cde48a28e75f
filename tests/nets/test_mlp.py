"""Fully connected networks: what a block computes, the identity, and what is refused."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

import resnetkit as rk
from resnetkit.nets.create import blank
from resnetkit.nets.fits import find_fit
from resnetkit.nets.spec import read_spec
from resnetkit.training.recipe import Recipe
from resnetkit.training.settings import override
from resnetkit.training.setup import network_of
from resnetkit.training.sync_norm import synchronised

SPEC = rk.MLPSpec(depths=(3,), width=8, size=4, channels=2, classes=5)


def lived_in(spec: rk.MLPSpec) -> torch.nn.Module:
    """A network whose statistics are not those of the start."""
    torch.manual_seed(0)
    net = rk.create(spec)
    for _ in range(3):
        net(torch.randn(32, 2, 4, 4))
    return net.eval()


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("shortcut", ["identity", "none"])
def test_it_computes_what_the_formula_says(norm, shortcut):
    net = lived_in(replace(SPEC, norm=norm, shortcut=shortcut))
    state, x = net.state_dict(), torch.randn(6, 2, 4, 4)

    def normed(name: str, h: torch.Tensor) -> torch.Tensor:
        if norm == "none":
            return h
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        if norm == "layer":
            return functional.layer_norm(h, (8,), weight, bias)
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return (h - mean) / (variance + 1e-5).sqrt() * weight + bias

    def layer(name: str, h: torch.Tensor) -> torch.Tensor:
        return h @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    h = layer("stem.fc", x.reshape(6, 32))
    for block in (f"stages.0.{i}" for i in range(3)):
        out = layer(f"{block}.fc1", normed(f"{block}.norm1", h).relu())
        out = layer(f"{block}.fc2", normed(f"{block}.norm2", out).relu())
        h = h + out if shortcut == "identity" else out
    wanted = layer("head", normed("norm", h).relu())
    assert torch.allclose(net(x), wanted, atol=1e-5)
    assert net.layers == SPEC.layers == 8


def test_layers_begin_as_he_says():
    net = rk.create(rk.MLPSpec(depths=(1,), width=2000))
    for layer, gain in ((net.stem.fc, 2), (net.blocks[0].fc1, 2), (net.head, 1)):
        deviation = math.sqrt(gain / layer.in_features)
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.03)
        assert not layer.bias.any()


def test_a_residual_one_begins_as_the_identity_and_learns_and_can_be_deepened():
    net = rk.create(SPEC, identity_start=True)
    x = torch.randn(4, 8)
    assert torch.equal(net.blocks[0](x), x)
    net(torch.randn(4, 2, 4, 4)).sum().backward()
    assert all(block.fc2.weight.grad.any() for block in net.blocks)
    lived = lived_in(SPEC)
    deeper, images = rk.deepen(lived, depths=(5,)), torch.randn(6, 2, 4, 4)
    assert deeper.layers == 12
    assert torch.equal(deeper(images), lived(images))
    with pytest.raises(rk.UserError, match="plain network"):
        rk.create("mlp", identity_start=True)
    with pytest.raises(rk.UserError, match="one is fully connected"):
        rk.deepen(lived, "resnet20")


def test_what_it_costs():
    spec = rk.MLPSpec(depths=(7,), width=16, size=4, channels=2, classes=5)
    found = rk.summarise(spec, 4, 4)
    net = rk.create(spec)
    assert found.parameters == sum(p.numel() for p in net.parameters())
    assert found.multiply_adds == 32 * 16 + 14 * 16 * 16 + 16 * 5
    with pytest.raises(rk.UserError, match="images of 2 x 4 x 4 cannot read 2 x 5 x 5"):
        rk.summarise(spec, 5, 5)


def test_stochastic_depth_leaves_out_a_share_of_the_branches():
    net = rk.create(replace(SPEC, depths=(1,), norm="none", drop_path=0.5)).train()
    x = torch.randn(4000, 8)
    kept = (net.blocks[0](x) != x).any(dim=1)
    assert 0.46 < kept.float().mean().item() < 0.54


def test_from_json_and_back():
    assert read_spec(SPEC.to_dict()) == SPEC
    assert read_spec(rk.create("resnet20").spec.to_dict()) == rk.create("resnet20").spec
    net = blank(SPEC)
    net.load_state_dict(rk.create(SPEC).state_dict())


def test_norms_over_all_ranks_are_those_of_one_process():
    torch.manual_seed(0)
    net, x = rk.create(SPEC), torch.randn(16, 2, 4, 4)
    wide = rk.create(SPEC)
    wide.load_state_dict(net.state_dict())
    synchronised(wide)
    assert torch.allclose(net(x), wide(x), atol=1e-5)
    net(x).square().sum().backward()
    wide(x).square().sum().backward()
    for (name, ours), theirs in zip(net.named_parameters(), wide.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4), name
    for name, buffer in net.named_buffers():
        assert torch.allclose(buffer.float(), dict(wide.named_buffers())[name].float(), atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "line"),
    [({"depths": (2, 2)}, "one number"), ({"width": 0}, "width must be at least 1"),
     ({"shortcut": "A"}, "shortcut: .*identity"), ({"norm": "group"}, "norm: .*layer")],
)  # fmt: skip
def test_what_describes_no_network(fields, line):
    with pytest.raises(rk.UserError, match=line):
        rk.MLPSpec(**fields)


def test_blocks_computed_anew_give_the_same_bits():
    plain = rk.create(replace(SPEC, drop_path=0.3))
    saving = copy.deepcopy(plain)
    saving.segments = (2,)
    x = torch.randn(6, 2, 4, 4)
    for net in (plain, saving):
        torch.manual_seed(4)
        net(x).square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), name
    for (name, one), other in zip(plain.named_buffers(), saving.buffers(), strict=True):
        assert torch.equal(one, other), name


def test_other_libraries_have_none():
    with pytest.raises(rk.UserError, match="timm has no fully connected network"):
        rk.state_dict(rk.create(SPEC), "timm")


def test_weights_for_other_images_are_no_fit():
    assert set(find_fit(rk.create("resmlp").state_dict()).models) == {"mlp", "resmlp"}
    other = rk.create(replace(rk.create("resmlp").spec, size=20))
    assert not find_fit(other.state_dict()).exact


@pytest.mark.parametrize(("name", "groups"), [("resnet8", 8), ("resnet50", 32), ("wrn16_4", 8)])
def test_group_norm_takes_as_many_groups_as_leave_two_channels(name, groups):
    spec = network_of(override(Recipe(), {"model": name, "norm": "group"}))
    assert (spec.norm, spec.norm_groups) == ("group", groups)
    rk.create(spec)
