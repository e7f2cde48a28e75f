"""images/s of `resnetkit train`, input included, against a plain torchvision loop.

    python benchmarks/train_speed.py --peers .venv-peers/bin/python

resnet18, one channel, 96 px, batch 64, the same Fashion-MNIST pictures, two cores, in alternating
processes. Theirs is counted from step 20 on; ours over the whole second epoch (steps 40 to 80), as
metrics.jsonl has it. Writes benchmarks/results/train_speed.json.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from commands import epochs_of, plain_rate, resnetkit

IMAGES, BATCH = 2560, 64
RESULTS = Path(__file__).parent / "results"


def ours(precision: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        flags = (
            f"--recipe textbook --epochs 2 --batch-size {BATCH} --limit {IMAGES} "
            f"--val-fraction 0.001 --precision {precision} --out {out}"
        )
        resnetkit("train", "fashion-mnist", *flags.split())
        return epochs_of(out)[1]["images_per_second"]


def theirs(python: str) -> float:
    return plain_rate(python, "--images", str(IMAGES), "--batch-size", str(BATCH))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", required=True, help="python of the environment of `make peers`")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rounds = []
    for _ in range(options.rounds):
        row = {"auto": ours("auto"), "torchvision": theirs(options.peers), "fp32": ours("fp32")}
        rounds.append(row)
        print(" ".join(f"{name} {rate:.1f}" for name, rate in row.items()), flush=True)
    ratios = {
        name: statistics.median(row[name] / row["torchvision"] for row in rounds)
        for name in ("auto", "fp32")
    }
    print("median ratio to torchvision:", {name: round(r, 2) for name, r in ratios.items()})
    RESULTS.mkdir(exist_ok=True)
    content = json.dumps({"images_per_second": rounds, "median_ratio": ratios}, indent=1)
    (RESULTS / "train_speed.json").write_text(content + "\n")


if __name__ == "__main__":
    main()
