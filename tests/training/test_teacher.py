"""Learning from trained networks: the loss by its formulas, resuming, what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.runs import SETTINGS, assert_equal_bits, stop, stop_and_resume, train
from torch.nn import functional

import resnetkit as rk
from resnetkit.classifier import Classifier
from resnetkit.data.transform import Transform
from resnetkit.training.loss import Loss
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import TeacherRecipe
from resnetkit.training.teacher import Teacher, unlike

CLASSES = ("a", "b", "c")
SEEN = Transform(size=16, channels=1, mean=(0.5,), std=(0.25,))
CPU = torch.device("cpu")


def classifier(classes=CLASSES, seed: int = 0, **changes) -> Classifier:
    torch.manual_seed(seed)
    about = {"size": 16, "channels": 1, "mean": (0.5,), "std": (0.25,)} | changes
    net = rk.create("resnet8", classes=3, channels=about["channels"])
    return Classifier(net, Transform(**about), classes)


def teacher(*classifiers: Classifier, **how) -> Teacher:
    recipe = TeacherRecipe(teacher=tuple("x" for _ in classifiers), **how)
    return Teacher(classifiers, recipe, CLASSES, SEEN, CPU, "fp32")


@pytest.fixture
def step():
    """Pictures as the network saw them, its features and its answers."""
    torch.manual_seed(1)
    x = torch.randn(6, 1, 16, 16)
    return x, torch.randn(6, 5).relu().requires_grad_(), torch.randn(6, 3, requires_grad=True)


def test_the_loss_is_that_of_labels_and_softened_answers(step):
    x, features, logits = step
    clf, own = classifier(), torch.tensor(7.0)
    found = teacher(clf, teacher_weight=0.7, teacher_temperature=2.0).loss(
        own, x, features, logits, Loss()
    )
    with torch.no_grad():
        said = clf.net(x)
    soft = (said / 2).softmax(1)
    expected = 0.3 * own - 0.7 * 4 * (soft * (logits / 2).log_softmax(1)).sum()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_several_are_averaged_and_their_classes_sorted(step):
    x, features, logits = step
    one, two = classifier(), classifier(("c", "a", "b"), seed=2)
    found = teacher(one, two, teacher_weight=1.0, teacher_temperature=1.0).loss(
        torch.tensor(0.0), x, features, logits, Loss()
    )
    with torch.no_grad():
        said = (one.net(x) + two.net(x)[:, [1, 2, 0]]) / 2
    expected = functional.cross_entropy(logits, said.softmax(1), reduction="sum")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_it_sees_pictures_as_it_is_used_to(step):
    """Its own mean and deviation, size and channels."""
    x, features, logits = step
    clf = classifier(mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.25), channels=3, size=24)
    found = teacher(clf, teacher_weight=1.0).loss(torch.tensor(0.0), x, features, logits, Loss())
    pixels = x * 0.25 + 0.5
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.1, 0.2, 0.3), (0.5, 0.5, 0.25)))
    seen = functional.interpolate((pixels - mean) / std, (24, 24), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = Loss().taught(logits, clf.net(seen), 4.0)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_features_are_compared_by_how_alike_pictures_are(step):
    _, features, _ = step
    theirs = torch.randn(6, 9).relu()
    ours, other = features @ features.T, theirs @ theirs.T
    apart = ours / ours.norm(dim=1, keepdim=True) - other / other.norm(dim=1, keepdim=True)
    torch.testing.assert_close(unlike(features, theirs), apart.square().sum())
    assert unlike(features, features[:, [1, 0, 2, 3, 4]]).item() == pytest.approx(0, abs=1e-6)
    assert torch.autograd.grad(unlike(features, theirs), features)[0].abs().sum() > 0


def test_pieces_of_a_batch_are_asked_for_as_much_as_the_whole():
    """For less memory, or by several ranks: the weight of the features stays what it was."""
    torch.manual_seed(0)
    ours, theirs = torch.randn(64, 5).relu(), torch.randn(64, 5).relu()
    whole = unlike(ours, theirs)
    pieces = sum(unlike(a, b) for a, b in zip(ours.split(16), theirs.split(16), strict=True))
    assert 0.6 < pieces / whole < 1.2
    assert unlike(ours[:0], theirs[:0]) == 0


@pytest.fixture(scope="module")
def taught(undisturbed, tmp_path_factory) -> tuple[Path, dict]:
    """A run that has learned from another, and its settings."""
    changes = {"teacher": (str(undisturbed),), "teacher_features": 10.0, "mixup": 0.2, "epochs": 2}
    out = tmp_path_factory.mktemp("taught") / "run"
    train(out, **changes)
    return out, changes


def test_stopped_and_resumed_ends_in_the_same_bits(taught, tmp_path, monkeypatch):
    whole, changes = taught
    monkeypatch.chdir(tmp_path)
    stop_and_resume(tmp_path / "broken", 12, monkeypatch, **changes)
    assert_equal_bits(whole, tmp_path / "broken")


def test_in_pieces_and_beside_growth_it_is_the_same_each_time(undisturbed, tmp_path):
    changes = {
        "teacher": (str(undisturbed), str(undisturbed)), "teacher_features": 5.0, "epochs": 2,
        "accumulate": 3, "grow_at": (0.5,), "grow_to": ("resnet14",),
    }  # fmt: skip
    for name in ("one", "two"):
        train(tmp_path / name, **changes)
    assert_equal_bits(tmp_path / "one", tmp_path / "two")


def test_it_is_remembered_who_taught(taught, undisturbed):
    run, _ = taught
    assert rk.load(run).training.teachers == (str(undisturbed),)
    assert f"Learned from {undisturbed}" in (run / "classifier" / "README.md").read_text()


def test_a_teacher_who_saw_what_is_held_out_is_told_of(undisturbed, tmp_path):
    said = []

    class Listens(Observer):
        def say(self, text):
            said.append(text)

    for seed in (5, 6):
        said.clear()
        settings = SETTINGS | {"epochs": 1, "seed": seed, "teacher": str(undisturbed)}
        rk.train("fashion-mnist", out=str(tmp_path / f"{seed}"), observer=Listens(), **settings)
        assert any("held out here" in text for text in said) == (seed == 6)


def test_a_grey_teacher_of_colour_pictures_leaves_nothing_behind(tmp_path):
    draws = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            pixels = draws.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    classifier().save(tmp_path / "teacher")
    with pytest.raises(rk.UserError, match="sees grey images"):
        rk.train(str(tmp_path / "photos"), out=str(tmp_path / "run"), model="resnet8",
                 teacher=str(tmp_path / "teacher"), observer=Observer())  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_another_teacher_than_at_the_start_is_refused(undisturbed, tmp_path, monkeypatch):
    shutil.copytree(undisturbed, tmp_path / "teacher")
    stop(tmp_path / "run", 4, monkeypatch, teacher=(str(tmp_path / "teacher"),))
    shutil.rmtree(tmp_path / "teacher")
    train(tmp_path / "teacher", seed=6, epochs=1)
    with pytest.raises(rk.UserError, match="is not the one that it began with"):
        rk.train(resume=True, out=str(tmp_path / "run"), threads=1, observer=Observer())


def test_nor_does_a_cross_validation_take_another(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "teacher")
    settings = SETTINGS | {"folds": 2, "epochs": 1, "limit": 100, "out": str(tmp_path / "folds")}
    settings.pop("val_fraction")
    rk.train("fashion-mnist", teacher=str(tmp_path / "teacher"), observer=Observer(), **settings)
    shutil.rmtree(tmp_path / "folds" / "fold-2")
    shutil.rmtree(tmp_path / "teacher")
    train(tmp_path / "teacher", seed=6, epochs=1)
    with pytest.raises(rk.UserError, match="is not the one that it began with"):
        rk.train(resume=True, out=settings["out"], threads=1, observer=Observer())


def test_who_is_taught_answers_more_as_the_teacher_than_who_is_not(tmp_path, undisturbed, fashion):
    """The labels are left out: all that is learned comes from the teacher."""
    settings = {"epochs": 3, "seed": 8, "erase": 0.0, "drop_path": 0.0, "dropout": 0.0}
    train(tmp_path / "alone", **settings)
    train(tmp_path / "taught", teacher=(str(undisturbed),), teacher_weight=1.0, **settings)
    pictures = torch.from_numpy(fashion.parts["test"].images[:2000].copy())
    said = {
        name: rk.load(path)(pictures).div(4).log_softmax(1)
        for name, path in (("teacher", undisturbed), ("alone", tmp_path / "alone"),
                           ("taught", tmp_path / "taught"))
    }  # fmt: skip
    apart = {
        name: functional.kl_div(said[name], said["teacher"], reduction="batchmean", log_target=True)
        for name in ("alone", "taught")
    }
    assert apart["taught"] < apart["alone"] / 2
