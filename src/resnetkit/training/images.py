"""Which images a run trains on and is judged by, never the test part; what is kept of each."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from resnetkit import inference
from resnetkit.data import prepare
from resnetkit.data.decode import BadImage
from resnetkit.data.folds import hold_out
from resnetkit.data.relabel import relabelled
from resnetkit.data.sources import Dataset, Source, Subset, open_dataset
from resnetkit.data.strata import class_counts, strata
from resnetkit.errors import UserError
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Facts, Recipe
from resnetkit.training.run_folder import DataRecord


def open_images(recipe: Recipe, data_dir: str | None) -> Dataset:
    """The data set of a recipe, its labels corrected; with folds its own val part is left alone."""
    dataset = open_dataset(recipe.data.data, data_dir, multi_label=recipe.data.multi_label)
    if recipe.data.labels:
        dataset = relabelled(dataset, Path(recipe.data.labels))
    if recipe.data.folds:
        rest = {part: source for part, source in dataset.parts.items() if part != "val"}
        dataset = replace(dataset, parts=rest)
    return dataset


def used_parts(dataset: Dataset) -> list[str]:
    """The parts that training looks at: never the test part."""
    return [part for part in ("train", "val") if part in dataset.parts]


def check_classes(dataset: Dataset) -> None:
    """Raise UserError unless there is a train part with at least two classes."""
    if "train" not in dataset.parts:
        there = ", ".join(dataset.parts)
        raise UserError(f"{dataset.location} has no train part to train on; it has {there}")
    if len(dataset.classes) < 2 and dataset.task == "single-label":
        raise UserError(
            f"{dataset.location} has one class only, {dataset.classes[0]!r}; there is nothing to "
            f"tell apart"
        )


Skipped = tuple[tuple[str, ...], ...]
"""(part, path, reason) of every image that is left out."""


def look_through(
    dataset: Dataset, workers: int, strict: bool, observer: Observer
) -> tuple[Skipped, Facts]:
    """Decode every image once: what cannot be read is left out, in all epochs alike.

    Raises:
        UserError: `strict`, and an image cannot be read.
    """
    skipped: list[tuple[str, str, str]] = []
    sizes, grey = set(), True
    for part in used_parts(dataset):
        source = dataset.parts[part]
        with observer.counting(f"looking through {part}", len(source)) as advance:
            found = prepare.scan(source, workers, advance)
        if found.bad and strict:
            raise UserError(f"--strict: {found.bad[0]} ({len(found.bad)} such in {part})")
        _tell_bad(found.bad, part, observer)
        skipped += [(part, bad.path, bad.reason) for bad in found.bad]
        sizes |= found.sizes
        grey &= found.grey
    several = dataset.task == "multi-label"
    return tuple(skipped), Facts(frozenset(sizes), grey, several)


def _tell_bad(bad: list[BadImage], part: str, observer: Observer) -> None:
    for image in bad[:5]:
        observer.say(f"left out of {part}: {image}")
    if len(bad) > 5:
        observer.say(f"... and {len(bad) - 5} more; all of them are in the run's data.json")


def choose_images(dataset: Dataset, recipe: Recipe, skipped: Skipped) -> dict[str, Source]:
    """The training and the validation images of a run.

    Validation images are held out by seed where the data bring none; then what cannot be read
    is left out, so that the held-out part is the same whoever finds it again; then the limit.
    With folds the limit comes first, so that a quick try has small folds too.
    """
    data, whole = recipe.data, dataset.parts["train"]
    check_limit(dataset, recipe)
    rest, val = np.arange(len(whole)), dataset.parts.get("val")
    if val is None:
        rest, held = hold_out(
            whole.labels, recipe.seed, val_fraction=data.val_fraction,
            folds=data.folds, fold=data.fold, limit=data.limit,
        )  # fmt: skip
        val = Subset(whole, held)
    bad = {path for _, path, _ in skipped}
    if bad:
        rest = np.array([i for i in rest if whole.name(i) not in bad], np.int64)
        readable = [i for i in range(len(val)) if val.name(i) not in bad]
        val = Subset(val, np.array(readable, np.int64))
    counts = class_counts(whole.labels[rest], len(dataset.classes))
    if not counts.all():
        empty = [name for name, n in zip(dataset.classes, counts, strict=True) if not n]
        first = f"; {skipped[0][1]}: {skipped[0][2]}" if skipped else ""
        place = f" in fold {data.fold} of {data.folds}" if data.folds else ""
        raise UserError(
            f"{dataset.location}: no training image of {', '.join(empty[:5])}{place}{first}"
        )
    if not len(val):
        raise UserError(
            f"{dataset.location} leaves no validation images: give more images, "
            + ("or fewer --folds" if data.folds else "two of a class at least, or a val part")
        )
    if data.limit is not None and not data.folds:
        rest = rest[prepare.limit(whole.labels[rest], data.limit, recipe.seed)]
    return {"train": Subset(whole, rest), "val": val}


def check_limit(dataset: Dataset, recipe: Recipe) -> None:
    """Raise UserError where a limit, or a number of folds, asks for more than there can be."""
    data, labels = recipe.data, dataset.parts["train"].labels
    kinds = len(np.unique(strata(labels)))
    if data.limit is not None and data.limit < kinds:
        raise UserError(
            f"--limit {data.limit} is less than one image for each of {kinds} classes or sets of "
            f"them in {dataset.location}"
        )
    images = min(len(labels), data.limit or len(labels))
    if data.folds is not None and data.folds > images:
        raise UserError(f"--folds {data.folds} is more than the {images} images to make them of")


def check_same_data(dataset: Dataset, record: DataRecord, run: Path) -> None:
    """Raise UserError when a run's images are not those it began with."""
    if dataset.classes != record.classes:
        raise UserError(f"{run}: the classes of {dataset.location} have changed since it began")
    if set(used_parts(dataset)) != set(record.fingerprints):
        raise UserError(
            f"{run}: {dataset.location} has the parts {', '.join(used_parts(dataset))}; when it "
            f"began there were {', '.join(record.fingerprints)}"
        )
    for part, before in record.fingerprints.items():
        if prepare.fingerprint(dataset.parts[part]) != before:
            raise UserError(
                f"{run}: the {part} images of {dataset.location} are not those it began with; "
                f"bring them back, or start anew with another --out"
            )


def named_by_image(
    dataset: Dataset, place: np.ndarray, logits: np.ndarray
) -> dict[str, np.ndarray]:
    """Logits of training images, with what they are of: arrays for a .npz.

    Args:
        dataset: the images.
        place: of each among all training images, (n,).
        logits: (n, classes).
    """
    train = dataset.parts["train"]
    return {
        "paths": np.array([train.name(i) for i in place], np.str_),
        "indices": place,
        "labels": train.labels[place],
        "logits": logits,
        "probabilities": inference.probabilities(logits, dataset.task).astype(np.float32),
        "classes": np.array(dataset.classes, np.str_),
        "task": np.array(dataset.task, np.str_),
    }
