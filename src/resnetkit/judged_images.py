"""Which images a classifier is judged on: a part, under its own numbers for the classes."""

from pathlib import Path

import numpy as np

from resnetkit.classifier import Classifier
from resnetkit.data import prepare
from resnetkit.data.folds import hold_out
from resnetkit.data.relabel import Relabelled, relabelled
from resnetkit.data.sources import Dataset, Source, Subset, locate, open_dataset
from resnetkit.data.strata import task_of
from resnetkit.errors import UserError


def images_to_judge(
    classifier: Classifier, data: str, part: str | None, data_dir: str | None
) -> tuple[str, Source, list[str]]:
    """Open labelled images for a classifier.

    Args:
        classifier: what is to be judged.
        data: as `train` takes it.
        part: train, val or test; by default test, else val, else the whole of a flat folder.
        data_dir: where the files of fashion-mnist are.

    Returns:
        The part's name, its images, and what to be wary of.

    Raises:
        UserError: no such part, or classes that the classifier does not know.
    """
    dataset = open_dataset(locate(data), data_dir, multi_label=classifier.task == "multi-label")
    part = part or next((p for p in ("test", "val") if p in dataset.parts), "all")
    corrected = classifier.training.labels
    if corrected and part != "test" and dataset.location == classifier.training.data:
        dataset = relabelled(dataset, Path(corrected))
    if dataset.task != classifier.task:
        raise UserError(
            f"{dataset.location} gives an image several classes (a label holds a ;), but the "
            f"classifier was trained for one each"
        )
    part, source, warnings = _choose_part(classifier, dataset, part)
    source, missing = _by_class_name(classifier, dataset, source)
    if missing:
        warnings.append(f"no images of {len(missing)} classes: {', '.join(missing[:5])}")
    return part, source, warnings


def _choose_part(
    classifier: Classifier, dataset: Dataset, part: str
) -> tuple[str, Source, list[str]]:
    """The part's name, its images, and what to be wary of."""
    known = classifier.training
    same = dataset.location == known.data
    held_out = same and (known.val_fraction or known.folds)
    if part == "all":
        seen = ["it holds images that the network was trained on; --part val has those held out"]
        return part, dataset.parts["train"], seen if same else []
    if part in dataset.parts and not (part == "train" and held_out):
        return part, dataset.parts[part], []
    if part == "test" or not held_out:
        hint = "; --part val has the images held out in training" if held_out else ""
        there = ", ".join(dataset.parts)
        raise UserError(f"{dataset.location} has no {part} part; it has {there}{hint}")
    whole = dataset.parts["train"]
    if prepare.fingerprint(whole) != known.fingerprint:
        raise UserError(
            f"the images of {dataset.location} have changed since the training: which of them were "
            f"held out as {part} is no longer known"
        )
    rest, held = hold_out(
        whole.labels, known.seed, val_fraction=known.val_fraction,
        folds=known.folds, fold=known.fold, limit=known.limit,
    )  # fmt: skip
    return part, Subset(whole, held if part == "val" else rest), []


def _by_class_name(
    classifier: Classifier, dataset: Dataset, source: Source
) -> tuple[Source, list[str]]:
    """The images with the classifier's own numbers for their classes; classes without images."""
    unknown = [name for name in dataset.classes if name not in classifier.classes]
    if unknown:
        raise UserError(
            f"{dataset.location} has classes that the classifier does not know: "
            f"{', '.join(unknown[:5])}; it knows {', '.join(classifier.classes[:10])}"
        )
    positions = np.array([classifier.classes.index(name) for name in dataset.classes])
    missing = [name for name in classifier.classes if name not in dataset.classes]
    labels = source.labels
    if task_of(labels) == "single-label":
        labels = positions[labels]
    else:
        labels = np.zeros((len(source), len(classifier.classes)), np.uint8)
        labels[:, positions] = source.labels
    return Relabelled(source, np.arange(len(source)), labels), missing
