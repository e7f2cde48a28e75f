"""`--recipe fast` on Fashion-MNIST: whole commands of fixed length, judged once on the test part.

    make peers
    python benchmarks/fast_recipe.py --peers .venv-peers/bin/python

For each target an epoch count that was chosen on the validation part; three seeds. The wall time is
that of `resnetkit train` and `resnetkit evaluate` from start to end. What it is compared with: the
textbook's 600,000 images at 96 px at the images/s of a plain torchvision loop, measured before and
after. Writes benchmarks/results/fast_recipe.json; with `--only` the other targets stay as they are.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from commands import plain_rate, resnetkit
from turns import keep, kept

TARGETS = {"0.893": 2, "0.919": 5, "4 minutes": None}
TEXTBOOK_IMAGES = 600_000


def whole(recipe: str, epochs: int | None, seed: int) -> dict:
    """Train and judge; `epochs` of the recipe itself where None."""
    with tempfile.TemporaryDirectory() as place:
        out, begun = str(Path(place) / "run"), time.perf_counter()
        flags = ["--recipe", recipe, "--seed", str(seed), "--out", out]
        run = resnetkit("train", "fashion-mnist", *flags,
                        *([] if epochs is None else ["--epochs", str(epochs)]))  # fmt: skip
        judged = resnetkit("evaluate", out, "fashion-mnist")
        return {"seed": seed, "epochs": run["epochs"], "wall": time.perf_counter() - begun,
                "training": run["seconds"], "val_top1": run["val_top1"],
                "test_top1": judged["top1"]}  # fmt: skip


def told(runs: list[dict], textbook: float) -> dict:
    """What came of a target's runs, and which part of the textbook's seconds they took."""
    wall = statistics.mean(row["wall"] for row in runs)
    return {
        "epochs": runs[0]["epochs"],
        "test_top1": statistics.mean(row["test_top1"] for row in runs),
        "lowest": min(row["test_top1"] for row in runs),
        "wall": wall,
        "training": statistics.mean(row["training"] for row in runs),
        "of_textbook": wall / textbook,
        "textbook_seconds": textbook,
        "runs": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", required=True, help="python of the environment of `make peers`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=TARGETS, action="append")
    options = parser.parse_args()
    rates, found = [plain_rate(options.peers)], {}
    for target in options.only or TARGETS:
        found[target] = []
        for seed in range(options.seeds):
            found[target].append(whole("fast", TARGETS[target], seed))
            print(target, found[target][-1], flush=True)
    rates.append(plain_rate(options.peers))
    textbook = TEXTBOOK_IMAGES / statistics.mean(rates)
    targets = {target: told(runs, textbook) for target, runs in found.items()}
    print(json.dumps(targets, indent=1))
    keep("fast_recipe", {"targets": kept("fast_recipe").get("targets", {}) | targets})


if __name__ == "__main__":
    main()
