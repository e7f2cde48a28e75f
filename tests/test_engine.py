"""The engine gives what the Classifier gives, sooner."""

import pytest
import torch

import resnetkit as rk
from resnetkit import machine
from resnetkit.classifier import Classifier
from resnetkit.data.transform import Transform
from tests.hardware import needs_bf16

BATCH = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)


def untrained(model: str = "resnet20", **transform) -> Classifier:
    return Classifier(rk.create(model, classes=10), Transform(size=32, **transform), tuple("abcde"))


@pytest.mark.parametrize("model", ["resnet20", "wrn16_4", "resnet50_gn"])
@pytest.mark.parametrize("mirror", [False, True])
def test_logits_and_features(model, mirror):
    judge = untrained(model, mirror=mirror)
    exact, ready = judge(BATCH), judge.engine("fp32")
    assert ready.precision == "fp32"
    torch.testing.assert_close(ready(BATCH), exact, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ready.features(BATCH), judge.features(BATCH), rtol=1e-4, atol=1e-4)
    assert torch.equal(ready.head(ready.features(BATCH)), ready(BATCH))


def test_a_picture_and_its_mirror_image_are_judged_alike():
    judge = untrained(mirror=True)
    torch.testing.assert_close(judge(BATCH), judge(BATCH.flip(2)), rtol=1e-4, atol=1e-5)
    normal = judge.transform.normalise(BATCH)
    with torch.no_grad():
        mean = (judge.net(normal) + judge.net(normal.flip(3))) / 2
    torch.testing.assert_close(judge(BATCH), mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "there", "decided"),
    [pytest.param("auto", True, "bf16", marks=needs_bf16), ("auto", False, "fp32"),
     pytest.param("bf16", True, "bf16", marks=needs_bf16), ("bf16", False, "fp32"),
     ("fp32", True, "fp32")],
)  # fmt: skip
def test_precision_is_what_the_hardware_has(monkeypatch, asked, there, decided):
    monkeypatch.setattr(machine, "computes_bf16", lambda _: there)
    monkeypatch.setattr(machine, "quicker_in_bf16", lambda _: there)
    ready = untrained().engine(asked)
    assert ready.precision == decided
    assert ready(BATCH).dtype == torch.float32


@needs_bf16
def test_bf16_names_the_same_classes(classifier, fashion):
    images = torch.from_numpy(fashion.parts["test"].images[:500].copy())
    exact, near = classifier(images), classifier.engine("bf16")(images)
    assert (exact.argmax(1) == near.argmax(1)).float().mean() > 0.97
    assert (exact.softmax(1) - near.softmax(1)).abs().max() < 0.1


def test_a_broken_network_is_judged_as_broken():
    judge = untrained()
    with torch.no_grad():
        judge.net.stem.conv.weight[0, 0, 0, 0] = float("nan")
    assert judge.engine("fp32")(BATCH).isnan().all()
