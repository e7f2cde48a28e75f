"""Whole commands that several benchmarks run: ours, and the plain loop of the peers."""

import json
import subprocess
import sys
from pathlib import Path

from resnetkit.data.fashion_mnist import find_fashion_mnist

HERE = Path(__file__).parent


def resnetkit(*arguments: str) -> dict:
    """What `resnetkit ARGUMENTS --json` prints."""
    return _json([sys.executable, "-m", "resnetkit", *arguments, "--json"])


def epochs_of(run: Path) -> list[dict]:
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def rows_of(run: Path) -> list[dict]:
    """What a figure shows of a run's epochs."""
    keys = ("epoch", "seconds", "val_top1", "train_loss")
    return [{key: row[key] for key in keys} for row in epochs_of(run)]


def plain_rate(python: str, *flags: str) -> float:
    """Images/s of the plain torchvision loop on Fashion-MNIST at 96 px."""
    script, data = str(HERE / "peer_loop.py"), str(find_fashion_mnist())
    return _json([python, script, data, *flags])["images_per_second"]


def plain_folder_rate(python: str, folder: Path) -> float:
    """Images/s of the plain torchvision loop on a folder of JPEGs at 96 px."""
    return _json([python, str(HERE / "peer_folder.py"), str(folder)])["images_per_second"]


def _json(command: list[str]) -> dict:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)
