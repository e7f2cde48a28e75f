"""Small real data: Fashion-MNIST and folders of pictures made from it."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.data.fashion_mnist import find_fashion_mnist
from resnetkit.data.sources import Dataset, open_dataset

torch.set_num_threads(1)  # tests run in as many processes as there are cores


def own_core() -> None:
    """One of pytest's workers and all that it starts stay on a core of their own.

    Several threads that wait for each other on cores that others use take many times as long.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


own_core()

TINY = (
    "--model resnet8 --limit 300 --epochs 2 --batch-size 32 --val-fraction 0.01 "
    "--threads 1 --workers 1"
).split()
"""Flags of a run that takes two seconds."""


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Tests, and the commands that they start, leave the user's cache alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNETKIT_DATA", str(find_fashion_mnist()))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def fashion() -> Dataset:
    return open_dataset("fashion-mnist")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, fashion: Dataset) -> Path:
    """A folder with a subfolder a class: 12 real pictures of each of three, as PNG and JPEG."""
    root = tmp_path_factory.mktemp("pictures")
    source = fashion.parts["train"]
    for label in (1, 5, 8):
        name = fashion.classes[label].replace("/", "-")
        (root / name).mkdir()
        for i, index in enumerate(np.flatnonzero(source.labels == label)[:12]):
            picture = Image.fromarray(source.image(int(index))[:, :, 0])
            if i % 3 == 0:
                picture.convert("RGB").resize((40, 30)).save(root / name / f"{i}.jpg", quality=95)
            else:
                picture.save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run on Fashion-MNIST that has come to its end."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["train", "fashion-mnist", *TINY, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def classifier(finished_run: Path) -> rk.Classifier:
    return rk.load(finished_run)
