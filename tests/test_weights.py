"""Weights are checked whole before anything changes; pickles are never run."""

import pickle

import pytest
import safetensors.torch
import torch

import resnetkit as rk
from resnetkit.weights import read_state


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
