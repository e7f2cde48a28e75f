"""What holds on a CPU holds on a GPU; skipped where there is none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.runs import assert_equal_bits, contents, stop_and_resume, train

import resnetkit as rk
from resnetkit.benching.step import random_images
from resnetkit.cli import main
from resnetkit.data.augmentation import Augmentation
from resnetkit.data.loader import Loader
from resnetkit.data.sources import ArraySource
from resnetkit.data.transform import Transform
from resnetkit.machine import repeatable
from resnetkit.nets.create import create
from resnetkit.nets.depth import deepen
from resnetkit.nets.network import with_layout
from resnetkit.ranks import Ranks
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import DataRecipe, Recipe
from resnetkit.training.run_folder import RunFolder
from resnetkit.training.trainer import Trainer

DEVICE = torch.device("cuda")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("gpu") / "run"
    train(out)
    return out


def test_two_runs_end_in_the_same_bits(whole, tmp_path):
    train(tmp_path / "again", workers=4)
    assert contents(whole).keys() == contents(tmp_path / "again").keys()
    assert_equal_bits(whole, tmp_path / "again")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "fp32", "accumulate": 3},
        {"policy": "trivial", "mixup": 0.2, "optimiser": "lamb", "lr": 0.01},
        {"crop": "resized", "image_size": 33, "optimiser": "adamw", "lr": 0.01},
        {"model": "resnet14", "any_depth": True, "batch_size": 64},
        {"grow_at": (0.4,), "grow_to": ("resnet20",)},
    ],
    ids=lambda changes: next(iter(changes), "plain"),
)
def test_stopped_and_resumed_ends_in_the_same_bits(tmp_path, monkeypatch, changes):
    train(tmp_path / "whole", **changes)
    stop_and_resume(tmp_path / "broken", 7, monkeypatch, **changes)
    assert_equal_bits(tmp_path / "whole", tmp_path / "broken")


def test_gpu_and_cpu_judge_alike(whole):
    on = {
        device: rk.evaluate(rk.load(whole).to(device), "fashion-mnist", precision="fp32")
        for device in ("cuda", "cpu")
    }
    one, other = (result.to_dict() for result in on.values())
    assert one["top1"] == pytest.approx(other["top1"], abs=0.002)
    assert one["loss"] == pytest.approx(other["loss"], rel=0.01)


def test_all_depths_and_early_exit(tmp_path):
    train(tmp_path / "run", model="resnet14", any_depth=True)
    found = rk.evaluate_depths(rk.load(tmp_path / "run").to(DEVICE), "fashion-mnist").depths
    assert {depth.layers for depth in found} == {8, 14}
    assert all(depth.images_per_second > 0 for depth in found)


def a_trainer(source: ArraySource) -> Trainer:
    """Of pictures of 28 pixels, with all that changes them on the device."""
    transform = Transform(size=28, channels=1, mean=(0.5,), std=(0.5,))
    how = Augmentation(crop="shift", flip=True, erase=0.5)
    data = DataRecipe(image_size=28, channels=1)
    recipe = Recipe(model="resnet20", epochs=1000, batch_size=64, precision="bf16", data=data,
                    augmentation=how)  # fmt: skip
    loader = Loader(source, transform, 64, augmentation=how, workers=2, device=DEVICE)
    net = with_layout(create("resnet20", channels=1).to(DEVICE), channels_last=True)
    return Trainer(
        net, recipe, loader, transform, lambda _: None, RunFolder(Path()), Observer(), Ranks()
    )


@pytest.mark.parametrize("kept", ["on the device", "on the host"])
def test_the_host_waits_for_no_step(kept):
    size = 28 if kept == "on the device" else 32
    images = random_images(256, Transform(size=size, channels=1, mean=(0.5,), std=(0.5,)))
    trainer = a_trainer(ArraySource(images, np.arange(256) % 10, "random"))
    assert (trainer.loader.resident is not None) == (kept == "on the device")
    trainer.ready()
    for batch in trainer.loader.epoch(0):
        assert batch.images.is_cuda or batch.images.is_pinned()
        trainer.train_step(batch)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in trainer.loader.epoch(1):
            trainer.train_step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    ("shallow", "deep"),
    [("resnet20", "resnet56"), ("resnet18", "resnet34"), ("resnet50", "resnet101"),
     ("preresnet164", "preresnet1001"), ("resnext50_32x4d", "resnext101_32x4d")],
)  # fmt: skip
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_deepened_it_computes_the_same_bits(shallow, deep, precision):
    repeatable(DEVICE)
    net = with_layout(create(shallow).to(DEVICE), channels_last=True)
    x = torch.randn(4, 3, 64, 64, device=DEVICE).contiguous(memory_format=torch.channels_last)
    for training in (False, True):
        before = net.train(training)
        after = deepen(before, deep).train(training)
        with (
            torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bf16"),
            torch.no_grad(),
        ):
            assert torch.equal(before(x), after(x))


def test_gradients_of_blocks_computed_anew_are_the_same_bits():
    repeatable(DEVICE)
    x = torch.randn(8, 3, 32, 32, device=DEVICE)
    found = []
    for segments in ((), (3, 3, 3)):
        torch.manual_seed(0)
        net = create("resnet56").to(DEVICE).train()
        net.segments = segments
        net(x).sum().backward()
        found.append([p.grad for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_batch_too_large_says_what_fits(tmp_path, capsys):
    flags = "--model resnet152 --image-size 1024 --batch-size 8192 --out".split()
    assert main(["train", "fashion-mnist", *flags, str(tmp_path / "run")]) == 2
    assert "fits" in capsys.readouterr().err


def test_bench_measures_a_network(capsys):
    assert main(["bench", "resnet18", "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["device"] == "cuda"
    assert found["rows"][0]["images_per_second"]["median"] > 1000
    assert found["rows"][0]["training"]["peak_bytes"] > 0
