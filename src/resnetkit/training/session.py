"""One training run from beginning to end: data, recipe, run folder, trainer, Classifier."""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from resnetkit import inference
from resnetkit.any_depth import calibrate
from resnetkit.classifier import Classifier, Training
from resnetkit.data.cache import Store, check_folder, check_store
from resnetkit.data.loader import Loader
from resnetkit.data.sources import Dataset, Source
from resnetkit.data.transform import Transform
from resnetkit.errors import UserError
from resnetkit.files import remove_unfinished
from resnetkit.machine import ready_machine, repeatable
from resnetkit.nets.resnet import ResNet, with_layout
from resnetkit.ranks import RANK_TIMEOUT, Ranks
from resnetkit.training import checkpoint
from resnetkit.training.balance import BALANCED
from resnetkit.training.few import counted, few
from resnetkit.training.images import check_same_data, choose_images, open_images
from resnetkit.training.keeping import keep_images, troubles
from resnetkit.training.loss import Loss
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Recipe
from resnetkit.training.replica import check_compiler
from resnetkit.training.resuming import last_history, same_recipe
from resnetkit.training.room import Place, check_memory, left_by_a_step, room_for
from resnetkit.training.run_folder import DataRecord, RunFolder, read_metrics
from resnetkit.training.setup import deepest, plan_run, starting_network, transform_of
from resnetkit.training.stop import StopRequest
from resnetkit.training.teacher import Teacher, check_same_teachers
from resnetkit.training.tensorboard import TensorboardObserver, check_tensorboard
from resnetkit.training.trainer import Interrupted, Trainer


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
        tensorboard: write `tensorboard/` in the run folder as well.
        cache: where decoded images are kept from epoch to epoch: memory, off, or a folder.
        cache_size: how much, such as 4GB; by default half of the memory that a training step
            leaves free, or of a folder's disk.
        memory: that a training step may take, such as 2GB, or auto: what is free. Blocks are
            computed anew where it does not suffice otherwise.
        rank_timeout: seconds after which a silent rank ends the job.
    """

    out: str | None = None
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    data_dir: str | None = None
    strict: bool = False
    checkpoint_seconds: float = 60.0
    tensorboard: bool = False
    cache: str = "memory"
    cache_size: str | None = None
    memory: str | None = None
    rank_timeout: float = RANK_TIMEOUT

    def __post_init__(self):
        """Check the numbers, and what has to be installed."""
        check_store(self.cache, self.cache_size)
        check_memory(self.memory)
        if self.tensorboard:
            check_tensorboard()
        if not 1 <= self.rank_timeout <= 1e6:
            raise UserError(f"--rank-timeout must be 1 to 1000000, not {self.rank_timeout}")
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
        data: what it was trained on.
        interrupted: the signal that stopped it before its end.
        already_finished: there was nothing left to do.
        waiting: part of the last epoch's time that went into waiting for images.
    """

    run: str
    steps: int
    epochs: float
    seconds: float
    val_top1: float | None
    resumed_at: int
    data: str = ""
    interrupted: int | None = None
    already_finished: bool = False
    waiting: float = 0.0


def start_run(recipe: Recipe, session: Session, observer: Observer, ranks: Ranks) -> RunResult:
    """Train by a recipe into a new run folder; raises UserError.

    A job that torchrun has restarted goes on with the run that it began.
    """
    key = f"fold-{recipe.data.fold}" if recipe.data.fold else "run"  # of several a job may train
    begun = ranks.recall(key)
    if begun is not None and Path(begun).exists():
        return resume_run({}, replace(session, out=begun), observer, ranks)
    place = _ready(session, ranks)
    check_compiler(recipe, place.device)
    _check_together(recipe, session)
    dataset = _open(recipe, session, ranks)

    def begin() -> str:
        path, decided, record = plan_run(
            recipe, dataset, session.out, session.strict, place, observer, ranks
        )
        ranks.remember(key, str(path))
        RunFolder.create(path, decided, record)
        return str(path)

    run = RunFolder(Path(ranks.lead(begin)))
    ranks.together(lambda: RunFolder.open(run.path))
    with run.locked() if ranks.first else contextlib.nullcontext():
        recipe = run.recipe()
        return _carry_on(run, recipe, session, place, observer, ranks, dataset, known=ranks.first)


def resume_run(
    settings: dict[str, Any], session: Session, observer: Observer, ranks: Ranks
) -> RunResult:
    """Go on with the run in `session.out` from its last checkpoint.

    Args:
        settings: flat settings that were asked for anew; where they differ from the run's recipe
            it is refused, but for `epochs` under a schedule that allows it.
        session: how to carry it out.
        observer: is told how it goes.
        ranks: who trains together.

    Raises:
        UserError: there is no such run, or it cannot go on as it would have.
    """
    if session.out is None:
        raise UserError("--resume needs the run folder: --out runs/x")
    run = RunFolder(Path(session.out))
    ranks.together(lambda: RunFolder.open(run.path))
    with contextlib.ExitStack() as stack:
        ranks.lead(lambda: take_over(run, stack))
        before = ranks.together(run.recipe)
        recipe = same_recipe(run, before, settings)
        if run.finished and recipe == before:
            return ranks.together(lambda: _finished(run, recipe, first=ranks.first))
        _check_together(recipe, session)
        place = _ready(session, ranks)
        dataset = _open(recipe, session, ranks)
        return _carry_on(run, recipe, session, place, observer, ranks, dataset)


def _check_together(recipe: Recipe, session: Session) -> None:
    if recipe.compile and session.memory:
        raise UserError("--memory computes blocks anew, which compiled code cannot: leave out one")


def _open(recipe: Recipe, session: Session, ranks: Ranks) -> Dataset:
    """The images; their decoded twins need a place."""
    dataset = ranks.together(lambda: open_images(recipe, session.data_dir))
    ranks.together(lambda: check_folder(session.cache, dataset.location))
    return dataset


def take_over(run: RunFolder, stack: contextlib.ExitStack) -> None:
    """Keep others out of the run folder, and clear away what killed writers have left."""
    stack.enter_context(run.locked())
    for folder in (run.path, run.checkpoints):
        remove_unfinished(folder)


def _ready(session: Session, ranks: Ranks) -> Place:
    """Where this rank computes, made ready for equal bits."""
    local = (ranks.local_rank, ranks.local_count)
    device, workers = ready_machine(session.device, session.threads, session.workers, local)
    repeatable(device)
    return Place(device, workers, room_for(session.memory, device, ranks))


def _carry_on(
    run: RunFolder,
    recipe: Recipe,
    session: Session,
    place: Place,
    observer: Observer,
    ranks: Ranks,
    dataset: Dataset,
    *,
    known: bool = False,
) -> RunResult:
    """Train from the last checkpoint of a run folder, or from step 0 where it has none.

    `known` says that the images have just been looked through: they need no comparing.
    """

    def prepare() -> tuple[_ReadyRun, ResNet, checkpoint.State | None]:
        record, found = run.data(), checkpoint.checkpoints(run.checkpoints)
        if not known:
            check_same_data(dataset, record, run.path)
            check_same_teachers(recipe.teaching, record.teachers, run.path)
        state = checkpoint.load(found[-1]) if found else None
        if state is None and recipe != run.recipe():
            raise UserError(f"{run.path} cannot be extended: it has no checkpoint to go on from")
        if state is None and ranks.first and not known:
            observer.say(f"{run.path} has no checkpoint to go on from: it begins at its first step")
        ready = _ReadyRun(
            recipe, session, place, observer, ranks, dataset,
            choose_images(dataset, recipe, record.skipped), record, transform_of(recipe),
        )  # fmt: skip
        return ready, starting_network(recipe, record.classes, observer, fresh=not state), state

    ready, net, state = ranks.together(prepare)
    return ready.train(run, net, state)


@dataclass(frozen=True)
class _ReadyRun:
    """A run that is ready to be trained."""

    recipe: Recipe
    session: Session
    place: Place
    observer: Observer
    ranks: Ranks
    dataset: Dataset
    sources: dict[str, Source]
    record: DataRecord
    transform: Transform

    def train(self, run: RunFolder, net: ResNet, state: checkpoint.State | None) -> RunResult:
        """Train to the end or to an interruption, and leave the Classifier."""
        recipe = self.recipe
        net = with_layout(net.to(self.place.device), channels_last=recipe.channels_last)
        sources, store = keep_images(
            self.sources, recipe.epochs, self.session.cache, self.session.cache_size,
            lambda: left_by_a_step(deepest(net, recipe), recipe, self.place, self.ranks),
            self.ranks.local_count,
        )  # fmt: skip
        trainer = self._trainer(net, sources, run)
        if state:
            trainer.restore(state)
        if self.ranks.first:
            run.extend(recipe) if state else run.rewrite_metrics([])
            if self.session.tensorboard:
                folder = run.path / "tensorboard"
                trainer.observer = TensorboardObserver(self.observer, folder, trainer.history)
        self._announce(run, trainer, net, store)
        interrupted = self._fit(trainer)
        for trouble in troubles(store):
            self.observer.say(trouble)
        if interrupted is None:
            classifier = self._classifier(trainer, sources["val"])
            self.ranks.lead(lambda: classifier.save(run.classifier))
        return RunResult(
            run=str(run.path),
            steps=trainer.step,
            epochs=trainer.step / trainer.loader.steps,
            seconds=trainer.seconds,
            val_top1=trainer.history[-1]["val_top1"] if trainer.history else None,
            resumed_at=state.step if state else 0,
            data=recipe.data.data,
            interrupted=interrupted,
            waiting=round(trainer.waiting.share, 4),
        )

    def _trainer(self, net: ResNet, sources: dict[str, Source], run: RunFolder) -> Trainer:
        recipe, transform = self.recipe, self.transform
        seen = replace(transform, size=recipe.data.image_size or transform.size)
        loader = Loader(
            sources["train"], seen, recipe.batch_size,
            augmentation=recipe.augmentation, seed=recipe.seed, workers=self.place.workers,
            ranks=(self.ranks.rank, self.ranks.count), device=self.place.device,
            balanced=recipe.balance.sampling == BALANCED,
        )  # fmt: skip

        def validate(net: ResNet):
            judge = Classifier(net, transform, self.record.classes)
            return judge.evaluate(
                sources["val"],
                batch_size=min(inference.BATCH_SIZE, recipe.batch_size),
                workers=self.place.workers,
                skip_bad=False,
                ranks=self.ranks,
                precision=recipe.precision,
            )[0]

        classes, device = self.record.classes, self.place.device
        return Trainer(
            net, recipe, loader, transform, validate, run, self.observer, self.ranks,
            self.place.room, Loss.of(recipe, classes, sources["train"].labels, device),
            Teacher.of(recipe, classes, self.dataset.task, transform, device),
        )  # fmt: skip

    def _fit(self, trainer: Trainer) -> int | None:
        """Train; returns the signal that stopped it before its end."""
        with StopRequest(self.observer.say, patient=self.ranks.count > 1) as stop:
            try:
                with self.ranks.watched(
                    lambda: f"at step {trainer.step:,}", lambda: stop.requested
                ):
                    trainer.fit(stop, self.session.checkpoint_seconds)
            except Interrupted as error:
                return error.signal
            finally:
                trainer.observer.close()
        return None

    def _classifier(self, trainer: Trainer, val: Source) -> Classifier:
        """What the run was for; all ranks make it together."""
        training = self._training(trainer)
        classes, task = self.record.classes, self.dataset.task
        trained = trainer.trained
        inner = {net.layers: net for net in trained.all[1:]}
        made = Classifier(trained.net, self.transform, classes, training, task, inner)
        made.calibration = calibrate(
            made, val, batch_size=min(inference.BATCH_SIZE, self.recipe.batch_size),
            workers=self.place.workers, ranks=self.ranks, precision=self.recipe.precision,
        )  # fmt: skip
        return made

    def _announce(self, run: RunFolder, trainer: Trainer, net: ResNet, store: Store | None) -> None:
        recipe, images = self.recipe, {p: len(s) for p, s in self.sources.items()}
        parameters = sum(p.numel() for p in net.parameters())
        self.observer.say(
            f"{recipe.model}: {net.layers} layers, {parameters:,} parameters; "
            f"{images['train']:,} training and {images['val']:,} validation images of "
            f"{recipe.data.image_size} px in {len(self.record.classes)} classes"
        )
        self.observer.say(
            f"on {self._machine()}; {counted(recipe.epochs, 'epoch')}, "
            f"{counted(trainer.steps, 'step')} of {recipe.batch_size} images into {run.path}"
            + (f", from step {trainer.step:,} on" if trainer.step else "")
        )
        for growth in trainer.growths:
            self.observer.say(f"grows into {growth.model} at step {growth.step:,}")
        if store:
            self.observer.say(store.told())
        for warning in few(trainer.steps, images["val"]):
            self.observer.say(f"warning: {warning}")

    def _machine(self) -> str:
        """What was chosen for this machine, in a few words."""
        words = [str(self.place.device), self.recipe.precision]
        words += ["compiled"] if self.recipe.compile else []
        words += [f"{torch.get_num_threads()} threads", f"{self.place.workers} workers"]
        if self.ranks.count == 1:
            return ", ".join(words)
        norms = "norms over all of them" if self.recipe.sync_bn else "norms over each rank's images"
        return f"{self.ranks.count} ranks, {norms}, each with {', '.join(words)}"

    def _training(self, trainer: Trainer) -> Training:
        recipe = self.recipe
        return Training(
            data=self.dataset.location,
            fingerprint=self.record.fingerprints.get("train", ""),
            images=len(self.sources["train"]),
            seed=recipe.seed,
            val_fraction=0.0 if "val" in self.dataset.parts else recipe.data.val_fraction,
            limit=recipe.data.limit,
            model=(recipe.growth.grow_to or (recipe.model or "",))[-1],
            epochs=recipe.epochs,
            val_images=len(self.sources["val"]),
            val_top1=trainer.history[-1]["val_top1"],
            val_map=trainer.history[-1].get("val_map"),
            inner_top1=trainer.history[-1].get("inner_top1", {}),
            folds=recipe.data.folds,
            fold=recipe.data.fold,
            ancestors=self.record.ancestors,
            teachers=recipe.teaching.teacher,
        )


def _finished(run: RunFolder, recipe: Recipe, *, first: bool) -> RunResult:
    """What the last checkpoint knows of the run, which metrics.jsonl is written anew from."""
    run.data()
    found = checkpoint.checkpoints(run.checkpoints)
    rows = last_history(found[-1], recipe, run.path) if found else []
    if len(rows) != recipe.epochs:
        rows = read_metrics(run.metrics)
    elif first:
        run.rewrite_metrics(rows)
    if len(rows) != recipe.epochs:
        raise UserError(f"{run.metrics} is damaged: it has not a line for each epoch")
    return RunResult(
        run=str(run.path),
        steps=rows[-1]["step"],
        epochs=recipe.epochs,
        seconds=rows[-1]["seconds"],
        val_top1=rows[-1]["val_top1"],
        resumed_at=rows[-1]["step"],
        data=recipe.data.data,
        already_finished=True,
    )
