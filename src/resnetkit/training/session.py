"""One training run from beginning to end: data, recipe, run folder, trainer, Classifier."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from resnetkit import inference
from resnetkit.classifier import Classifier, Training, classifier_folder
from resnetkit.data import prepare
from resnetkit.data.loader import Loader, batch_bounds
from resnetkit.data.sources import Dataset, Source
from resnetkit.data.transform import Transform
from resnetkit.errors import UserError
from resnetkit.files import check_can_create, remove_unfinished
from resnetkit.machine import ready_machine, repeatable
from resnetkit.nets.create import create
from resnetkit.nets.initialise import why_no_identity_start
from resnetkit.nets.resnet import ResNet, with_layout
from resnetkit.nets.summary import summarise
from resnetkit.nets.zoo import spec_of
from resnetkit.training import checkpoint
from resnetkit.training.images import (
    check_classes,
    check_same_data,
    choose_images,
    look_through,
    open_images,
    used_parts,
)
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Recipe, differences, override, resolve
from resnetkit.training.run_folder import DataRecord, RunFolder, free_name, read_metrics
from resnetkit.training.schedule import depends_on_length, warmup_steps
from resnetkit.training.stop import StopRequest
from resnetkit.training.trainer import Interrupted, Trainer
from resnetkit.weights import load_weights


@dataclass(frozen=True)
class Session:
    """How a run is carried out.

    None of it changes a bit of the result but the number of threads and the device, which a
    resumed run must share with its start.

    Attributes:
        out: the run folder; by default runs/<data>-<model>-<n>.
        workers: threads that load images; by default the cores.
        threads: that torch computes with; by default the cores.
        device: auto, cpu, cuda or mps.
        data_dir: where the files of fashion-mnist are.
        strict: stop at an image that cannot be read instead of leaving it out.
        checkpoint_seconds: save at least so often.
    """

    out: str | None = None
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    data_dir: str | None = None
    strict: bool = False
    checkpoint_seconds: float = 60.0

    def __post_init__(self):
        """Check the numbers."""
        if not self.checkpoint_seconds >= 0:
            raise UserError(
                f"--checkpoint-seconds must be at least 0, not {self.checkpoint_seconds}"
            )


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        run: its folder.
        steps, epochs: done.
        seconds: of training.
        val_top1: of the last weights (EMA where it is on) on the validation part.
        resumed_at: the step it went on from; 0 when fresh.
        interrupted: the signal that stopped it before its end.
        already_finished: there was nothing left to do.
    """

    run: str
    steps: int
    epochs: float
    seconds: float
    val_top1: float | None
    resumed_at: int
    interrupted: int | None = None
    already_finished: bool = False


def start_run(recipe: Recipe, session: Session, observer: Observer) -> RunResult:
    """Train by a recipe into a new run folder; raises UserError."""
    out = Path(session.out) if session.out else None
    check_can_create(out or Path("runs"), may_exist=out is None)
    device, workers = ready_machine(session.device, session.threads, session.workers)
    repeatable(device)
    dataset = open_images(recipe, session.data_dir)
    check_classes(dataset)
    _check_early(recipe, dataset)
    fingerprints = {part: prepare.fingerprint(dataset.parts[part]) for part in used_parts(dataset)}
    skipped, facts = look_through(dataset, workers, session.strict, device, observer)
    recipe = resolve(recipe, facts)
    sources = choose_images(dataset, recipe, skipped)
    recipe = _measured(recipe, sources["train"], workers)
    record = DataRecord(
        classes=dataset.classes,
        fingerprints=fingerprints,
        images={part: len(source) for part, source in sources.items()},
        skipped=skipped,
    )
    net = _network(recipe, record.classes)
    _check_batch(recipe, len(sources["train"]), net)
    out = out or free_name(dataset.name, recipe.model or "")
    ready = _ReadyRun(
        recipe, session, observer, dataset, sources, record, _transform(recipe), device, workers
    )
    run = RunFolder.create(out, recipe, record)
    with run.locked():
        return ready.train(run, net, None)


def resume_run(settings: dict[str, Any], session: Session, observer: Observer) -> RunResult:
    """Go on with the run in `session.out` from its last checkpoint.

    Args:
        settings: flat settings that were asked for anew; where they differ from the run's recipe
            it is refused, but for `epochs` under a schedule that allows it.
        session: how to carry it out.
        observer: is told how it goes.

    Raises:
        UserError: there is no such run, or it cannot go on as it would have.
    """
    if session.out is None:
        raise UserError("--resume needs the run folder: --out runs/x")
    run = RunFolder.open(Path(session.out))
    with run.locked():
        return _resume(run, settings, session, observer)


def _resume(
    run: RunFolder, settings: dict[str, Any], session: Session, observer: Observer
) -> RunResult:
    for folder in (run.path, run.checkpoints):
        remove_unfinished(folder)
    before = run.recipe()
    recipe = _same_recipe(run.path, before, settings)
    if run.finished and recipe == before:
        return _finished(run, recipe)
    device, workers = ready_machine(session.device, session.threads, session.workers)
    repeatable(device)
    dataset = open_images(recipe, session.data_dir)
    record = run.data()
    check_same_data(dataset, record, run.path)
    sources = choose_images(dataset, recipe, record.skipped)
    found = checkpoint.checkpoints(run.checkpoints)
    state = checkpoint.load(found[-1]) if found else None
    if state is None and recipe != before:
        raise UserError(f"{run.path} cannot be extended: it has no checkpoint to go on from")
    net = _network(recipe, record.classes, fresh=state is None)
    ready = _ReadyRun(
        recipe, session, observer, dataset, sources, record, _transform(recipe), device, workers
    )
    return ready.train(run, net, state)


@dataclass(frozen=True)
class _ReadyRun:
    """A run that is ready to be trained."""

    recipe: Recipe
    session: Session
    observer: Observer
    dataset: Dataset
    sources: dict[str, Source]
    record: DataRecord
    transform: Transform
    device: torch.device
    workers: int

    def train(self, run: RunFolder, net: ResNet, state: checkpoint.State | None) -> RunResult:
        """Train to the end or to an interruption, and leave the Classifier."""
        recipe, transform = self.recipe, self.transform
        net = with_layout(net.to(self.device), channels_last=recipe.channels_last)
        loader = Loader(
            self.sources["train"], transform, recipe.batch_size,
            augmentation=recipe.augmentation, seed=recipe.seed, workers=self.workers,
        )  # fmt: skip

        def validate(net: ResNet):
            judge = Classifier(net, transform, self.record.classes)
            return judge.evaluate(
                self.sources["val"],
                batch_size=min(inference.BATCH_SIZE, recipe.batch_size),
                workers=self.workers,
                skip_bad=False,
            )[0]

        trainer = Trainer(net, recipe, loader, transform, validate, run, self.observer)
        if state:
            trainer.restore(state)
            run.extend(recipe)
        else:
            run.rewrite_metrics([])
        self._announce(run, trainer, net)
        interrupted = None
        with StopRequest() as stop:
            try:
                trainer.fit(stop, self.session.checkpoint_seconds)
            except Interrupted:
                interrupted = stop.signal
            finally:
                self.observer.close()
        if interrupted is None:
            training = self._training(trainer)
            classes, task = self.record.classes, self.dataset.task
            Classifier(trainer.trained, transform, classes, training, task).save(run.classifier)
        return RunResult(
            run=str(run.path),
            steps=trainer.step,
            epochs=trainer.step / loader.steps,
            seconds=trainer.seconds,
            val_top1=trainer.history[-1]["val_top1"] if trainer.history else None,
            resumed_at=state.step if state else 0,
            interrupted=interrupted,
        )

    def _announce(self, run: RunFolder, trainer: Trainer, net: ResNet) -> None:
        recipe, images = self.recipe, {p: len(s) for p, s in self.sources.items()}
        parameters = sum(p.numel() for p in net.parameters())
        self.observer.say(
            f"{recipe.model}: {net.layers} layers, {parameters:,} parameters; "
            f"{images['train']:,} training and {images['val']:,} validation images of "
            f"{recipe.data.image_size} px in {len(self.record.classes)} classes"
        )
        self.observer.say(
            f"on {self.device}, {recipe.precision}, {torch.get_num_threads()} threads, "
            f"{self.workers} workers; {trainer.steps:,} steps of {recipe.batch_size} images "
            f"into {run.path}" + (f", from step {trainer.step:,} on" if trainer.step else "")
        )

    def _training(self, trainer: Trainer) -> Training:
        recipe = self.recipe
        return Training(
            data=self.dataset.location,
            fingerprint=self.record.fingerprints.get("train", ""),
            images=len(self.sources["train"]),
            seed=recipe.seed,
            val_fraction=0.0 if "val" in self.dataset.parts else recipe.data.val_fraction,
            limit=recipe.data.limit,
            model=recipe.model or "",
            epochs=recipe.epochs,
            val_images=len(self.sources["val"]),
            val_top1=trainer.history[-1]["val_top1"],
            val_map=trainer.history[-1].get("val_map"),
            folds=recipe.data.folds,
            fold=recipe.data.fold,
        )


def _measured(recipe: Recipe, train: Source, workers: int) -> Recipe:
    """The recipe with mean and deviation of the training images, and the warm-up in steps."""
    data, channels = recipe.data, recipe.data.channels or 3
    if recipe.weights and data.mean is None and Path(recipe.weights).is_dir():
        of = Classifier.load(recipe.weights).transform
        if of.channels == channels:
            data = replace(data, mean=of.mean, std=data.std or of.std)
    if data.mean is None or data.std is None:
        mean, std = prepare.mean_and_deviation(
            train, data.image_size or 1, channels, workers=workers
        )
        data = replace(data, mean=data.mean or mean, std=data.std or std)
    recipe = replace(recipe, data=data)
    steps = recipe.epochs * (len(batch_bounds(len(train), recipe.batch_size)) - 1)
    warm = warmup_steps(recipe.schedule, steps)
    return replace(recipe, schedule=replace(recipe.schedule, warmup_steps=warm))


def _check_early(recipe: Recipe, dataset: Dataset) -> None:
    """Find cheap mistakes before all images are looked through."""
    if recipe.model is not None:
        reason = why_no_identity_start(spec_of(recipe.model)) if recipe.identity_start else None
        if reason:
            raise UserError(f"no identity start for {recipe.model}: {reason}")
    if recipe.weights is not None and not Path(recipe.weights).exists():
        raise UserError(f"no such file of weights: {recipe.weights}")
    if recipe.data.limit is not None and recipe.data.limit < len(dataset.classes):
        raise UserError(
            f"--limit {recipe.data.limit} is less than one image for each of "
            f"{len(dataset.classes)} classes"
        )


def _check_batch(recipe: Recipe, images: int, net: ResNet) -> None:
    """Refuse what batch norm cannot train on: a single value a channel has no deviation."""
    pieces, side = recipe.optimiser.accumulate, recipe.data.image_size or 1
    sizes = [b - a for a, b in pairwise(batch_bounds(images, recipe.batch_size))]
    smallest = min(size // min(size, pieces) for size in sizes)
    last_stage = summarise(net.spec, side, side).rows[len(net.spec.depths)]
    if smallest < 2 and last_stage.shape[1:] == (1, 1):
        raise UserError(
            f"{recipe.model} at {side} pixels ends in a single pixel, of which batch norm needs "
            f"more than one image at a time: raise --batch-size, lower --accumulate, or train on "
            f"larger images"
        )


def _transform(recipe: Recipe) -> Transform:
    """The preprocessing of a recipe in which everything is decided."""
    data = recipe.data
    assert data.image_size and data.channels and data.mean and data.std
    return Transform(size=data.image_size, channels=data.channels, mean=data.mean, std=data.std)


def _network(recipe: Recipe, classes: tuple[str, ...], *, fresh: bool = True) -> ResNet:
    """The recipe's network, its start drawn by the recipe's seed."""
    torch.manual_seed(recipe.seed)
    net = create(
        recipe.model or "",
        classes=len(classes),
        channels=recipe.data.channels,
        identity_start=recipe.identity_start,
    )
    if recipe.weights and fresh:
        path = Path(recipe.weights)
        if path.is_dir():
            same = Classifier.load(path).classes == classes
            load_weights(net, classifier_folder(path) / "model.safetensors", head=same)
        else:
            load_weights(net, path)
    return net


def _same_recipe(run: Path, before: Recipe, settings: dict[str, Any]) -> Recipe:
    """The run's recipe; other settings are refused, but for more epochs where that can be."""
    after = override(before, settings)
    changed = differences(before, after)
    if not changed:
        return before
    if changed.keys() != {"epochs"}:
        others = "; ".join(f"{name}: {change}" for name, change in changed.items())
        raise UserError(
            f"{run} was started with another recipe: {others}; leave these flags out to go on, or "
            f"choose another --out"
        )
    if after.epochs < before.epochs:
        raise UserError(f"{run} runs for {before.epochs} epochs; a run cannot be shortened")
    if depends_on_length(before.schedule):
        raise UserError(
            f"{run} runs for {before.epochs} epochs: its {before.schedule.schedule} schedule has "
            f"set every learning rate for that length; start anew with --weights {run}"
        )
    return after


def _finished(run: RunFolder, recipe: Recipe) -> RunResult:
    rows = read_metrics(run.metrics)
    if not rows:
        raise UserError(f"{run.metrics} is damaged: it has no line of a finished run")
    return RunResult(
        run=str(run.path),
        steps=rows[-1]["step"],
        epochs=recipe.epochs,
        seconds=rows[-1]["seconds"],
        val_top1=rows[-1]["val_top1"],
        resumed_at=rows[-1]["step"],
        already_finished=True,
    )
