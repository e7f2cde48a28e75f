"""What the commands do, as functions: `import resnetkit as rk`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import numpy as np

from resnetkit import inference
from resnetkit.any_depth import Depth, judge_depths
from resnetkit.classifier import Classifier
from resnetkit.config import Precision, to_plain
from resnetkit.data.decode import BadImage
from resnetkit.data.sources import FileSource, images_under, locate
from resnetkit.early_exit import EarlyExit
from resnetkit.ensemble import open_classifier
from resnetkit.errors import UserError
from resnetkit.files import write_arrays
from resnetkit.finding.measured import measured_settings
from resnetkit.judged_images import images_to_judge
from resnetkit.machine import Machine, choose_precision, uses_cuda
from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.ranks import RANK_TIMEOUT, is_first, join
from resnetkit.terminal import TerminalObserver
from resnetkit.training.folds import FoldsResult, cross_validate, holds_folds, resume_folds
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Recipe
from resnetkit.training.recipe_files import read_recipe
from resnetkit.training.run_folder import RunFolder, read_metrics
from resnetkit.training.running import resume_run, start_run
from resnetkit.training.session import RunResult, Session
from resnetkit.training.settings import AUTO, MEASURED, override


def train(
    data: str | None = None,
    *,
    recipe: str | Recipe = "default",
    resume: bool = False,
    observer: Observer | None = None,
    **settings: Any,
) -> RunResult | FoldsResult:
    """Train a network on labelled images, as `resnetkit train` does.

    Args:
        data: `fashion-mnist`, a folder with one subfolder a class, or a CSV of `path,label`,
            several classes as `cat;dog`. Not needed to resume.
        recipe: a name, a YAML file, or a Recipe.
        resume: go on with the run in `out`.
        observer: is told how it goes; by default the terminal shows it.
        settings: any flag of the command, as of the recipe (`model="resnet18", epochs=5`) so of
            the session (`out="runs/x", workers=4`).

    Returns:
        How the run ended; with `folds=5`, how the cross-validation did.

    Raises:
        UserError (a ValueError): with one line that says what is wrong and what to do.
    """
    own = {f.name for f in fields(Session)}
    session = Session(**{name: value for name, value in settings.items() if name in own})
    settings = {name: value for name, value in settings.items() if name not in own}
    if isinstance(settings.get("teacher"), str):
        settings["teacher"] = (settings["teacher"],)
    if data is not None:
        settings["data"] = data
    wanted = [name for name in MEASURED if settings.get(name) == AUTO]
    if resume and wanted:
        raise UserError(f"{wanted[0]} auto is measured when a run begins: leave it out to resume")
    given = {name: value for name, value in settings.items() if name not in wanted}
    base, scaling = (Recipe(), "none") if resume else _begun_with(recipe, given)
    if scaling != "none" and "lr" in wanted:
        raise UserError("lr_scaling makes lr from the recipe's own: give one of them")
    with join(session.rank_timeout, cuda=uses_cuda(session.device)) as ranks:
        observer = observer or (TerminalObserver() if ranks.first else Observer())
        if resume:
            folds = session.out is not None and holds_folds(Path(session.out))
            again = resume_folds if folds else resume_run
            result = again(_located(given), session, observer, ranks)
        else:
            found = measured_settings(base, wanted, session, observer, ranks)
            base = override(base, found | {"lr_scaling": scaling})
            folds = base.data.folds and not base.data.fold
            result = (cross_validate if folds else start_run)(base, session, observer, ranks)
    if is_first():
        _draw_curves(result)
    return result


def _begun_with(recipe: str | Recipe, settings: dict[str, Any]) -> tuple[Recipe, str]:
    """The recipe of a new run, its paths such as hold from any folder; and its `lr_scaling`."""
    base = read_recipe(recipe) if isinstance(recipe, str) else recipe
    scaling = settings.get("lr_scaling", base.optimiser.lr_scaling)
    base = override(base, settings)
    paths = {"weights": base.weights, "labels": base.data.labels, "teacher": base.teaching.teacher}
    base = override(base, _located({"data": base.data.data, **paths}))
    if not base.data.data:
        raise UserError("nothing to train on: give fashion-mnist, a folder or a CSV")
    if base.data.folds and "val_fraction" in settings:
        raise UserError("with --folds a fold is held out at a time; leave --val-fraction out")
    return base, scaling


def _draw_curves(result: RunResult | FoldsResult) -> None:
    from resnetkit.report.curves import draw_curves  # matplotlib is slow to import

    for one in [result] if isinstance(result, RunResult) else result.folds:
        run = Path(one.run)
        if one.already_finished and (run / "curves.png").exists():
            continue
        rows = read_metrics(run / "metrics.jsonl")
        draw_curves(rows, run.name, run / "curves.png", RunFolder(run).recipe())


def _located(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings whose paths hold from any folder."""
    keys = ("data", "weights", "labels")
    paths = {key: locate(settings[key]) for key in keys if settings.get(key)}
    teachers = tuple(locate(path) for path in settings.get("teacher") or ())
    return settings | paths | ({"teacher": teachers} if teachers else {})


def load(path: str | Path) -> Classifier:
    """The Classifier of a finished run, or in a folder, or an ensemble; raises UserError."""
    return open_classifier(path)


@dataclass(frozen=True)
class Evaluation:
    """A result, the part it is of, what could not be read, and what to be wary of."""

    part: str
    result: Result | MultiLabelResult
    skipped: list[BadImage]
    warnings: list[str]

    @property
    def images(self) -> int:
        """How many could be read."""
        return self.result.images

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return {
            "part": self.part,
            **self.result.to_dict(),
            **_wary(self.skipped, self.warnings),
        }


def evaluate(
    classifier: Classifier,
    data: str,
    *,
    part: str | None = None,
    data_dir: str | None = None,
    strict: bool = False,
    batch_size: int = inference.BATCH_SIZE,
    workers: int = 2,
    precision: Precision = "auto",
    observer: Observer | None = None,
) -> Evaluation:
    """Judge a classifier on labelled images, matched by class name.

    The ranks that torchrun has started share the images; each gets the result of all of them.

    Args:
        classifier: what `load` gave.
        data: as `train` takes it.
        part: train, val or test; by default test, else val, else the whole of a flat folder.
        data_dir: where the files of fashion-mnist are.
        strict: stop at an image that cannot be read.
        batch_size: images computed at a time.
        workers: threads that load images.
        precision: fp32, bf16, or auto: bf16 where that is quicker.
        observer: is told how it goes.

    Raises:
        UserError: no such part, or classes that the classifier does not know.
    """
    _check_batch_size(batch_size)
    part, source, warnings = images_to_judge(classifier, data, part, data_dir)
    with join(RANK_TIMEOUT, cuda=classifier.device.type == "cuda") as ranks:
        observer = (observer if ranks.first else None) or Observer()
        precision = choose_precision(precision, classifier.device, observer.say)
        with observer.counting(f"evaluating {part}", len(source)) as advance:
            result, skipped = classifier.evaluate(
                source, batch_size=batch_size, workers=workers, skip_bad=not strict,
                advance=advance, ranks=ranks, precision=precision,
            )  # fmt: skip
    return Evaluation(part, result, skipped, warnings)


@dataclass(frozen=True)
class DepthsEvaluation:
    """Every depth of a classifier, as judged on one part by one machine.

    Attributes:
        part: train, val, test, or all.
        depths: the depths, the shallowest first, then ways to stop early.
        machine: which their images/s are of.
        batch_size: images that were computed at a time.
        skipped: what could not be read.
        warnings: what to be wary of.
    """

    part: str
    depths: list[Depth]
    machine: Machine
    batch_size: int
    skipped: list[BadImage]
    warnings: list[str]

    @property
    def images(self) -> int:
        """How many could be read."""
        return self.depths[-1].result.images

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return {
            "part": self.part,
            "machine": to_plain(self.machine),
            "batch_size": self.batch_size,
            "depths": [depth.to_dict() for depth in self.depths],
            **_wary(self.skipped, self.warnings),
        }


def evaluate_depths(
    classifier: Classifier,
    data: str,
    *,
    part: str | None = None,
    data_dir: str | None = None,
    strict: bool = False,
    batch_size: int = inference.BATCH_SIZE,
    workers: int = 2,
    precision: Precision = "auto",
    observer: Observer | None = None,
) -> DepthsEvaluation:
    """Judge every depth of a classifier on the same images, and measure how quick each is.

    Args:
        classifier: one that was trained with `--any-depth`.
        data, part, data_dir, strict, batch_size, workers, precision, observer: as of `evaluate`.

    Raises:
        UserError: as `evaluate`, or the classifier has one depth.
    """
    _check_batch_size(batch_size)
    part, source, warnings = images_to_judge(classifier, data, part, data_dir)
    with join(RANK_TIMEOUT, cuda=classifier.device.type == "cuda") as ranks:
        observer = (observer if ranks.first else None) or Observer()
        precision = choose_precision(precision, classifier.device, observer.say)
        with observer.counting(f"evaluating {part}", len(source)) as advance:
            depths, skipped = judge_depths(
                classifier, source, batch_size=batch_size, workers=workers, skip_bad=not strict,
                advance=advance, ranks=ranks, precision=precision,
            )  # fmt: skip
    machine = Machine.of(classifier.device, precision)
    return DepthsEvaluation(part, depths, machine, batch_size, skipped, warnings)


def _wary(skipped: list[BadImage], warnings: list[str]) -> dict:
    bad = [{"path": bad.path, "error": bad.reason} for bad in skipped]
    return {"skipped": bad, "warnings": warnings}


def predict(
    classifier: Classifier,
    paths: str | Path | Sequence[str | Path],
    *,
    top: int = inference.TOP,
    embeddings: str | None = None,
    early_exit: float | None = None,
    batch_size: int = inference.BATCH_SIZE,
    workers: int = 2,
    precision: Precision = "auto",
    observer: Observer | None = None,
) -> list[inference.Prediction]:
    """The likeliest classes of pictures: files, folders, patterns such as `photos/*.jpg`.

    Args:
        classifier: what `load` gave.
        paths: one or several; at least one must lead to a file.
        top: how many classes to name.
        embeddings: an .npz file to write pooled features to: `features` (n, d) and `paths` (n,);
            a name without an ending gets this one.
        early_exit: a loss of accuracy, such as 0.003, for which a shallow depth may answer where it
            is sure.
        batch_size: images computed at a time.
        workers: threads that load images.
        precision: fp32, bf16, or auto: bf16 where that is quicker.
        observer: is told how it goes.

    Raises:
        UserError: nothing is found under the paths, the embeddings cannot be written, or the
            classifier cannot stop early.
    """
    if top < 1:
        raise UserError(f"--top must be at least 1, not {top}")
    _check_batch_size(batch_size)
    if embeddings is not None and early_exit is not None:
        raise UserError("embeddings are those of one depth: leave --early-exit out")
    file = _embeddings_file(embeddings) if embeddings is not None else None
    files = find_pictures([str(p) for p in ([paths] if isinstance(paths, str | Path) else paths)])
    observer = observer or Observer()
    precision = choose_precision(precision, classifier.device, observer.say)
    model: inference.Model = classifier.engine(precision)
    if early_exit is not None:
        model = EarlyExit.of(classifier, early_exit, precision)
    if file is not None:
        model = classifier.engine(precision).features
    with observer.counting("predicting", len(files)) as advance:
        found = inference.run(
            model, FileSource(files), classifier.transform, batch_size=batch_size,
            workers=workers, advance=advance,
        )  # fmt: skip
    logits = found.outputs
    if isinstance(model, EarlyExit):
        observer.say(model.told)
    if file is not None:
        logits = classifier.logits(found.outputs) if len(found.outputs) else found.outputs
        names = np.array([files[i] for i in found.indices], np.str_)
        write_arrays(file, {"features": found.outputs, "paths": names})
        count, length = found.outputs.shape
        observer.say(f"wrote {count:,} x {length} features to {file}")
    return inference.name_likeliest(found, logits, files, classifier.classes, top, classifier.task)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise UserError(f"--batch-size must be at least 1, not {batch_size}")


def _embeddings_file(name: str) -> Path:
    """The .npz file of this name; raises UserError when it cannot be written."""
    file = Path(name if Path(name).suffix else f"{name}.npz")
    if file.suffix != ".npz":
        raise UserError(f"--embeddings writes an .npz file, not {file.suffix}: {name}")
    if not file.parent.is_dir():
        raise UserError(f"cannot write {file}: no folder {file.parent}")
    if file.is_dir():
        raise UserError(f"cannot write {file}: it is a folder")
    return file


def find_pictures(paths: list[str]) -> list[str]:
    """Files, images in folders, and what patterns match, in the order given.

    A file that is not there stays in the list, to be named with the others, unless nothing at
    all is found; raises UserError then, and for a pattern or a folder without pictures.
    """
    files = []
    for path in paths:
        if Path(path).is_dir():
            found = images_under(Path(path))
            if not found:
                raise UserError(f"no images in the folder {path}")
        elif not Path(path).exists() and has_magic(path):
            found = sorted(glob(path, recursive=True))  # noqa: PTH207 (Path's: hidden ones too)
            if not found:
                raise UserError(f"no file matches {path}")
        else:
            found = [path]
        files += found
    if not any(Path(file).exists() for file in files):
        raise UserError(f"no such file or folder: {files[0] if files else 'nothing was given'}")
    return files
