"""Weights are checked whole before anything changes; pickles are never run."""

import pickle
from dataclasses import replace

import pytest
import safetensors.torch
import torch

import resnetkit as rk
from resnetkit.nets.naming import NAMINGS, why_not_named
from resnetkit.nets.zoo import ZOO
from resnetkit.weights import read_state
from tests.nets.test_zoo import SHORT


@pytest.fixture
def net() -> torch.nn.Module:
    return rk.create("resnet8", classes=4, channels=1)


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_there_and_back(net, tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    save = safetensors.torch.save_file if kind == "safetensors" else torch.save
    save(net.state_dict(), path)
    other = rk.create("resnet8", classes=4, channels=1)
    rk.load_weights(other, path)
    assert all(torch.equal(t, other.state_dict()[n]) for n, t in net.state_dict().items())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("head.bias"), "missing head.bias"),
        (lambda s: s.update(extra=torch.ones(1)), "left over extra"),
        (lambda s: s.update({"head.bias": torch.ones(9)}), r"head.bias is \(9,\), not \(4,\)"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_changes(net, change, said):
    before = {name: t.clone() for name, t in net.state_dict().items()}
    state = {name: torch.ones_like(t) for name, t in before.items()}
    change(state)
    with pytest.raises(rk.UserError, match=said):
        rk.load_weights(net, state)
    assert all(torch.equal(t, net.state_dict()[name]) for name, t in before.items())


def test_the_head_may_stay(net):
    state = rk.create("resnet8", classes=9, channels=1).state_dict()
    head = net.head.weight.clone()
    rk.load_weights(net, state, head=False)
    assert torch.equal(net.head.weight, head)
    assert torch.equal(net.stem.conv.weight, state["stem.conv.weight"])


class Hostile:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/resnetkit-was-here",)


def test_a_pickle_is_not_run(tmp_path):
    from pathlib import Path

    for name in ("x.pt", "x.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps({"head": Hostile()}))
        with pytest.raises(rk.UserError, match="no weights that can be read safely"):
            read_state(tmp_path / name)
    torch.save({"head": [1, 2]}, tmp_path / "y.pt")
    with pytest.raises(rk.UserError, match="not a state dict"):
        read_state(tmp_path / "y.pt")
    assert not Path("/tmp/resnetkit-was-here").exists()


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("name", sorted(set(SHORT.values())))
def test_there_and_back_through_every_naming(name, naming):
    """Every kind of network, with random norms; or the reason why a library has no such one."""
    spec = replace(ZOO[name], depths=(2,) * len(ZOO[name].depths), classes=5)
    net = rk.create(spec)
    for tensor in net.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape) * 100)
    if why_not_named(spec, naming):
        with pytest.raises(rk.UserError, match="has no residual network"):
            rk.state_dict(net, naming)
        return
    other = rk.create(spec)
    rk.load_weights(other, rk.state_dict(net, naming), naming)
    assert equal(net, other)


def test_one_channel_from_three_gives_what_grey_gave(tmp_path):
    colour = rk.create("resnet18d", classes=5).eval()
    grey = rk.create("resnet18d", classes=5, channels=1).eval()
    said = rk.load_weights(grey, rk.state_dict(colour, "timm"), "timm")
    assert said == ("one channel from three: the first convolution's weights are summed",)
    x = torch.randn(2, 1, 40, 40)
    torch.testing.assert_close(grey(x), colour(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)
    back = rk.create("resnet18d", classes=5).eval()
    said = rk.load_weights(back, grey.state_dict())
    assert said[0].startswith("three channels from one: each has a third")
    torch.testing.assert_close(back(x.expand(-1, 3, -1, -1)), grey(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(rk.UserError, match=r"stem.conv1.weight is \(32, 2, 3, 3\)"):
        rk.load_weights(grey, rk.create("resnet18d", classes=5, channels=2).state_dict())


def test_counters_may_be_missing_under_other_names():
    net = rk.create("resnet18", classes=5)
    state = {n: t for n, t in rk.state_dict(net, "torchvision").items() if "num_batches" not in n}
    other = rk.create("resnet18", classes=5)
    rk.load_weights(other, state, "torchvision")
    assert equal(net, other)
    own = {n: t for n, t in net.state_dict().items() if "num_batches" not in n}
    with pytest.raises(rk.UserError, match="missing stem.norm.num_batches_tracked"):
        rk.load_weights(other, own)


def test_other_classes_say_how_to_leave_the_head_out():
    state = rk.state_dict(rk.create("resnet18"), "timm")
    net = rk.create("resnet18", classes=3)
    said = r"fc.weight is \(1000, 512\), not \(3, 512\); .*; all but the head fits"
    with pytest.raises(rk.UserError, match=said):
        rk.load_weights(net, state, "timm")
    rk.load_weights(net, state, "timm", head=False)


@pytest.mark.parametrize("key", ["state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_checkpoints_of_training_scripts_are_opened(tmp_path, key, prefix):
    net = rk.create("resnet8", classes=4)
    state = {prefix + name: tensor for name, tensor in net.state_dict().items()}
    torch.save({key: state, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "x.pt")
    other = rk.create("resnet8", classes=4)
    rk.load_weights(other, tmp_path / "x.pt")
    assert equal(net, other)


@pytest.mark.parametrize(
    ("file", "into", "said"),
    [
        (("resnet34", "timm"), ("resnet18", "timm"), "it fits resnet34 under torchvision names"),
        (
            ("resnet50d", "timm"),
            ("resnet50", "timm"),
            "it fits resnet50d or resnetaa50d or resnetb",
        ),
        (("resnet18", "timm"), ("resnet18", "resnetkit"), "it fits resnet18 or resnetblur18 under"),
        (("resnetv2_50", "timm"), ("resnet50", "timm"), "it fits resnetv2_50 under timm names"),
        (("wrn16_4", "resnetkit"), ("resnet14", "resnetkit"), "it fits wrn16_4 under resnetkit"),
    ],
)
def test_what_would_fit_is_said_and_nothing_changes(file, into, said):
    state = rk.state_dict(rk.create(file[0], classes=3), file[1])
    net = rk.create(into[0], classes=3)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    with pytest.raises(rk.UserError, match=said):
        rk.load_weights(net, state, into[1])
    assert all(torch.equal(t, net.state_dict()[name]) for name, t in before.items())


def test_a_network_near_the_zoo_is_named():
    spec = replace(ZOO["resnet18"], widths=(64, 128, 256, 520))
    with pytest.raises(rk.UserError, match="nearest is resnet18 under resnetkit names: "):
        rk.load_weights(rk.create("resnet34"), rk.create(spec).state_dict())


def test_names_of_a_library_that_has_no_such_network():
    for name, naming, why in (
        ("resnet20", "torchvision", "torchvision has no residual network with stem small"),
        ("resnet50d", "torchvision", "with stem deep"),
        ("resnetv2_50", "torchvision", r"of order \(e\)"),
        ("resnetblur50", "torchvision", "antialias blur"),
        ("preresnet110", "timm", "stem small"),
    ):
        with pytest.raises(rk.UserError, match=why):
            rk.state_dict(rk.create(name), naming)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fc.bias", None, "is not a state dict"),
        ("fc.bias", [1.0], "is not a state dict"),
        (5, torch.ones(1), "is not a state dict"),
        ("fc.bias", torch.ones(4).to_sparse(), "fc.bias is no tensor of plain numbers"),
        ("fc.bias", torch.ones(4, device="meta"), "fc.bias is no tensor of plain numbers"),
        ("fc.bias", torch.ones(4).to(torch.float8_e5m2), "fc.bias is no tensor of plain numbers"),
        ("conv1.weight", torch.ones(64, 1, 7, 7).long(), "conv1.weight is torch.int64"),
        ("x.num_batches_tracked", torch.tensor(1), "left over x.num_batches_tracked"),
        (f"layer{'9' * 5000}.0.x", torch.ones(1), "left over layer999"),
    ],
)
def test_odd_tensors_are_refused_and_nothing_changes(name, value, said):
    net = rk.create("resnet18", classes=4)
    state = rk.state_dict(rk.create("resnet18", classes=4), "timm") | {name: value}
    before = {name: t.clone() for name, t in net.state_dict().items()}
    with pytest.raises(rk.UserError, match=said):
        rk.load_weights(net, state, "timm")
    assert all(torch.equal(t, net.state_dict()[name]) for name, t in before.items())


@pytest.mark.parametrize("state", [None, 3, [torch.ones(1)], torch.ones(1)])
def test_what_is_no_state_at_all(state):
    with pytest.raises(rk.UserError, match="is not a state dict"):
        rk.load_weights(rk.create("resnet8"), state)


def test_a_naming_that_is_none():
    with pytest.raises(rk.UserError, match="'tim' is not one of resnetkit, torchvision, timm"):
        rk.state_dict(rk.create("resnet18"), "tim")


def test_half_precision_is_summed_in_full():
    state = rk.create("resnet18", classes=4).state_dict()
    state["stem.conv.weight"] = torch.full((64, 3, 7, 7), 30000, dtype=torch.float16)
    grey = rk.create("resnet18", classes=4, channels=1)
    rk.load_weights(grey, state)
    assert torch.equal(grey.stem.conv.weight, torch.full((64, 1, 7, 7), 90000.0))


def test_convert_asks_where_networks_of_equal_tensors_differ(tmp_path):
    torch.save(rk.state_dict(rk.create("resnetblur18"), "timm"), tmp_path / "x.pth")
    done = rk.convert(str(tmp_path / "x.pth"), str(tmp_path / "a.safetensors"), "resnetkit")
    assert done.model == "resnet18 or resnetblur18"
    with pytest.raises(rk.UserError, match="say --model; it fits resnet18 or resnetblur18"):
        rk.convert(str(tmp_path / "x.pth"), str(tmp_path / "b.safetensors"), "torchvision")
    (tmp_path / "link.safetensors").symlink_to("/nowhere")
    with pytest.raises(rk.UserError, match="exists already"):
        rk.convert(str(tmp_path / "x.pth"), str(tmp_path / "link.safetensors"), "timm")
    with pytest.raises(rk.UserError, match="cannot write /proc/x.safetensors"):
        rk.convert(str(tmp_path / "x.pth"), "/proc/x.safetensors", "timm")
