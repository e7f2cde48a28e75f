"""Published ImageNet accuracies, and the names under which the Hub has weights: published.csv."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

SOURCES = {
    "torchvision": "torchvision 0.28: models/resnet.py, the entries of its weights",
    "timm": "timm: results/results-imagenet.csv of its repository, read in August 2026",
    "gluoncv": "GluonCV: docs/model_zoo, ResNet.csv; v1 has the stride on the first 1x1",
    "he2015": "He 2015: github.com/KaimingHe/deep-residual-networks, one crop",
    "fb.resnet.torch": "github.com/facebookarchive/fb.resnet.torch, one crop",
}
"""Where an accuracy was read."""


@dataclass(frozen=True)
class Published:
    """Weights that somebody has published.

    Attributes:
        model: the network's name in the zoo.
        source: a key of SOURCES.
        tag: what the source calls the weights; for timm, of the name on the Hub.
        image_size: side in pixels of the images that were judged.
        top1: per cent of the ImageNet validation images; None where none was read.
    """

    model: str
    source: str
    tag: str
    image_size: int
    top1: float | None


@cache
def published() -> tuple[Published, ...]:
    """All lines of published.csv, in the order of the zoo."""
    file = resources.files("resnetkit") / "published.csv"
    return tuple(
        Published(
            row["model"], row["source"], row["tag"], int(row["image_size"]),
            float(row["top1"]) if row["top1"] else None,
        )
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    )  # fmt: skip


def hub_names() -> list[str]:
    """The names that `--weights` knows of the Hub, such as resnet50.a1_in1k."""
    return sorted({f"{row.model}.{row.tag}" for row in published() if row.source == "timm"})


def best_published(model: str) -> Published | None:
    """The highest accuracy that was published for a network; None where there is none."""
    rows = [row for row in published() if row.model == model and row.top1 is not None]
    return max(rows, key=lambda row: row.top1 or 0, default=None)
