"""What each ingredient of `--recipe fast` gains: the recipe with one thing changed at a time.

    python benchmarks/fast_ablation.py

Fashion-MNIST, 3 epochs, judged on a sixth of the training images held out, three seeds; the test
part is not looked at. `seconds` are of training and say little while something else runs. Writes
benchmarks/results/fast_ablation.json.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import resnetkit as rk
from resnetkit.training.observer import Observer
from resnetkit.training.session import RunResult
from turns import keep

EPOCHS, HELD_OUT = 3, 1 / 6
CHANGES = {
    "as it is": {},
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
}


def trained(seed: int, changes: dict) -> tuple[float, float]:
    """Validation accuracy and seconds of training."""
    with tempfile.TemporaryDirectory() as place:
        run = rk.train(
            "fashion-mnist", recipe="fast", epochs=EPOCHS, val_fraction=HELD_OUT, seed=seed,
            out=str(Path(place) / "run"), observer=Observer(), **changes,
        )  # fmt: skip
    assert isinstance(run, RunResult)
    assert run.val_top1 is not None
    return run.val_top1, run.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=CHANGES, action="append")
    options = parser.parse_args()
    found = {}
    for name in options.only or CHANGES:
        pairs = [trained(seed, CHANGES[name]) for seed in range(options.seeds)]
        accuracies, seconds = zip(*pairs, strict=True)
        found[name] = {"val_top1": statistics.mean(accuracies), "each": accuracies,
                       "seconds": statistics.median(seconds)}  # fmt: skip
        print(f"{name:38} {found[name]['val_top1']:.4f} {found[name]['seconds']:.0f} s", flush=True)
        keep("fast_ablation", {"epochs": EPOCHS, "held_out": HELD_OUT, "runs": found})


if __name__ == "__main__":
    main()
