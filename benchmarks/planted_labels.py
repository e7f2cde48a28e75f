"""Wrong labels planted in Fashion-MNIST, and how many of them `resnetkit labels` finds.

    python benchmarks/planted_labels.py [--epochs 8]

A tenth of the 60,000 labels is replaced, by any other class (uniform) or by the next one; three
folds of the recipe `fast` predict every image by a network that has not seen it; and one run, of
which what it says while it learns is kept (`--dynamics`). The list's own cut
is set against thresholds of the given class's probability, and against the confident joint
(Northcutt 2021, arXiv 1911.00068, section 3.1) on the same probabilities. With cleanlab installed
its list is set beside them. Writes benchmarks/results/planted_labels.json.
"""

import argparse
import csv
import json
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import resnetkit as rk
from resnetkit.data.sources import open_dataset
from resnetkit.label_scores import right_probability
from resnetkit.machine import choose_device, environment
from resnetkit.metrics import log_softmax
from resnetkit.training.observer import Observer
from turns import keep, kept

SHARE, SEED, KINDS = 0.1, 7, ("uniform", "next")


def plant(kind: str, file: Path) -> set[str]:
    """Write a CSV of wrong labels; returns the names of the images."""
    dataset, rng = open_dataset("fashion-mnist"), np.random.default_rng(SEED)
    train, classes = dataset.parts["train"], len(dataset.classes)
    chosen = rng.permutation(len(train))[: round(SHARE * len(train))]
    shift = rng.integers(1, classes, len(chosen)) if kind == "uniform" else 1
    wrong = (train.labels[chosen] + shift) % classes
    with file.open("w", newline="") as text:
        table = csv.writer(text)
        table.writerow(["path", "label"])
        for index, label in sorted(zip(chosen, wrong, strict=True)):
            table.writerow([train.name(index), dataset.classes[label]])
    return {train.name(index) for index in chosen}


def confident_joint(chances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Images that are counted under another class than their label."""
    classes = range(chances.shape[1])
    least = np.array([chances[labels == k, k].mean() for k in classes])
    sure = np.where(chances >= least, chances, -1)
    return (sure.max(1) >= 0) & (sure.argmax(1) != labels)


def counted(flagged: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    right = int((flagged & wrong).sum())
    return {"listed": int(flagged.sum()), "recall": right / int(wrong.sum()),
            "precision": right / max(1, int(flagged.sum()))}  # fmt: skip


def judged(file: Path, planted: set[str], epochs: int) -> dict:
    with np.load(file) as found:
        logits, labels, paths = found["logits"], found["labels"], found["paths"]
    wrong, chances = np.isin(paths, list(planted)), np.exp(log_softmax(logits.astype(np.float64)))
    given = chances[np.arange(len(labels)), labels]
    ways = {"resnetkit labels": right_probability(logits, labels).right < 0.5}
    ways |= {f"p(given) < {cut}": given < cut for cut in (0.03, 0.05, 0.07)}
    ways["confident joint"] = confident_joint(chances, labels)
    if find_spec("cleanlab"):
        ways["cleanlab"] = import_module("cleanlab.filter").find_label_issues(labels, chances)
    top1 = float((logits.argmax(1) == labels)[~wrong].mean())
    about = {"epochs": epochs, "hardware": environment(choose_device())["hardware"]}
    return {
        **about,
        "top1_of_the_others": top1,
        **{name: counted(f, wrong) for name, f in ways.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--one-run", action="store_true", help="keep what is known of folds")
    options = parser.parse_args()
    result: dict = kept("planted_labels") if options.one_run else {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as place:
            planted = plant(kind, Path(place) / "planted.csv")
            common: dict = {"recipe": "fast", "epochs": options.epochs, "observer": Observer(),
                            "labels": str(Path(place) / "planted.csv")}  # fmt: skip
            if not options.one_run:
                cv = rk.train("fashion-mnist", folds=3, out=str(Path(place) / "cv"), **common)
                result[kind] = judged(Path(cv.run) / "out_of_fold.npz", planted, options.epochs)
            run = rk.train("fashion-mnist", dynamics=True, out=str(Path(place) / "run"), **common)
            result[f"{kind}, one run"] = judged(
                Path(run.run) / "dynamics.npz", planted, options.epochs
            )
            told = {name: found for name, found in result.items() if name.startswith(kind)}
        print(json.dumps(told, indent=1), flush=True)
        keep("planted_labels", result)


if __name__ == "__main__":
    main()
