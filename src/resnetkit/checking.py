"""`resnetkit check`: what is wrong with a data set, before hours are spent on it."""

import os
import re
from pathlib import Path

import numpy as np

from resnetkit.data.decode import BadImage
from resnetkit.data.examine import Examination, examine
from resnetkit.data.sources import Dataset, open_dataset
from resnetkit.data.strata import strata
from resnetkit.data.transform import Transform
from resnetkit.files import check_can_create, whole_folder
from resnetkit.machine import check_threads, keep_freed_memory
from resnetkit.training.observer import Observer

SHOWN = 64
"""Pictures on a contact sheet."""


def check(
    data: str,
    *,
    data_dir: str | None = None,
    sheets: str | None = None,
    workers: int | None = None,
    observer: Observer | None = None,
) -> Examination:
    """Look a data set through: damage, sizes, modes, imbalance, duplicates, leaks between parts.

    Args:
        data: as `train` takes it; parts whose classes differ are reported, not refused.
        data_dir: where the files of fashion-mnist are.
        sheets: a folder to make, with a contact sheet of every class as a PNG.
        workers: threads that load images; by default the cores.
        observer: is told how it goes.

    Raises:
        UserError: there is no such data set, or `sheets` cannot be made.
    """
    check_threads("workers", workers, least=0)
    if sheets is not None:
        check_can_create(Path(sheets))
    keep_freed_memory()
    workers = workers if workers is not None else os.cpu_count() or 1
    dataset = open_dataset(data, data_dir, agree=False)
    images = sum(len(source) for source in dataset.parts.values())
    with (observer or Observer()).counting("looking through", images) as advance:
        found = examine(dataset, workers, advance)
    if sheets is not None:
        _write_sheets(dataset, Path(sheets))
    return found


def _write_sheets(dataset: Dataset, folder: Path) -> None:
    """A PNG for every class: evenly spaced pictures of all parts."""
    from resnetkit.report.sheets import draw_sheet

    thumb = Transform(size=96, channels=3)
    with whole_folder(folder) as beside:
        for label, name in enumerate(dataset.classes):
            members = [
                (source, row)
                for source in dataset.parts.values()
                for row in np.flatnonzero(strata(source.labels) == label)
            ]
            chosen = np.linspace(0, len(members) - 1, min(SHOWN, len(members))).astype(int)
            pictures = []
            for source, row in (members[i] for i in chosen):
                try:
                    pictures.append(thumb.image(source.image(int(row), 3)))
                except BadImage:
                    continue
            plain = re.sub(r"[^\w-]+", "_", name)[:60]
            title = f"{name}: {len(pictures)} of {len(members):,}"
            draw_sheet(pictures, title, beside / f"{label:03d}-{plain}.png")
