"""Kill training runs at random moments, resume them, compare with an undisturbed one bit by bit.

    python benchmarks/kill_resume.py --runs 20

Every run uses workers, EMA, momentum and augmentation. Kinds of kill, in turn: while a checkpoint
is being written (verified: its unfinished file is still there after the kill), in the middle of an
epoch after a checkpoint (verified by the checkpoint's step), while the Classifier is being written
at the very end (verified likewise), and at any moment at all.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import safetensors.torch
import torch

RECIPE = (
    "--model resnet20 --limit 4000 --epochs 3 --batch-size 64 --seed 3 --ema 0.99 --erase 0.25 "
    "--label-smoothing 0.1 --clip 5 --val-fraction 0.02"
).split()
SESSION = ["--workers", "2", "--checkpoint-seconds", "0.2"]
KINDS = ("writing", "mid-epoch", "mid-epoch", "any", "writing", "mid-epoch", "mid-epoch", "ending")
NOT_COMPARED = ("seconds", "images_per_second")


def start(out: Path, *, resume: bool) -> subprocess.Popen:
    command = [sys.executable, "-m", "resnetkit", "train", "fashion-mnist", "--out", str(out)]
    flags = ["--resume"] if resume else RECIPE
    return subprocess.Popen([*command, *flags, *SESSION], stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> None:
    """Wait for the end of a run that nothing disturbs."""
    _, errors = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"{process.args}: exit {process.returncode}\n{errors}")


def unfinished(out: Path, kind: str) -> list[Path]:
    """What is half-written of a checkpoint, or of the Classifier."""
    if kind == "ending":
        return list(out.glob(".unfinished-classifier-*"))
    return list((out / "checkpoints").glob(".unfinished-*"))


def newest_step(out: Path) -> int | None:
    names = sorted(p.name for p in (out / "checkpoints").glob("step-*.safetensors"))
    return int(names[-1][5:14]) if names else None


def kill_one(out: Path, kind: str, seconds: float, draw: random.Random) -> str | None:
    """Start a run and kill it; what kind of moment it was, None when it was not of that kind."""
    process = start(out, resume=out.exists())
    began = time.monotonic()
    while kind != "any" and newest_step(out) is None and process.poll() is None:
        time.sleep(0.001)
    share = {"any": seconds, "ending": 0}.get(kind, 0.7 * seconds)
    until = time.monotonic() + draw.uniform(0, share)
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.001)
    while kind in ("writing", "ending") and process.poll() is None and not unfinished(out, kind):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if process.returncode != -signal.SIGKILL:
        return None  # it had already ended
    if kind in ("writing", "ending"):
        return kind if unfinished(out, kind) else None
    step = newest_step(out)
    steps = -(-4000 // 64)
    if kind == "mid-epoch":
        return "mid-epoch" if step and step % steps else None
    return f"any ({time.monotonic() - began:.1f} s)"


def contents(out: Path) -> dict:
    """Everything that must be equal: tensors of the last checkpoint, Classifier, metrics."""
    newest = max((out / "checkpoints").glob("step-*.safetensors"))
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return {
        "checkpoint": safetensors.torch.load_file(newest),
        "classifier": safetensors.torch.load_file(out / "classifier" / "model.safetensors"),
        "metrics": [{k: v for k, v in row.items() if k not in NOT_COMPARED} for row in rows],
    }


def equal(a: dict, b: dict) -> bool:
    for part in ("checkpoint", "classifier"):
        if a[part].keys() != b[part].keys():
            return False
        for name, tensor in a[part].items():
            other = b[part][name]
            bits = (t.contiguous().view(-1).view(torch.uint8) for t in (tensor, other))
            if tensor.dtype != other.dtype or not torch.equal(*bits):
                print("differs:", part, name)
                return False
    return a["metrics"] == b["metrics"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, folder = random.Random(options.seed), Path(tempfile.mkdtemp(prefix="kill-"))
    began = time.monotonic()
    finish(start(folder / "undisturbed", resume=False))
    seconds = time.monotonic() - began
    undisturbed = contents(folder / "undisturbed")
    names = set(undisturbed["checkpoint"])
    assert any(n.startswith("ema/") for n in names) and any(
        n.startswith("optimiser/") for n in names
    )
    print(
        f"undisturbed: {seconds:.0f} s, {len(names)} tensors, {len(undisturbed['metrics'])} epochs"
    )
    good, kinds = 0, Counter()
    for number in range(options.runs):
        out, wanted = folder / f"run-{number}", KINDS[number % len(KINDS)]
        while (kind := kill_one(out, wanted, seconds, draw)) is None:
            shutil.rmtree(out, ignore_errors=True)
        if draw.random() < 0.3 and out.exists():  # and again, while it goes on
            again = kill_one(out, "any", seconds / 2, draw)
            kind += f", then {again}" if again else ""
        kinds[kind.split(",")[0].split(" ")[0]] += 1
        step = newest_step(out)
        finish(start(out, resume=out.exists()))
        same = equal(contents(out), undisturbed)
        good += same
        print(
            f"run {number}: killed {kind}, resumed at step {step}: {'equal' if same else 'DIFFERS'}"
        )
    print(f"{good} of {options.runs} bit-equal; kinds of kill: {dict(kinds)}")
    shutil.rmtree(folder)
    sys.exit(good != options.runs)


if __name__ == "__main__":
    main()
