"""A recipe as it is on Fashion-MNIST, from start to end: accuracy on the test part, judged once.

    python benchmarks/long_recipe.py default
    python benchmarks/long_recipe.py best

An hour a seed, or more. Runs are kept in runs/long; stopped by Ctrl-C, the same command goes on.
Writes benchmarks/results/<recipe>_recipe.json.
"""

import argparse
from pathlib import Path

from commands import resnetkit
from turns import keep


def judged(recipe: str, seed: int, out: Path) -> dict:
    """Train, or go on with it, and judge."""
    if (out / "classifier").exists():
        raise SystemExit(f"{out} is finished: remove it to measure anew")
    begin = ["fashion-mnist", "--recipe", recipe, "--seed", str(seed)]
    run = resnetkit("train", *(["--resume"] if out.exists() else begin), "--out", str(out))
    test = resnetkit("evaluate", str(out), "fashion-mnist")
    return {"seed": seed, "epochs": run["epochs"], "training": run["seconds"],
            "val_top1": run["val_top1"], "test_top1": test["top1"]}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", choices=("default", "best"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", default="runs/long", help="folder of the runs")
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        rows.append(judged(options.recipe, seed, Path(options.out) / f"{options.recipe}-{seed}"))
        print(rows[-1], flush=True)
        keep(f"{options.recipe}_recipe", {"runs": rows})


if __name__ == "__main__":
    main()
