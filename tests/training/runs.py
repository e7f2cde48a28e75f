"""Small runs, whole or stopped and resumed, and what must be equal in them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import safetensors.torch
import torch

import resnetkit as rk
from resnetkit.training import ready_run
from resnetkit.training.observer import Observer

SETTINGS = {
    "model": "resnet8", "limit": 320, "epochs": 3, "batch_size": 32, "val_fraction": 0.01,
    "ema": 0.9, "erase": 0.3, "label_smoothing": 0.1, "clip": 2.0, "seed": 5, "threads": 1,
    "workers": 1, "drop_path": 0.2, "dropout": 0.1, "alternate": True, "mirror": True,
}  # fmt: skip


FLAGS = (
    "fashion-mnist --model resnet8 --limit 320 --epochs 3 --batch-size 32 --val-fraction 0.01 "
    "--ema 0.9 --erase 0.3 --label-smoothing 0.1 --clip 2 --seed 5 "
    "--drop-path 0.2 --dropout 0.1 --alternate --mirror"
).split()


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


def stop_and_resume(out: Path, at: int, monkeypatch, **changes) -> None:
    """A Ctrl-C that comes while step `at` is computed; then the rest of the run."""
    stop(out, at, monkeypatch, **changes)
    result = rk.train(resume=True, out=str(out), threads=1, workers=2, observer=Observer())
    assert result.resumed_at == at


def stop(out: Path, at: int, monkeypatch, **changes) -> None:
    """A Ctrl-C that comes while step `at` is computed."""

    class StopAt(ready_run.StopRequest):
        def __enter__(self):
            super().__enter__()
            stop, step = self, ready_run.Trainer.train_step

            def counted(trainer, batch):
                step(trainer, batch)
                if trainer.step == at:
                    stop.signal = signal.SIGINT

            monkeypatch.setattr(ready_run.Trainer, "train_step", counted)
            return self

    monkeypatch.setattr(ready_run, "StopRequest", StopAt)
    result = train(out, **changes)
    monkeypatch.undo()
    assert (result.steps, result.interrupted) == (at, signal.SIGINT)
    assert not (out / "classifier").exists()


def start_command(out: Path, *flags: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "resnetkit", "train", *flags, "--out", str(out)]
    return subprocess.Popen(
        [*command, "--threads", "1", "--workers", "1", "--checkpoint-seconds", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
