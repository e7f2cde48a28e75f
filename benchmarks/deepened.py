"""How accurate a deepened network stays while it is trained on: its first 100 steps.

    python benchmarks/deepened.py

resnet20 is trained on 20,000 images of Fashion-MNIST and deepened; the deeper network is trained on
by the default recipe as it is, and by one so short that its learning rate is at its highest by the
100th step. Accuracy on a sixth of the training images held out. Writes
benchmarks/results/deepened.json.
"""

import json
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import resnetkit as rk
from resnetkit.other_depths import deepen_classifier
from resnetkit.training.observer import Observer
from resnetkit.training.trainer import Trainer
from turns import keep

SETTINGS: dict[str, Any] = {"limit": 20_000, "val_fraction": 1 / 6, "observer": Observer()}
SHALLOW, EPOCHS, STEPS, EVERY = "resnet20", 12, 100, 5
CASES = [("resnet56", 100), ("resnet56", EPOCHS)]


class EnoughError(Exception):
    """A hundred steps are done."""


def first_steps(weights: str, epochs: int, place: Path) -> list[dict]:
    """Step and accuracy, before the first step and after every few."""
    rows: list[dict] = []
    step = Trainer.train_step

    def look(trainer: Trainer) -> None:
        accuracy = trainer.validate(trainer.trained.net).top1
        rows.append({"step": trainer.step, "val_top1": accuracy})
        trainer.replica.train()

    def watched(trainer: Trainer, batch) -> None:
        if not rows:
            look(trainer)
        step(trainer, batch)
        if trainer.step % EVERY == 0:
            look(trainer)
        if trainer.step == STEPS:
            raise EnoughError

    with patch.object(Trainer, "train_step", watched):
        try:
            rk.train("fashion-mnist", weights=weights, epochs=epochs, out=str(place), **SETTINGS)
        except EnoughError:
            return rows
    raise AssertionError


def main() -> None:
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shallow = str(place / SHALLOW)
        rk.train("fashion-mnist", model=SHALLOW, epochs=EPOCHS, out=shallow, **SETTINGS)
        for deep, epochs in CASES:
            weights = place / f"{deep}-{epochs}"
            deepen_classifier(shallow, str(weights), deep)
            rows = first_steps(str(weights), epochs, place / f"run-{deep}-{epochs}")
            begins, least = rows[0]["val_top1"], min(row["val_top1"] for row in rows)
            cases.append({"from": SHALLOW, "to": deep, "epochs": epochs, "begins": begins,
                          "least": least, "below": begins - least, "rows": rows})  # fmt: skip
            print({key: cases[-1][key] for key in ("to", "epochs", "begins", "least", "below")},
                  flush=True)  # fmt: skip
    print(json.dumps([case["below"] for case in cases]))
    keep("deepened", {"cases": cases})


if __name__ == "__main__":
    main()
