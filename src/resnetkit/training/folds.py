"""k-fold cross-validation: a run a fold, and every image predicted by one that has not seen it."""

import contextlib
import json
import signal
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from resnetkit import inference
from resnetkit.classifier import Classifier
from resnetkit.config import to_plain
from resnetkit.data import prepare
from resnetkit.data.sources import Dataset, Source, places_of
from resnetkit.errors import UserError
from resnetkit.files import (
    check_can_create,
    remove_tree,
    whole_folder,
    write_arrays,
    write_whole,
)
from resnetkit.machine import ready_machine
from resnetkit.ranks import Ranks
from resnetkit.training.images import (
    check_classes,
    check_same_data,
    choose_images,
    named_by_image,
    open_images,
)
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Recipe
from resnetkit.training.run_folder import DataRecord, RunFolder, free_name, read_metrics
from resnetkit.training.running import resume_run, start_run, take_over
from resnetkit.training.session import RunResult, Session
from resnetkit.training.settings import differences, override, settings_of
from resnetkit.training.teacher import check_same_teachers, teacher_sums

AVERAGED = ("val_loss", "val_top1", "val_map")
"""What of a fold's last line of metrics.jsonl is averaged over folds."""


@dataclass(frozen=True)
class FoldsResult:
    """How a cross-validation ended.

    Attributes:
        run: the folder that holds the folds' run folders.
        folds: how each fold's run ended, in order; fewer than there are when it was interrupted.
        summary: what folds.json says: `results`, a row a fold; when all are done also `mean` and
            `deviation` (of a sample, n - 1) over them, and `out_of_fold`, of all images together.
        interrupted: the signal that stopped it before its end.
        already_finished: there was nothing left to do.
    """

    run: str
    folds: tuple[RunResult, ...]
    summary: dict
    interrupted: int | None = None
    already_finished: bool = False

    def to_dict(self) -> dict:
        """As plain data, for JSON: steps, epochs and seconds of all folds together."""
        mean = self.summary.get("mean", {})
        return {
            "run": self.run,
            "steps": sum(fold.steps for fold in self.folds),
            "epochs": sum(fold.epochs for fold in self.folds),
            "seconds": sum(fold.seconds for fold in self.folds),
            "val_top1": mean.get("val_top1"),
            "resumed_at": sum(fold.resumed_at for fold in self.folds),
            **self.summary,
        }


class FoldsFolder(RunFolder):
    """A folder with recipe.yaml, data.json, folds.json and a run folder for each fold."""

    def __init__(self, path: Path):
        super().__init__(path)
        self.results, self.predictions = path / "folds.json", path / "out_of_fold.npz"

    def fold(self, number: int) -> RunFolder:
        """The run folder of a fold, from 1 on."""
        return RunFolder(self.path / f"fold-{number}")

    @classmethod
    def start(cls, path: Path, recipe: Recipe, record: DataRecord) -> "FoldsFolder":
        """Make the folder; it appears by a rename with the recipe in it."""
        with whole_folder(path) as beside:
            (beside / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
            (beside / "data.json").write_text(_json(to_plain(record)), encoding="utf-8")
            (beside / "folds.json").write_text(_json({"results": []}), encoding="utf-8")
        return cls(path)

    def summary(self) -> dict:
        """What folds.json says; raises UserError when it is damaged."""
        try:
            found = json.loads(self.results.read_text(encoding="utf-8"))
            if not isinstance(found["results"], list):
                raise ValueError("its results are no list")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.results} is damaged: {error}") from None
        return found


def holds_folds(path: Path) -> bool:
    """Whether a folder is a cross-validation's."""
    return (path / "folds.json").is_file()


def cross_validate(
    recipe: Recipe, session: Session, observer: Observer, ranks: Ranks
) -> FoldsResult:
    """Train a run a fold into a new folder; raises UserError.

    A job that torchrun has restarted goes on with the cross-validation that it began.
    """
    begun = ranks.recall("folds")
    if begun is not None and Path(begun).exists():
        return resume_folds({}, replace(session, out=begun), observer, ranks)
    path, there = ranks.lead(lambda: _create(recipe, session, ranks))
    folder = FoldsFolder(Path(path))
    recipe = ranks.together(folder.recipe)
    try:
        with folder.locked() if ranks.first else contextlib.nullcontext():
            return _go_on(folder, recipe, session, observer, ranks)
    except BaseException:
        if ranks.first and not folder.fold(1).path.exists():  # nothing was begun
            _remove(folder.path, Path(there))
        raise


def _create(recipe: Recipe, session: Session, ranks: Ranks) -> tuple[str, str]:
    """Make the folder once every fold is seen to be possible; its path, and what there was."""
    out = Path(session.out) if session.out else None
    check_can_create(out or Path("runs"), may_exist=out is None)
    dataset = open_images(recipe, session.data_dir)
    recipe = override(recipe, {"multi_label": dataset.task == "multi-label"})
    check_classes(dataset)
    for number in _numbers(recipe):
        choose_images(dataset, _recipe_of(recipe, number), ())
    train = dataset.parts["train"]
    record = DataRecord(
        dataset.classes, {"train": prepare.fingerprint(train)}, {"train": len(train)}, (),
        teachers=teacher_sums(recipe.teaching),
    )  # fmt: skip
    name = f"{recipe.model}-folds" if recipe.model else "folds"
    out = out or free_name(dataset.name, name)
    there = next(place for place in out.absolute().parents if place.exists())
    ranks.remember("folds", str(out))
    FoldsFolder.start(out, recipe, record)
    return str(out), str(there)


def _remove(folder: Path, there: Path) -> None:
    """Remove a folder, and those above it that were made for it."""
    remove_tree(folder)
    above = folder.absolute().parents
    for place in above[: above.index(there)]:
        place.rmdir()


def resume_folds(
    settings: dict[str, Any], session: Session, observer: Observer, ranks: Ranks
) -> FoldsResult:
    """Go on with the cross-validation in `session.out`: finished folds are kept as they are.

    Args:
        settings: flat settings that were asked for anew; any that differ are refused.
        session: how to carry it out.
        observer: is told how it goes.
        ranks: who trains together.

    Raises:
        UserError: another recipe, other images, or a fold that cannot go on as it would have.
    """
    folder = FoldsFolder(Path(session.out or ""))
    ranks.together(lambda: RunFolder.open(folder.path))
    with contextlib.ExitStack() as stack:
        ranks.lead(lambda: take_over(folder, stack))
        recipe = ranks.together(folder.recipe)
        changed = differences(recipe, override(recipe, settings))
        if changed:
            raise UserError(
                f"{folder.path} was started with another recipe: "
                f"{'; '.join(f'{name}: {change}' for name, change in changed.items())}; leave "
                f"these flags out to go on, or choose another --out"
            )
        return _go_on(folder, recipe, session, observer, ranks)


def _go_on(
    folder: FoldsFolder, recipe: Recipe, session: Session, observer: Observer, ranks: Ranks
) -> FoldsResult:
    """Whatever is left to do: runs, then predictions, then the summary."""
    runs: list[RunResult] = []
    done = ranks.lead(lambda: _is_done(folder, recipe))
    if not done:
        before = ranks.together(folder.data).teachers
        ranks.together(lambda: check_same_teachers(recipe.teaching, before, folder.path))
    interrupted = None
    try:
        for number in _numbers(recipe):
            runs.append(_train_fold(folder, recipe, number, session, observer, ranks))
            interrupted = runs[-1].interrupted
            if interrupted is not None:
                break
            if not runs[-1].already_finished:
                observer.say(f"fold {number} of {recipe.data.folds} is done")
        if interrupted is None and not done:
            ranks.lead(lambda: _conclude(folder, recipe, session, observer))
    except KeyboardInterrupt:  # while nothing was trained
        if ranks.count > 1 or not folder.fold(1).path.exists():
            raise
        interrupted = signal.SIGINT
    summary = ranks.lead(folder.summary)
    return FoldsResult(str(folder.path), tuple(runs), summary, interrupted, done)


def _is_done(folder: FoldsFolder, recipe: Recipe) -> bool:
    written = "mean" in folder.summary() and folder.predictions.is_file()
    return written and all(folder.fold(number).finished for number in _numbers(recipe))


def _conclude(folder: FoldsFolder, recipe: Recipe, session: Session, observer: Observer) -> None:
    """Write the predictions, and last what they and the runs come to."""
    found = _predict_out_of_fold(folder, recipe, session, observer)
    write_arrays(folder.predictions, found)
    write_whole(folder.results, _json(_summary(folder, recipe, found)))


def _train_fold(
    folder: FoldsFolder,
    recipe: Recipe,
    number: int,
    session: Session,
    observer: Observer,
    ranks: Ranks,
) -> RunResult:
    """A fold's run, from where it stands."""
    run = folder.fold(number)

    def look() -> bool:
        """Whether the run has been begun; raises UserError where it cannot go on."""
        begun = run.path.exists()
        if begun:
            _check_belongs(run, _recipe_of(recipe, number))
        if not run.finished:
            check_same_data(open_images(recipe, session.data_dir), folder.data(), folder.path)
        return begun

    session = replace(session, out=str(run.path))
    if ranks.lead(look):
        return resume_run({}, session, observer, ranks)
    return start_run(_recipe_of(recipe, number), session, observer, ranks)


def _check_belongs(run: RunFolder, recipe: Recipe) -> None:
    """Raise UserError for a fold that was meanwhile trained by another recipe, or put there."""
    settings, of = settings_of(recipe), settings_of(RunFolder.open(run.path).recipe())
    others = [
        f"{name}: {value} -> {of[name]}"
        for name, value in settings.items()
        if value not in (None, of[name]) and name != "precision"
    ]
    if others:
        raise UserError(
            f"{run.path} is not of this cross-validation's recipe: {'; '.join(others)}; remove it "
            f"to have the fold trained anew"
        )


def _numbers(recipe: Recipe) -> range:
    return range(1, (recipe.data.folds or 0) + 1)


def _recipe_of(recipe: Recipe, number: int) -> Recipe:
    """The recipe of a fold's own run."""
    return replace(recipe, data=replace(recipe.data, fold=number))


def _predict_out_of_fold(
    folder: FoldsFolder, recipe: Recipe, session: Session, observer: Observer
) -> dict[str, np.ndarray]:
    """Every readable training image as the one network sees it that was not trained on it.

    Returns:
        The arrays of out_of_fold.npz, in the order of the training images.
    """
    device, workers = ready_machine(session.device, session.threads, session.workers)
    dataset = open_images(recipe, session.data_dir)
    check_same_data(dataset, folder.data(), folder.path)
    indices, logits, folds = [], [], []
    for number in _numbers(recipe):
        held = _held_out(dataset, folder.fold(number))
        classifier = Classifier.load(folder.fold(number).path).to(device)
        with observer.counting(f"predicting fold {number}", len(held)) as advance:
            found = inference.run(
                classifier, held, classifier.transform, batch_size=recipe.batch_size,
                workers=workers, skip_bad=False, advance=advance,
            )  # fmt: skip
        indices.append(places_of(held, dataset.parts["train"])[found.indices])
        logits.append(found.outputs)
        folds.append(np.full(len(found.indices), number))
    order = np.argsort(np.concatenate(indices))
    place, given = np.concatenate(indices)[order], np.concatenate(logits)[order]
    return named_by_image(dataset, place, given) | {"fold": np.concatenate(folds)[order]}


def _held_out(dataset: Dataset, run: RunFolder) -> Source:
    return choose_images(dataset, run.recipe(), run.data().skipped)["val"]


def _summary(folder: FoldsFolder, recipe: Recipe, found: dict[str, np.ndarray]) -> dict:
    """What folds.json says when all is done."""
    rows = list(_rows(folder, recipe))
    columns = {key: [row[key] for row in rows if row.get(key) is not None] for key in AVERAGED}
    columns = {key: values for key, values in columns.items() if values}
    judged = inference.judge_by_task(found["logits"], found["labels"], tuple(found["classes"]))
    kept = ("images", "top1", "interval", "top5", "map", "loss", "ece")
    return {
        "results": rows,
        "mean": {key: statistics.fmean(values) for key, values in columns.items()},
        "deviation": {
            key: statistics.stdev(values) if len(values) > 1 else None
            for key, values in columns.items()
        },
        "out_of_fold": {k: v for k, v in judged.to_dict().items() if k in kept},
    }


def _rows(folder: FoldsFolder, recipe: Recipe) -> Iterator[dict]:
    for number in _numbers(recipe):
        run = folder.fold(number)
        last, images = read_metrics(run.metrics)[-1], run.data().images
        row = {"fold": number, "run": run.path.name, "images": images["train"]}
        row |= {"val_images": images["val"], "step": last["step"], "epoch": last["epoch"]}
        keys = ("train_loss", "train_top1", *AVERAGED, "seconds")
        yield row | {key: last[key] for key in keys if key in last}


def _json(data: Any) -> str:
    return json.dumps(data, indent=1) + "\n"
