"""Fully connected networks through the same trainer, classifier and commands."""

import numpy as np
import pytest
import torch
from tests.training.runs import assert_equal_bits, stop_and_resume, train
from tests.training.test_torchrun import finish, torchrun

import resnetkit as rk
from resnetkit.benching.subjects import find_subjects
from resnetkit.training.setup import smallest_piece

DENSE = {"model": "resmlp", "depths": (4,), "width": 32, "norm": "layer"}


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


def test_weights_bring_all_that_says_which_tensors_there_are(trained, tmp_path):
    train(tmp_path / "run", model=None, weights=str(trained), epochs=1)
    clf = rk.load(tmp_path / "run")
    assert (clf.spec.depths, clf.spec.width, clf.spec.norm) == ((4,), 32, "layer")
    train(tmp_path / "e", epochs=1, order="e", shortcut="B")
    train(tmp_path / "again", model=None, weights=str(tmp_path / "e"), epochs=1)
    assert (rk.load(tmp_path / "again").spec.order, clf.spec.shortcut) == ("e", "identity")


def test_two_ranks_learn_what_one_does_with_norms_over_both(tmp_path):
    flags = (
        "fashion-mnist --model resmlp --depths 2 --width 32 --norm batch --limit 322 --epochs 2 "
        "--batch-size 32 --val-fraction 0.01 --seed 5 --dynamics --precision fp32"
    ).split()
    for ranks in (1, 2):
        own = [] if ranks == 1 else ["--sync-bn"]
        finish(torchrun(tmp_path / str(ranks), *flags, *own, ranks=ranks))
    one, two = (dict(np.load(tmp_path / ranks / "dynamics.npz")) for ranks in "12")
    assert len(one["indices"]) == 322
    for name in ("indices", "labels", "paths"):
        assert (one[name] == two[name]).all()
    np.testing.assert_allclose(one["logits"], two["logits"], rtol=0.02, atol=0.02)


def test_the_fewest_images_that_are_computed_together():
    assert smallest_piece(320, 32, 1, 1) == 32
    assert smallest_piece(321, 32, 4, 1) == 8
    assert smallest_piece(16, 8, 4, 2) == 1
    assert smallest_piece(16, 8, 2, 2) == 2


def test_batch_norm_needs_more_than_one_image(tmp_path):
    with pytest.raises(rk.UserError, match="resmlp is fully connected, and batch norm needs more"):
        train(tmp_path / "run", model="resmlp", batch_size=8, accumulate=8)


def test_an_average_of_two_that_began_alike(trained, tmp_path):
    for seed in (1, 2):
        out = tmp_path / str(seed)
        train(out, model=None, weights=str(trained), epochs=1, seed=seed, lr=0.01)
    both = [str(tmp_path / "1"), str(tmp_path / "2")]
    rk.average(both, str(tmp_path / "both"), "fashion-mnist")
    assert rk.load(tmp_path / "both").spec.width == 32


def test_it_is_measured_at_its_own_size(trained):
    assert find_subjects(["resmlp"], image_size=20)[0].spec.size == 20
    assert find_subjects([str(trained)])[0].image_size == 28
    with pytest.raises(rk.UserError, match="is for images of 28 pixels alone"):
        find_subjects([str(trained)], image_size=32)


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
