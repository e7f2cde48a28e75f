"""Rare classes: what they count, how often they are shown, and what comes of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.runs import assert_equal_bits, stop_and_resume, train
from torch.nn import functional

import resnetkit as rk
from resnetkit.data.augment import balanced_order
from resnetkit.metrics import judge
from resnetkit.training.balance import BalanceRecipe
from resnetkit.training.loss import Loss
from resnetkit.training.observer import Observer
from resnetkit.training.rarity import class_weights
from resnetkit.training.recipe import DataRecipe, OptimiserRecipe, Recipe

CLASSES = ("a", "b", "c")
RARE = np.array([0] * 60 + [1] * 30 + [2] * 10)


@pytest.fixture
def logits() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(12, 3, requires_grad=True)


LABELS = torch.arange(12) % 3


def loss_of(labels: np.ndarray = RARE, smoothing: float = 0.0, **balance) -> Loss:
    recipe = Recipe(
        balance=BalanceRecipe(**balance), optimiser=OptimiserRecipe(label_smoothing=smoothing)
    )
    return Loss.of(recipe, CLASSES, labels)


def test_balanced_weights_give_every_class_the_same_sum():
    weights = class_weights(BalanceRecipe(class_weights="balanced"), CLASSES, RARE)
    assert weights is not None
    np.testing.assert_allclose(weights * np.bincount(RARE), [100 / 3] * 3, rtol=1e-6)


def test_weighted_loss_is_torchs_own(logits):
    weights = torch.tensor([1.0, 2.0, 0.5])
    found, _ = loss_of(class_weights="b=2,c=0.5")(logits, LABELS)
    expected = functional.cross_entropy(logits, LABELS, weights, reduction="sum")
    torch.testing.assert_close(found, expected)


def test_smoothed_too_an_images_loss_is_multiplied_as_a_whole(logits):
    """torch's own weighs the smoothed part of every class by that class."""
    found, _ = loss_of(class_weights="a=3,b=3,c=3", smoothing=0.1)(logits, LABELS)
    plain, _ = loss_of(smoothing=0.1)(logits, LABELS)
    torch.testing.assert_close(found, 3 * plain)


def test_mixed_pictures_have_their_classes_weights(logits):
    one = functional.one_hot(LABELS, 3).float()
    mixed = one.lerp(one.roll(1, 0), 0.25)
    found, _ = loss_of(class_weights="b=2,c=0.5")(logits, mixed)
    each = functional.cross_entropy(logits, mixed, reduction="none")
    torch.testing.assert_close(found, (each * (mixed @ torch.tensor([1.0, 2.0, 0.5]))).sum())


@pytest.mark.parametrize("labels", [LABELS, functional.one_hot(LABELS, 3).float()])
def test_focal_loss_by_its_formula(logits, labels):
    found, _ = loss_of(focal=2.0)(logits, labels)
    sure = logits.softmax(1)[torch.arange(12), LABELS]
    torch.testing.assert_close(found, (-((1 - sure) ** 2) * sure.log()).sum())


@pytest.mark.parametrize("loss", ["cross-entropy", "bce"])
def test_a_picture_that_is_certain_leaves_a_finite_gradient(loss):
    recipe = Recipe(
        balance=BalanceRecipe(focal=0.5), optimiser=OptimiserRecipe(label_smoothing=0, loss=loss)
    )
    sure = torch.tensor([[60.0, -60.0, -60.0]], requires_grad=True)
    found, _ = Loss.of(recipe)(sure, torch.tensor([0]))
    assert torch.autograd.grad(found, sure)[0].isfinite().all()


def test_rare_classes_need_the_labels():
    with pytest.raises(ValueError, match="labels of the training images"):
        Loss.of(Recipe(balance=BalanceRecipe(logit_adjust=1.0)))


def test_focal_loss_of_several_classes_by_its_formula(logits):
    labels = (torch.rand(12, 3) < 0.4).to(torch.uint8)
    recipe = Recipe(
        data=DataRecipe(multi_label=True), balance=BalanceRecipe(focal=2.0),
        optimiser=OptimiserRecipe(label_smoothing=0),
    )  # fmt: skip
    found, _ = Loss.of(recipe)(logits, labels)
    sure = torch.where(labels > 0, logits.sigmoid(), 1 - logits.sigmoid())
    torch.testing.assert_close(found, (-((1 - sure) ** 2) * sure.log()).sum())


def test_adjusted_logits_learn_what_answers_as_if_classes_were_as_frequent():
    """With nothing to tell classes apart by, the loss is least at equal logits."""
    logits = torch.zeros(100, 3, requires_grad=True)
    loss, _ = loss_of(logit_adjust=1.0)(logits, torch.from_numpy(RARE))
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient.sum(0), torch.zeros(3), atol=1e-4, rtol=0)


def test_balanced_sampling_shows_every_class_as_often():
    order = balanced_order(0, 0, RARE)
    assert len(order) == len(RARE)
    assert sorted(np.bincount(RARE[order])) == [33, 33, 34]
    shown = np.bincount(order, minlength=100)
    assert shown[:60].max() == 1
    assert set(shown[90:]) == {3, 4}
    assert not np.array_equal(order, balanced_order(0, 1, RARE))
    assert np.array_equal(order, balanced_order(0, 0, RARE))


def test_balanced_accuracy_is_the_mean_recall_of_classes_that_are_there():
    logits = np.eye(4)[[0, 0, 0, 0, 1, 0]]
    result = judge(logits, np.array([0, 0, 0, 0, 1, 1]), ("a", "b", "c", "d"))
    assert result.top1 == pytest.approx(5 / 6)
    assert result.balanced == pytest.approx((1 + 0.5) / 2)


@pytest.fixture(scope="module")
def lopsided(tmp_path_factory, fashion) -> str:
    """A folder of real pictures: 380 of one class, 20 of another; 100 of each for a test."""
    root = tmp_path_factory.mktemp("lopsided")
    for part, counts in (
        ("train", {"T-shirt": 380, "Shirt": 20}),
        ("test", {"T-shirt": 100, "Shirt": 100}),
    ):
        source = fashion.parts[part]
        for name, label in (("T-shirt", 0), ("Shirt", 6)):
            (root / part / name).mkdir(parents=True)
            for index in np.flatnonzero(source.labels == label)[: counts[name]]:
                picture = Image.fromarray(source.image(int(index))[:, :, 0])
                picture.save(root / part / name / f"{index}.png")
    return str(root)


def recalls(data: str, out: Path, **settings) -> dict[str, float]:
    """How much is found of every class of the test part after a short training."""
    rk.train(data, out=str(out), model="resnet8", epochs=8, batch_size=32, val_fraction=0.1,
             threads=1, workers=1, observer=Observer(), **settings)  # fmt: skip
    result = rk.evaluate(rk.load(out), data, part="test").to_dict()
    return {row["name"]: row["recall"] for row in result["classes"]}


@pytest.fixture(scope="module")
def as_it_is(lopsided, tmp_path_factory) -> dict[str, float]:
    return recalls(lopsided, tmp_path_factory.mktemp("plain") / "run")


@pytest.mark.parametrize(
    "how", [{"class_weights": "balanced"}, {"sampling": "balanced"}, {"logit_adjust": 1.0}],
    ids=lambda how: next(iter(how)),
)  # fmt: skip
def test_of_a_rare_class_more_is_found(lopsided, as_it_is, tmp_path, how):
    found = recalls(lopsided, tmp_path / "run", **how)
    assert found["Shirt"] > as_it_is["Shirt"] + 0.1
    assert sum(found.values()) > sum(as_it_is.values())


def test_stopped_and_resumed_ends_in_the_same_bits(tmp_path, monkeypatch):
    changes = {"sampling": "balanced", "focal": 2.0, "epochs": 2}
    train(tmp_path / "whole", **changes)
    stop_and_resume(tmp_path / "broken", 12, monkeypatch, **changes)
    assert_equal_bits(tmp_path / "whole", tmp_path / "broken")
