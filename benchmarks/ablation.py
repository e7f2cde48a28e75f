"""What each ingredient of a recipe gains: the recipe with one thing changed at a time.

    python benchmarks/ablation.py fast
    python benchmarks/ablation.py default

Fashion-MNIST, judged on a sixth of the training images held out, the same for all; the test part is
not looked at. Fewer epochs than the recipe has. `seconds` are of training and say little while
something else runs; `--threads 1` lets two such programs run side by side. What was found before is
kept: `--only` adds to it or measures it anew. Writes benchmarks/results/ablation_<recipe>.json.
"""

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import resnetkit as rk
from resnetkit.training.observer import Observer
from resnetkit.training.session import RunResult
from turns import keep, kept

HELD_OUT, AS_IT_IS = 1 / 6, "as it is"


@dataclass(frozen=True)
class Ablation:
    """How long and how often a recipe is trained, and what is changed in it."""

    epochs: int
    seeds: int
    changes: dict[str, dict]


ABLATIONS = {
    "fast": Ablation(
        epochs=3,
        seeds=3,
        changes={
            AS_IT_IS: {},
            "judged without mirror images": {"mirror": False},
            "mirrored by chance": {"alternate": False},
            "shifted by up to 2 pixels": {"shift": 2},
            "no label smoothing": {"label_smoothing": 0.0},
            "cosine": {"schedule": "cosine", "warmup_steps": None},
            "half the learning rate": {"lr": 0.2},
            "twice the learning rate": {"lr": 0.8},
            "moving average": {"ema": 0.98},
            "every block begins as the identity": {"identity_start": True},
            "resnet20": {"model": "resnet20"},
            "resnet14x2h": {"model": "resnet14x2h"},
        },
    ),
    "default": Ablation(
        epochs=12,
        seeds=2,
        changes={
            AS_IT_IS: {},
            "no random erasing": {"erase": 0.0},
            "random erasing in half of the pictures": {"erase": 0.5},
            "no label smoothing": {"label_smoothing": 0.0},
            "shifted by up to 1 pixel": {"shift": 1},
            "half the learning rate": {"lr": 0.05},
            "twice the learning rate": {"lr": 0.2},
        },
    ),
}


def trained(recipe: str, epochs: int, seed: int, threads: int | None, changes: dict):
    """Validation accuracy and seconds of training."""
    with tempfile.TemporaryDirectory() as place:
        run = rk.train(
            "fashion-mnist", recipe=recipe, epochs=epochs, val_fraction=HELD_OUT, seed=seed,
            out=str(Path(place) / "run"), observer=Observer(), threads=threads, **changes,
        )  # fmt: skip
    assert isinstance(run, RunResult)
    assert run.val_top1 is not None
    return run.val_top1, run.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", choices=ABLATIONS)
    parser.add_argument("--only", action="append", help="one of the changes; may be repeated")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    ablation, name = ABLATIONS[options.recipe], f"ablation_{options.recipe}"
    for change in options.only or ablation.changes:
        settings = ablation.changes[change]
        pairs = [
            trained(options.recipe, ablation.epochs, seed, options.threads, settings)
            for seed in range(ablation.seeds)
        ]
        accuracies, seconds = zip(*pairs, strict=True)
        found = {"val_top1": statistics.mean(accuracies), "each": accuracies,
                 "seconds": statistics.median(seconds)}  # fmt: skip
        print(f"{change:38} {found['val_top1']:.4f} {found['seconds']:.0f} s", flush=True)
        keep(name, {"epochs": ablation.epochs, "held_out": HELD_OUT,
                    "runs": kept(name).get("runs", {}) | {change: found}})  # fmt: skip


if __name__ == "__main__":
    main()
