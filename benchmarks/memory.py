"""Peak resident memory of a training run against the batch size.

    python benchmarks/memory.py

resnet18 at 96 px and resnet20 at 28 px on Fashion-MNIST, each run a process of its own; the peak is
what the operating system counted for it. Writes benchmarks/results/memory.json.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def peak(model: str, size: int, batch: int) -> float:
    """GiB of resident memory at the most, for four steps."""
    with tempfile.TemporaryDirectory() as folder:
        flags = (
            f"--model {model} --image-size {size} --batch-size {batch} --limit {4 * batch} "
            f"--epochs 1 --val-fraction 0.002 --out {folder}/run"
        )
        command = [sys.executable, "-m", "resnetkit", "train", "fashion-mnist", *flags.split()]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return usage.ru_maxrss / 2**20


def main() -> None:
    rows = []
    for model, size in (("resnet18", 96), ("resnet20", 28)):
        for batch in (32, 64, 128, 256, 512):
            rows.append(
                {"model": model, "size": size, "batch": batch, "gib": peak(model, size, batch)}
            )
            print("{model} {size} px, batch {batch}: {gib:.2f} GiB".format(**rows[-1]), flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "memory.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
