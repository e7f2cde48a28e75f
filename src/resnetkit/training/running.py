"""A run begins, or goes on from its last checkpoint."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from resnetkit.data.cache import check_folder
from resnetkit.data.sources import Dataset
from resnetkit.errors import UserError
from resnetkit.files import remove_unfinished
from resnetkit.machine import ready_machine, repeatable
from resnetkit.nets.network import Network
from resnetkit.ranks import Ranks
from resnetkit.training import checkpoint
from resnetkit.training.images import check_same_data, choose_images, open_images
from resnetkit.training.observer import Observer
from resnetkit.training.ready_run import ReadyRun
from resnetkit.training.recipe import Recipe
from resnetkit.training.replica import check_compiler
from resnetkit.training.resuming import last_history, same_recipe
from resnetkit.training.room import Place, room_for
from resnetkit.training.run_folder import RunFolder, read_metrics
from resnetkit.training.session import RunResult, Session
from resnetkit.training.setup import plan_run, starting_network, transform_of
from resnetkit.training.teacher import check_same_teachers


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

    def prepare() -> tuple[ReadyRun, Network, checkpoint.State | None]:
        record, found = run.data(), checkpoint.checkpoints(run.checkpoints)
        if not known:
            check_same_data(dataset, record, run.path)
            check_same_teachers(recipe.teaching, record.teachers, run.path)
        state = checkpoint.load(found[-1]) if found else None
        if state is None and recipe != run.recipe():
            raise UserError(f"{run.path} cannot be extended: it has no checkpoint to go on from")
        if state is None and ranks.first and not known:
            observer.say(f"{run.path} has no checkpoint to go on from: it begins at its first step")
        ready = ReadyRun(
            recipe, session, place, observer, ranks, dataset,
            choose_images(dataset, recipe, record.skipped), record, transform_of(recipe),
        )  # fmt: skip
        return ready, starting_network(recipe, record.classes, observer, fresh=not state), state

    ready, net, state = ranks.together(prepare)
    return ready.train(run, net, state)


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
