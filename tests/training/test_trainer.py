"""Runs are functions of recipe and data: stopped, killed, resumed, with any number of workers."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch

import resnetkit as rk
from resnetkit.ranks import Ranks
from resnetkit.training import session as session_module
from resnetkit.training.observer import Observer

SETTINGS = {
    "model": "resnet8", "limit": 320, "epochs": 3, "batch_size": 32, "val_fraction": 0.01,
    "ema": 0.9, "erase": 0.3, "label_smoothing": 0.1, "clip": 2.0, "seed": 5, "threads": 1,
    "workers": 1,
}  # fmt: skip


def train(out: Path, **changes):
    settings = SETTINGS | {"out": str(out)} | changes
    return rk.train("fashion-mnist", observer=Observer(), **settings)


def contents(out: Path) -> dict[str, torch.Tensor]:
    newest = max((out / "checkpoints").glob("step-*"))
    tensors = safetensors.torch.load_file(newest)
    final = safetensors.torch.load_file(out / "classifier" / "model.safetensors")
    return tensors | {f"classifier/{name}": t for name, t in final.items()}


def metrics(out: Path) -> list[dict]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in r.items() if k not in ("seconds", "images_per_second")} for r in rows]


def assert_equal_bits(a: Path, b: Path) -> None:
    one, two = contents(a), contents(b)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name
    assert metrics(a) == metrics(b)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    train(out)
    return out


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


def stop_and_resume(out: Path, at: int, monkeypatch, **changes) -> None:
    """A Ctrl-C that comes while step `at` is computed; then the rest of the run."""

    class StopAt(session_module.StopRequest):
        def __enter__(self):
            super().__enter__()
            stop, step = self, session_module.Trainer.train_step

            def counted(trainer, batch):
                step(trainer, batch)
                if trainer.step == at:
                    stop.signal = signal.SIGINT

            monkeypatch.setattr(session_module.Trainer, "train_step", counted)
            return self

    monkeypatch.setattr(session_module, "StopRequest", StopAt)
    result = train(out, **changes)
    monkeypatch.undo()
    assert (result.steps, result.interrupted) == (at, signal.SIGINT)
    assert not (out / "classifier").exists()
    result = rk.train(resume=True, out=str(out), threads=1, workers=2, observer=Observer())
    assert result.resumed_at == at


@pytest.mark.parametrize("at", [1, 7, 10, 25])
def test_stopped_and_resumed_ends_in_the_same_bits(undisturbed, tmp_path, monkeypatch, at):
    stop_and_resume(tmp_path / "run", at, monkeypatch)
    assert_equal_bits(undisturbed, tmp_path / "run")


@pytest.mark.parametrize(
    "changes",
    [
        {"channels_last": False, "ema": None},
        {"precision": "fp32", "accumulate": 3},
        {"optimiser": "adamw", "lr": 0.01, "ema": None},
        {"model": "preresnet110", "limit": 64, "batch_size": 16, "schedule": "one-cycle"},
        {"model": "resnet8", "identity_start": True, "image_size": 33, "crop": "resized"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_and_so_it_does_with_other_settings(tmp_path, monkeypatch, changes):
    changes = {"epochs": 2} | changes
    train(tmp_path / "whole", **changes)
    steps = json.loads((tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()[0])["step"]
    stop_and_resume(tmp_path / "broken", steps + 2, monkeypatch, **changes)
    assert_equal_bits(tmp_path / "whole", tmp_path / "broken")


def start_command(out: Path, *flags: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "resnetkit", "train", *flags, "--out", str(out)]
    return subprocess.Popen(
        [*command, "--threads", "1", "--workers", "1", "--checkpoint-seconds", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


FLAGS = (
    "fashion-mnist --model resnet8 --limit 320 --epochs 3 --batch-size 32 --val-fraction 0.01 "
    "--ema 0.9 --erase 0.3 --label-smoothing 0.1 --clip 2 --seed 5"
).split()


@pytest.mark.parametrize("draw", [0, 1])
def test_killed_and_resumed_ends_in_the_same_bits(undisturbed, tmp_path, draw):
    out, steps = tmp_path / "run", random.Random(draw).randint(2, 28)
    process = start_command(out, *FLAGS)
    while process.poll() is None:
        done = sorted(p.name[5:14] for p in (out / "checkpoints").glob("step-*"))
        if done and int(done[-1]) >= steps:
            break
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert not (out / "classifier").exists()
    resumed = start_command(out, "--resume")
    _, said = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, said
    assert_equal_bits(undisturbed, out)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_save_and_say_how_to_go_on(tmp_path, number, code):
    out = tmp_path / "run"
    process = start_command(out, *FLAGS, "--epochs", "50")
    while not list(out.glob("checkpoints/step-*")):
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"resnetkit train --resume --out {out}" in said
    assert "Traceback" not in said
    assert (out / "curves.png").exists() or not (out / "metrics.jsonl").read_text()


def test_resume_of_a_folder_without_checkpoint_starts_anew(undisturbed, tmp_path):
    out = tmp_path / "run"
    train(out, epochs=3)
    for path in (out / "checkpoints").iterdir():
        path.unlink()
    for path in (out / "classifier").iterdir():
        path.unlink()
    (out / "classifier").rmdir()
    result = rk.train(resume=True, out=str(out), threads=1, observer=Observer())
    assert result.resumed_at == 0
    assert_equal_bits(undisturbed, out)


def test_a_finished_run_says_so(undisturbed):
    result = rk.train(resume=True, out=str(undisturbed), observer=Observer())
    assert result.already_finished
    assert result.steps == 30


def test_a_changed_recipe_is_refused_with_the_difference(undisturbed):
    with pytest.raises(rk.UserError, match=r"lr: 0\.1 -> 0\.2"):
        rk.train(resume=True, out=str(undisturbed), lr=0.2, observer=Observer())
    with pytest.raises(rk.UserError, match="cosine schedule has set every learning rate"):
        rk.train(resume=True, out=str(undisturbed), epochs=9, observer=Observer())
    with pytest.raises(rk.UserError, match="cannot be shortened"):
        rk.train(resume=True, out=str(undisturbed), epochs=1, observer=Observer())


def test_other_threads_are_refused(tmp_path, undisturbed):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    shutil.rmtree(out / "classifier")
    with pytest.raises(rk.UserError, match="threads: 1 -> 2; resume it as it was started"):
        rk.train(resume=True, out=str(out), threads=2, observer=Observer())
    torch.set_num_threads(1)


def test_a_constant_schedule_can_be_extended(tmp_path):
    short, whole = tmp_path / "short", tmp_path / "whole"
    train(short, schedule="constant", epochs=1)
    result = rk.train(resume=True, out=str(short), epochs=2, threads=1, observer=Observer())
    assert (result.resumed_at, result.steps) == (10, 20)
    train(whole, schedule="constant", epochs=2)
    assert_equal_bits(short, whole)


def bare_trainer(pieces: int) -> session_module.Trainer:
    """A trainer without data or run folder, for single steps."""
    from resnetkit.data.transform import Transform
    from resnetkit.training.recipe import Recipe, override

    torch.manual_seed(0)
    net = rk.create("resnet8", channels=1).eval()
    recipe = override(Recipe(), {"accumulate": pieces, "precision": "fp32"})
    transform = Transform(size=28, channels=1, mean=(0.3,), std=(0.3,))
    loader = SimpleNamespace(steps=1, batch=lambda *_: some_batch())
    trainer = session_module.Trainer(
        net, recipe, loader, transform, None, None, Observer(), Ranks()
    )
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


def test_a_checkpoint_of_another_run_is_refused(undisturbed, tmp_path):
    import shutil

    train(tmp_path / "other", lr=0.01, epochs=1)
    shutil.copytree(undisturbed, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "classifier")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    newest = max((tmp_path / "other" / "checkpoints").iterdir())
    shutil.copy(newest, tmp_path / "run" / "checkpoints")
    with pytest.raises(rk.UserError, match=r"belongs to another run: .*lr: 0\.01 -> 0\.1"):
        rk.train(resume=True, out=str(tmp_path / "run"), threads=1, observer=Observer())


def test_a_refused_extension_leaves_the_run_as_it_was(tmp_path):
    out = tmp_path / "run"
    train(out, schedule="constant", epochs=1)
    before = (out / "recipe.yaml").read_text()
    with pytest.raises(rk.UserError, match="threads: 1 -> 2"):
        rk.train(resume=True, out=str(out), epochs=2, threads=2, observer=Observer())
    torch.set_num_threads(1)
    assert (out / "recipe.yaml").read_text() == before
    assert rk.load(out).classes
    for path in (out / "checkpoints").iterdir():
        path.unlink()
    assert rk.train(resume=True, out=str(out), observer=Observer()).already_finished
    with pytest.raises(rk.UserError, match="no checkpoint to go on from"):
        rk.train(resume=True, out=str(out), epochs=2, threads=1, observer=Observer())
    assert rk.load(out).classes


def test_two_trainings_in_one_folder_are_kept_apart(undisturbed):
    from resnetkit.training.run_folder import RunFolder

    with (
        RunFolder(undisturbed).locked(),
        pytest.raises(rk.UserError, match="another training is at work"),
    ):
        rk.train(resume=True, out=str(undisturbed), observer=Observer())
    assert rk.train(resume=True, out=str(undisturbed), observer=Observer()).already_finished


def test_a_val_part_that_the_data_bring_and_one_that_appears(pictures, tmp_path, monkeypatch):
    import shutil

    data = tmp_path / "data"
    shutil.copytree(pictures, data / "train")
    (data / "train" / "Bag" / "bad.png").write_bytes(b"no")
    settings = SETTINGS | {"limit": None, "val_fraction": 0.2, "batch_size": 8, "image_size": 28}

    def stop_here(out: Path) -> None:
        rk.train(str(data), observer=Observer(), **settings, out=str(out))
        shutil.rmtree(out / "classifier")
        max((out / "checkpoints").iterdir()).unlink()

    stop_here(tmp_path / "flat")
    shutil.copytree(pictures, data / "val")
    with pytest.raises(
        rk.UserError, match="has the parts train, val; when it began there were train"
    ):
        rk.train(resume=True, out=str(tmp_path / "flat"), threads=1, observer=Observer())
    stop_here(tmp_path / "parts")
    result = rk.train(resume=True, out=str(tmp_path / "parts"), threads=1, observer=Observer())
    rk.train(str(data), observer=Observer(), **settings, out=str(tmp_path / "whole"))
    assert result.resumed_at > 0
    assert_equal_bits(tmp_path / "parts", tmp_path / "whole")


def test_paths_in_a_recipe_hold_from_any_folder(pictures, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(pictures, tmp_path / "d")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine.yaml"
    mine.write_text("model: resnet8\nepochs: 1\ndata: {data: d, image_size: 28}\n")
    rk.train(recipe="mine.yaml", out="r", threads=1, observer=Observer())
    shutil.rmtree(tmp_path / "r" / "classifier")
    monkeypatch.chdir(tmp_path / "elsewhere")
    rk.train(resume=True, out="../r", threads=1, observer=Observer())
    rk.train("../d", resume=True, out="../r", threads=1, observer=Observer())
