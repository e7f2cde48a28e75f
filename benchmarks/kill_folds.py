"""Kill cross-validations again and again, resume them, compare with an undisturbed one.

    python benchmarks/kill_folds.py --runs 10

Each is killed by SIGKILL at random moments, about three times before its end: in a fold, between
folds, or while the predictions are made and written. Then out_of_fold.npz, folds.json (but for
seconds) and every fold's Classifier and metrics.jsonl must be those of the undisturbed one.
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

FOLDS = 3
RECIPE = (
    f"--folds {FOLDS} --model resnet8 --limit 1500 --epochs 2 --batch-size 64 --seed 3 --ema 0.99"
).split()
SESSION = "--threads 1 --workers 1 --checkpoint-seconds 0.2".split()


def start(out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "resnetkit", "train", "--out", str(out), *SESSION]
    flags = ["--resume"] if out.exists() else ["fashion-mnist", *RECIPE]
    return subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def finish(out: Path) -> None:
    process = start(out)
    _, errors = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"{out}: exit {process.returncode}\n{errors.decode()}")


def moment(out: Path) -> str:
    """Where a kill has struck."""
    if not out.exists():
        return "before it appeared"
    begun = [number for number in range(1, FOLDS + 1) if (out / f"fold-{number}").exists()]
    if not begun:
        return "before fold 1"
    done = (out / f"fold-{begun[-1]}" / "classifier").exists()
    if done:
        return "after the last fold" if begun[-1] == FOLDS else "between folds"
    return f"in fold {begun[-1]}"


def contents(out: Path) -> dict:
    """Everything that must be equal."""
    found: dict = {"out of fold": (out / "out_of_fold.npz").read_bytes()}
    summary = json.loads((out / "folds.json").read_text())
    for row in summary["results"]:
        row.pop("seconds")
    found["summary"] = summary
    for number in range(1, FOLDS + 1):
        run = out / f"fold-{number}"
        found[f"weights {number}"] = (run / "classifier" / "model.safetensors").read_bytes()
        rows = [json.loads(line) for line in (run / "metrics.jsonl").open()]
        for row in rows:
            del row["seconds"], row["images_per_second"]
        found[f"metrics {number}"] = rows
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, folder = random.Random(options.seed), Path(tempfile.mkdtemp(prefix="kill-folds-"))
    began = time.monotonic()
    finish(folder / "undisturbed")
    seconds = time.monotonic() - began
    undisturbed, good, kinds = contents(folder / "undisturbed"), 0, Counter()
    print(f"undisturbed: {seconds:.0f} s", flush=True)
    for number in range(options.runs):
        out, killed = folder / f"run-{number}", []
        for _ in range(3):
            process = start(out)
            time.sleep(draw.uniform(0.2, 0.9) * seconds)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if process.returncode == -signal.SIGKILL:
                killed.append(moment(out))
        finish(out)
        found = contents(out)
        differ = [name for name, value in undisturbed.items() if found[name] != value]
        left = [str(path) for path in out.rglob(".unfinished*")]
        good += not differ and not left
        kinds.update(killed)
        said = ", ".join(differ + left) or "equal"
        print(f"run {number}: killed {'; '.join(killed)}: {said}", flush=True)
    print(f"{good} of {options.runs} bit-equal; where the kills struck: {dict(kinds)}")
    shutil.rmtree(folder)
    sys.exit(good != options.runs)


if __name__ == "__main__":
    main()
