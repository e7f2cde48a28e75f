"""A run that is stopped or killed and resumed ends in the bits of the undisturbed one."""

import json
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from tests.training.runs import (
    FLAGS,
    SETTINGS,
    assert_equal_bits,
    start_command,
    stop,
    stop_and_resume,
    train,
)

import resnetkit as rk
from resnetkit.training.observer import Observer


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
        {"optimiser": "lamb", "lr": 0.01, "policy": "trivial", "mixup": 0.2},
        {
            "model": "preresnet110",
            "limit": 64,
            "batch_size": 16,
            "schedule": "one-cycle",
            "val_fraction": 0.001,
        },
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
    assert f"resnetkit train --resume --out {out} --threads 1" in said
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


def test_wide_convolutions_on_tiny_maps_resume_too(tmp_path, monkeypatch):
    """resnet18 at 64 pixels ends in maps of 2 x 2, whose convolutions are matrix products."""
    changes = {"model": "resnet18", "image_size": 64, "limit": 40, "batch_size": 16, "epochs": 2,
               "val_fraction": 0.001}  # fmt: skip
    train(tmp_path / "whole", **changes)
    stop_and_resume(tmp_path / "stopped", 3, monkeypatch, **changes)
    assert_equal_bits(tmp_path / "whole", tmp_path / "stopped")


def test_a_cache_changes_no_bit(tmp_path, pictures):
    """Random boxes of image files: kept in memory, in a folder, in a full one, or not at all."""
    size = {"cache_size": "20KB"}
    caches = {"off": {}, "memory": {}, str(tmp_path / "kept"): {}, str(tmp_path / "full"): size}
    runs = []
    for number, (cache, more) in enumerate(caches.items()):
        out = tmp_path / f"run{number}"
        rk.train(
            str(pictures), model="resnet8", image_size=24, crop="resized", epochs=3, batch_size=8,
            val_fraction=0.2, threads=1, workers=2, out=str(out), cache=cache,
            observer=Observer(), **more,
        )  # fmt: skip
        runs.append(out)
    for run in runs[1:]:
        assert_equal_bits(runs[0], run)


def test_a_run_without_checkpoints_begins_at_its_first_step_and_says_so(tmp_path, monkeypatch):
    said, out, observer = [], tmp_path / "run", Observer()
    stop(out, 7, monkeypatch)
    for file in (out / "checkpoints").iterdir():
        file.unlink()
    monkeypatch.setattr(observer, "say", said.append)
    result = rk.train(resume=True, out=str(out), threads=1, observer=observer)
    assert result.resumed_at == 0
    assert any("no checkpoint to go on from: it begins at its first step" in line for line in said)


@pytest.mark.parametrize("finished", [False, True])
def test_where_to_begin_anew(tmp_path, monkeypatch, finished):
    """Only a finished run has weights to begin with."""
    out, more = tmp_path / "run", {"schedule": "constant"}
    if finished:
        train(out, **more)
    else:
        stop(out, 7, monkeypatch, **more)
    instead = f"--weights {out}" if finished else "another --out"
    with pytest.raises(rk.UserError, match=f"threads: 1 -> 2; .* or start anew with {instead}"):
        rk.train(resume=True, out=str(out), epochs=4, threads=2, observer=Observer())
    torch.set_num_threads(1)
