"""Fully connected networks through the same trainer, classifier and commands."""

import pytest
import torch
from tests.training.runs import assert_equal_bits, stop_and_resume, train

import resnetkit as rk

DENSE = {"model": "resmlp", "depths": (4,), "width": 32}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("mlp") / "run"
    train(out, **DENSE)
    return out


def test_the_trained_one_is_loaded_judged_and_cut_from_no_other(trained):
    clf = rk.load(trained)
    assert (clf.net.layers, clf.spec.width, clf.spec.size) == (10, 32, 28)
    batch = torch.randint(256, (5, 28, 28, 1), dtype=torch.uint8)
    assert torch.allclose(clf(batch), clf.engine("fp32")(batch), atol=1e-5)
    found = rk.evaluate(clf, "fashion-mnist", part="val", workers=1).to_dict()
    assert found["top1"] == pytest.approx(clf.training.val_top1)


@pytest.mark.parametrize("at", [7, 20])
def test_stopped_and_resumed_ends_in_the_same_bits(trained, tmp_path, monkeypatch, at):
    stop_and_resume(tmp_path / "run", at, monkeypatch, **DENSE)
    assert_equal_bits(trained, tmp_path / "run")


def test_weights_bring_their_width_and_depth(trained, tmp_path):
    train(tmp_path / "run", model=None, weights=str(trained), epochs=1)
    clf = rk.load(tmp_path / "run")
    assert (clf.spec.depths, clf.spec.width) == ((4,), 32)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (DENSE | {"order": "e"}, "resmlp has no order: leave --order out"),
        (DENSE | {"shortcut": "B"}, "shortcut: .*identity"),
        ({"model": "resnet8", "width": 32}, "resnet8 has no width: leave --width out"),
        (DENSE | {"depths": (2, 2)}, "depths of a fully connected network is one number"),
        (DENSE | {"eval_size": 32}, "images of one size: leave --eval-size out"),
        (DENSE | {"any_depth": True}, "a fully connected network is not cut"),
        (DENSE | {"model": "mlp", "identity_start": True}, "no identity start for mlp"),
        (DENSE | {"grow_to": ("resnet20",), "grow_at": (0.5,)}, "one is fully connected"),
    ],
)
def test_what_does_not_go_together(settings, line, tmp_path):
    with pytest.raises(rk.UserError, match=line):
        train(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
