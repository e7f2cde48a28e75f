"""Some pictures of Fashion-MNIST as tensors, for experiments that look inside networks."""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from resnetkit.data.sources import Dataset, array_of, open_dataset
from resnetkit.data.transform import Transform


def some_pictures(
    count: int, data_dir: str | None, part: str = "train", transform: Transform | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first pictures of a part, float (count, 1, 28, 28), and their labels, int64 (count,).

    Args:
        count: how many.
        data_dir: where the files of fashion-mnist are.
        part: train or test.
        transform: whose mean and deviation they are normalised by; by default their own.
    """
    source = open_dataset("fashion-mnist", data_dir).parts[part]
    pixels = array_of(source)
    assert pixels is not None
    raw = torch.from_numpy(pixels[:count].copy())
    labels = torch.from_numpy(source.labels[:count].copy())
    if transform is not None:
        return transform.normalise(raw), labels
    scaled = raw.permute(0, 3, 1, 2) / 255
    return (scaled - scaled.mean()) / scaled.std(), labels


def write_labels(
    file: Path, dataset: Dataset, chosen: Sequence[int], labels: Sequence[int]
) -> None:
    """A CSV, as `train --labels` reads it, that gives some training images these labels."""
    train = dataset.parts["train"]
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as text:
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["path", "label"])
        for index, label in zip(chosen, labels, strict=True):
            table.writerow([train.name(index), dataset.classes[label]])


@torch.inference_mode()
def accuracy(net: nn.Module, pictures: torch.Tensor, labels: torch.Tensor) -> float:
    """Part of the pictures that a network names rightly; chance is the same every time."""
    torch.manual_seed(0)
    net.eval()
    batches = zip(pictures.split(256), labels.split(256), strict=True)
    return float(sum((net(x).argmax(1) == y).sum() for x, y in batches)) / len(labels)
