"""Fine-tuning: what is frozen keeps its bits, what is not learns, each layer at its own rate."""

import pytest
import torch
from tests.training.runs import assert_equal_bits, stop_and_resume, train

import resnetkit as rk
from resnetkit.training.freeze import frozen_at, frozen_parts, layer_rates, parts
from resnetkit.training.recipe import Recipe
from resnetkit.training.settings import override

SETTINGS = {"epochs": 2, "limit": 64, "batch_size": 16}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    out = tmp_path_factory.mktemp("start") / "run"
    train(out, **SETTINGS)
    return out


def changed(start, out) -> set[str]:
    before, after = rk.load(start).net.state_dict(), rk.load(out).net.state_dict()
    return {name.split(".")[0] + name.split(".")[1] for name in before
            if not torch.equal(before[name], after[name])}  # fmt: skip


@pytest.mark.parametrize(
    ("freeze", "learn"),
    [
        ("head", {"headweight", "headbias"}),
        ("stages:2", {"stages2", "headweight", "headbias"}),
        (
            "none",
            {"stemconv", "stemnorm", "stages0", "stages1", "stages2", "headweight", "headbias"},
        ),
    ],
)
def test_what_is_frozen_keeps_its_bits_and_statistics(start, tmp_path, freeze, learn):
    train(tmp_path / "run", weights=str(start), freeze=freeze, ema=None, **SETTINGS)
    assert changed(start, tmp_path / "run") == learn


def test_unfreezing_is_part_of_the_schedule(start, tmp_path, monkeypatch):
    """Half the run frozen, half not; stopped in either half it ends in the same bits."""
    how = SETTINGS | {"weights": str(start), "freeze": "head", "unfreeze_at": 0.5, "ema": None}
    train(tmp_path / "whole", **how)
    assert "stemconv" in changed(start, tmp_path / "whole")
    for at in (3, 6):
        with monkeypatch.context() as inner:
            stop_and_resume(tmp_path / f"broken-{at}", at, inner, **how)
        assert_equal_bits(tmp_path / "whole", tmp_path / f"broken-{at}")


def test_every_module_of_a_network_is_in_one_of_its_parts():
    """Or training mode would miss it."""
    net = rk.create("resnetrs50")
    owned = [id(m) for part in parts(net) for top in part for m in top.modules()]
    outside = {id(net), id(net.stages)}
    assert sorted(owned) == sorted(id(m) for m in net.modules() if id(m) not in outside)


def test_rates_of_layers():
    net = rk.create("resnet8", channels=1)
    rates = layer_rates(net, 0.5)
    assert len(rates) == len(list(net.parameters()))
    assert rates[net.head.bias] == 1
    assert rates[net.stages[2][0].conv1.weight] == 0.5
    assert rates[net.stages[0][0].norm1.weight] == 0.125
    assert rates[net.stem.conv.weight] == 0.0625


def test_how_many_parts_are_frozen():
    spec = rk.create("resnet8").spec
    assert [frozen_parts(word, spec) for word in ("none", "stages:1", "stages:3", "head")] == [
        0, 2, 4, 4,
    ]  # fmt: skip
    recipe = override(Recipe(), {"weights": "x", "freeze": "head", "unfreeze_at": 0.25})
    assert [frozen_at(recipe, spec, step, 8) for step in (0, 1, 2, 7)] == [4, 4, 0, 0]
    for word in ("tail", "stages:", "stages:x", "stages:4", "stages:0", "stages:-1"):
        with pytest.raises(rk.UserError, match="--freeze"):
            frozen_parts(word, spec)
