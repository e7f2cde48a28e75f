"""Runs are functions of recipe and data; steps are applied whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch
from tests.hardware import needs_bf16
from tests.training.runs import (
    SETTINGS,
    assert_equal_bits,
    contents,
    metrics,
    train,
)

import resnetkit as rk
from resnetkit import machine
from resnetkit.ranks import Ranks
from resnetkit.training.observer import Observer
from resnetkit.training.recipe_files import parse_recipe
from resnetkit.training.trainer import Trainer


def test_the_run_folder(undisturbed):
    names = sorted(p.name for p in undisturbed.iterdir())
    assert names == [
        "SHA256SUMS",
        "checkpoints",
        "classifier",
        "curves.png",
        "data.json",
        "metrics.jsonl",
        "recipe.yaml",
    ]
    rows = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["step"] for row in rows] == [10, 20, 30]
    assert list(rows[0]) == [
        "epoch", "step", "lr", "train_loss", "train_top1", "val_loss", "val_top1",
        "images_per_second", "seconds",
    ]  # fmt: skip
    assert rows[2]["train_loss"] < rows[0]["train_loss"]
    names = set(contents(undisturbed))
    assert {"net/head.weight", "ema/head.weight", "optimiser/head.weight/momentum_buffer"} <= names


@pytest.mark.parametrize("workers", [0, 4])
def test_any_number_of_workers_gives_the_same_bits(undisturbed, tmp_path, workers):
    train(tmp_path / "run", workers=workers)
    assert_equal_bits(undisturbed, tmp_path / "run")


def test_another_seed_gives_other_bits(undisturbed, tmp_path):
    train(tmp_path / "run", seed=6, epochs=1)
    assert metrics(tmp_path / "run")[0]["train_loss"] != metrics(undisturbed)[0]["train_loss"]


def bare_trainer(pieces: int) -> Trainer:
    """A trainer without data or run folder, for single steps."""
    from resnetkit.data.transform import Transform
    from resnetkit.training.recipe import Recipe
    from resnetkit.training.settings import override

    torch.manual_seed(0)
    net = rk.create("resnet8", channels=1).eval()
    recipe = override(Recipe(), {"accumulate": pieces, "precision": "fp32"})
    transform = Transform(size=28, channels=1, mean=(0.3,), std=(0.3,))
    loader = SimpleNamespace(steps=1, batch=lambda *_: some_batch())
    trainer = Trainer(net, recipe, loader, transform, None, None, Observer(), Ranks())
    trainer.replica.ready_for(0)
    net.eval()
    return trainer


def some_batch():
    from resnetkit.data.loader import Batch

    torch.manual_seed(1)
    images = torch.randint(0, 256, (10, 28, 28, 1), dtype=torch.uint8)
    return Batch(torch.arange(10), images, torch.arange(10), 10)


def test_accumulating_gives_the_gradients_of_the_whole_batch():
    """In eval-like statistics: norms judge each piece alone, so they are frozen for the test."""

    def gradients(pieces: int) -> list[torch.Tensor]:
        trainer = bare_trainer(pieces)
        trainer.optimiser_step = lambda _: None
        trainer.train_step(some_batch())
        assert trainer.sums[2] == 10
        return [p.grad for p in trainer.net.parameters()]

    for whole, pieces in zip(gradients(1), gradients(3), strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-4, atol=1e-5)


def test_a_gradient_that_is_not_finite_stops_the_run_with_the_weights_untouched(tmp_path):
    with pytest.raises(rk.UserError, match=r"^step \d+: .* is not finite .* lower --lr"):
        train(tmp_path / "run", lr=1e30, clip=None, precision="fp32", checkpoint_seconds=0)
    saved = list((tmp_path / "run" / "checkpoints").glob("step-*"))
    assert saved
    for path in saved:
        tensors = safetensors.torch.load_file(path)
        assert all(t.isfinite().all() for n, t in tensors.items() if n.startswith("net/"))


def test_a_step_that_is_not_finite_changes_no_weight(monkeypatch):
    """The optimiser is told on the device; nothing waits for the host."""
    trainer = bare_trainer(1)
    batch = some_batch()
    before = [p.detach().clone() for p in trainer.net.parameters()]
    trainer.net.head.bias.register_hook(lambda grad: grad * float("inf"))
    trainer.train_step(batch)
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.net.parameters(), strict=True))
    found = trainer.diagnose(int(trainer.bad_step))
    assert str(found).startswith("step 0: the gradient of head.bias is not finite (batch of images")
    assert found.indices == tuple(range(10))


def test_weights_of_a_run_keep_the_head_when_the_classes_agree(undisturbed, tmp_path, pictures):
    train(tmp_path / "again", weights=str(undisturbed), lr=0.0, ema=None, epochs=1)
    before = rk.load(undisturbed).net.head.weight
    assert torch.equal(rk.load(tmp_path / "again").net.head.weight, before)
    settings = SETTINGS | {"out": str(tmp_path / "other"), "limit": None, "lr": 0.0, "ema": None}
    settings |= {"weights": str(undisturbed), "epochs": 1, "image_size": 28, "channels": 1}
    rk.train(str(pictures), observer=Observer(), **settings)
    other = rk.load(tmp_path / "other")
    assert other.net.head.weight.shape[0] == 3
    assert torch.equal(other.net.stem.conv.weight, rk.load(undisturbed).net.stem.conv.weight)


def test_bad_images_are_left_out_and_listed(pictures, tmp_path):
    import shutil

    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(pictures, data)
    (data / "Bag" / "bad.png").write_bytes(b"no image")
    settings = SETTINGS | {"limit": None, "val_fraction": 0.2, "epochs": 1}
    with pytest.raises(rk.UserError, match=r"--strict: .*bad\.png"):
        rk.train(str(data), observer=Observer(), **settings, out=str(out), strict=True)
    assert not out.exists()
    rk.train(str(data), observer=Observer(), **settings, out=str(out))
    record = json.loads((out / "data.json").read_text())
    assert [skipped[1] for skipped in record["skipped"]] == [str(data / "Bag" / "bad.png")]
    assert record["images"]["train"] + record["images"]["val"] == 36
    (data / "Bag" / "1.png").unlink()
    shutil.rmtree(out / "classifier")
    with pytest.raises(rk.UserError, match="are not those it began with"):
        rk.train(resume=True, out=str(out), threads=1, observer=Observer())


def test_what_a_step_leaves_out_is_a_function_of_seed_step_and_rank(monkeypatch):
    """Not of what was drawn before it."""
    seeds, trainer = [], bare_trainer(pieces=1)
    monkeypatch.setattr(torch, "manual_seed", seeds.append)
    trainer.seed_draws(7)
    assert not seeds  # this network leaves nothing out
    trainer.net.spec = replace(trainer.net.spec, drop_path=0.5)
    for step, rank in ((7, 0), (7, 0), (8, 0), (7, 1)):
        trainer.ranks = SimpleNamespace(rank=rank)
        trainer.seed_draws(step)
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3


def test_where_a_stride_meets_a_single_pixel_precision_is_fp32(tmp_path, monkeypatch):
    """torch leaves such a gradient unwritten in bf16 on the CPU: whatever lies in memory."""
    monkeypatch.setattr(machine, "quicker_in_bf16", lambda _: True)
    monkeypatch.setattr(machine, "computes_bf16", lambda _: True)
    how = {"model": "resnet18", "image_size": 16, "limit": 40, "epochs": 1, "ema": None}
    run = train(tmp_path / "run", precision="auto", **how)
    found = parse_recipe((Path(run.run) / "recipe.yaml").read_text(), "").precision
    assert found == "fp32"
    with pytest.raises(rk.UserError, match="takes a stride on a single pixel"):
        train(tmp_path / "asked", precision="bf16", **how)
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("asked", "there", "decided", "said"),
    [("bf16", False, "fp32", 1), ("auto", False, "fp32", 0), ("fp32", True, "fp32", 0),
     pytest.param("auto", True, "bf16", 0, marks=needs_bf16),
     pytest.param("bf16", True, "bf16", 0, marks=needs_bf16)],
)  # fmt: skip
def test_precision_is_what_the_machine_has(tmp_path, monkeypatch, asked, there, decided, said):
    lines, listener = [], Observer()
    monkeypatch.setattr(listener, "say", lines.append)
    monkeypatch.setattr(machine, "computes_bf16", lambda _: there)
    monkeypatch.setattr(machine, "quicker_in_bf16", lambda _: there)
    run = rk.train(
        "fashion-mnist", model="resnet8", limit=40, epochs=1, precision=asked, threads=1,
        out=str(tmp_path / "run"), observer=listener,
    )  # fmt: skip
    assert parse_recipe((Path(run.run) / "recipe.yaml").read_text(), "").precision == decided
    assert sum("does not compute in bf16" in line for line in lines) == said


def test_drop_rates_of_the_recipe_reach_the_network_and_its_classifier(undisturbed, tmp_path):
    spec = rk.load(undisturbed).spec
    assert (spec.drop_path, spec.dropout) == (0.2, 0.1)
    train(tmp_path / "run", epochs=1, drop_path=None, dropout=None)
    assert rk.load(tmp_path / "run").spec.draws is False
    assert metrics(tmp_path / "run")[0]["train_loss"] != metrics(undisturbed)[0]["train_loss"]
