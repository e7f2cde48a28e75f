"""Labels that a person has corrected: a CSV of `path,label` over a data set's own."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from resnetkit.data.csv_list import read_columns
from resnetkit.data.sources import Dataset, Source, Subset
from resnetkit.errors import UserError, nearest

CORRECTED = ("train", "val")
"""Parts whose labels may be corrected: the test part stays what it is."""


class Relabelled(Subset):
    """Some images of a source, each under a label that may be another than its own."""

    def __init__(self, source: Source, chosen: np.ndarray, labels: np.ndarray):
        super().__init__(source, chosen)
        self.labels = labels


def relabelled(dataset: Dataset, file: Path) -> Dataset:
    """The data set with the labels of a CSV where it has any; an empty label leaves an image out.

    Args:
        dataset: of one class an image.
        file: columns `path`, as `resnetkit labels` writes it, from the root or from the file's
            own folder, and `label`.

    Raises:
        UserError: a path or a class that the data set has not, with the line; or several classes.
    """
    if dataset.task != "single-label":
        raise UserError("--labels corrects images of one class each; edit the data's own CSV")
    rows, used = _rows(file, dataset), set()
    parts = dict(dataset.parts)
    for part in CORRECTED:
        if part in parts:
            parts[part] = _corrected(parts[part], rows, used)
    unknown = [(line, name) for name, (line, _) in rows.items() if name not in used]
    if unknown:
        line, name = min(unknown)
        raise UserError(f"{file}, line {line}: {dataset.location} has no image {name} to train on")
    return replace(dataset, parts=parts)


def _rows(file: Path, dataset: Dataset) -> dict[str, tuple[int, int | None]]:
    """Path -> its line, and the number of its class; None where the label is empty."""
    number = {name: i for i, name in enumerate(dataset.classes)}
    found: dict[str, tuple[int, int | None]] = {}
    for line, row in read_columns(file):
        label = (row["label"] or "").strip()
        if label and label not in number:
            raise UserError(
                f"{file}, line {line}: unknown class {label!r}; {nearest(label, number)}"
            )
        name = _whole(row["path"] or "", file)
        if name in found:
            raise UserError(f"{file}, line {line}: {row['path']} stands there twice")
        found[name] = (line, number[label] if label else None)
    return found


def _whole(name: str, file: Path) -> str:
    """A path as the data set has it: those of files are whole."""
    beside = file.parent / name
    return os.path.normpath(beside.absolute() if beside.exists() else name)


def _corrected(source: Source, rows: dict[str, tuple[int, int | None]], used: set[str]) -> Source:
    """The source with the labels that are meant for it; their names are put into `used`."""
    labels, keep = source.labels.copy(), np.ones(len(source), bool)
    for index in range(len(source)):
        name = os.path.normpath(source.name(index))
        if name in rows:
            used.add(name)
            _, label = rows[name]
            keep[index] = label is not None
            labels[index] = labels[index] if label is None else label
    chosen = np.flatnonzero(keep)
    return Relabelled(source, chosen, labels[chosen])
