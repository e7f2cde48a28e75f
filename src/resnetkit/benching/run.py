"""`resnetkit bench`: networks measured on this machine, taking turns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from resnetkit.benching.clock import MatrixProduct
from resnetkit.benching.contestant import Contestant, Plan
from resnetkit.benching.results import BenchResult, Spread
from resnetkit.benching.subjects import Subject, find_subjects
from resnetkit.config import Precision
from resnetkit.errors import UserError
from resnetkit.files import check_can_draw
from resnetkit.machine import Machine, choose_precision, ready_machine, repeatable
from resnetkit.training.observer import Observer
from resnetkit.training.setup import least_batch, why_more_images

TRAIN_BATCH = 32
"""Images of a training step, where nothing else is said."""

MOST_IMAGES = 65_536
"""Of a batch that may be asked for."""

QUICK = {"rounds": 2, "inferences": 3, "steps": 1}
"""What `quick` does less often."""


def bench(
    names: Sequence[str | Path] | str,
    *,
    device: str = "auto",
    threads: int | None = None,
    precision: Precision = "auto",
    image_size: int | None = None,
    batch_size: int | None = None,
    train_batch: int = TRAIN_BATCH,
    train: bool = True,
    quick: bool = False,
    plot: str | Path | None = None,
    chinese: bool = False,
    observer: Observer | None = None,
) -> BenchResult:
    """Measure networks on this machine: inference, a training step, memory.

    They take turns, so that a machine that is busy with something else now and then is so for all
    alike. Images are random bytes that lie on the device.

    Args:
        names: names of the zoo, shell patterns of such, run folders, Classifier folders.
        device: auto, cpu, cuda or mps.
        threads: that torch computes with; by default the cores.
        precision: fp32, bf16, or auto: bf16 where that is quicker.
        image_size: side in pixels; by default the network's usual one, or the Classifier's.
        batch_size: images at a time in inference; by default the quickest of 1, 2, 4, ... 256.
        train_batch: images of a training step; halved until it fits memory.
        train: whether the training step is measured.
        quick: fewer repetitions.
        plot: a .png, .svg or .pdf to draw images/s against accuracy into.
        chinese: the words of the plot in Chinese.
        observer: is told how it goes.

    Raises:
        UserError: a name that is none, an unfinished run, a number that makes no sense; nothing
            has been measured then.
    """
    observer = observer or Observer()
    subjects = find_subjects([names] if isinstance(names, str) else names, image_size)
    if plot is not None:
        check_can_draw(Path(plot))
        _check_comparable(subjects)
    _check_batches(batch_size, train_batch if train else None)
    chosen, _ = ready_machine(device, threads)
    decided = choose_precision(precision, chosen, observer.say)
    plan = Plan(chosen, decided, batch_size, train_batch if train else None)
    contestants = [Contestant.of(s, replace(plan, **QUICK if quick else {})) for s in subjects]
    _check_train_batch(contestants)
    repeatable(chosen)
    machine = Machine.of(plan.device, plan.precision)
    observer.say(f"on {machine}")
    result = _measure(contestants, machine, observer)
    if plot is not None:
        from resnetkit.report.style import NO_CHINESE, language_of

        if chinese and language_of("zh") != "zh":
            observer.say(NO_CHINESE)
        result.plot(plot, chinese=chinese)
    return result


def _measure(contestants: list[Contestant], machine: Machine, observer: Observer) -> BenchResult:
    """All of them once to find what fits, then all of them round by round."""
    plan = contestants[0].plan
    turns = len(contestants) * (1 + plan.rounds)
    with (
        torch.random.fork_rng(devices=[]),  # whoever calls this keeps the state of the generator
        observer.counting("measuring", turns) as advance,
    ):
        product = MatrixProduct(plan.precision, plan.device)
        for contestant in contestants:
            contestant.find_batches()
            advance(1)
        for _ in range(plan.rounds):
            for contestant in contestants:
                contestant.take_turn(product)
                advance(1)
    rows = tuple(contestant.row() for contestant in contestants)
    subjects = [contestant.subject for contestant in contestants]
    rate = Spread.of([rate for contestant in contestants for rate in contestant.product_rates])
    warnings = _warnings(subjects)
    return BenchResult(machine, plan.batch_size, product.side, rate, rows, warnings)


def _check_batches(batch_size: int | None, train_batch: int | None) -> None:
    for flag, number in {"batch-size": batch_size, "train-batch": train_batch}.items():
        if number is not None and not 1 <= number <= MOST_IMAGES:
            raise UserError(f"--{flag} must be 1 to {MOST_IMAGES}, not {number}")


def _check_comparable(subjects: list[Subject]) -> None:
    kinds = {subject.kind: subject.name for subject in reversed(subjects)}
    if len(kinds) > 1:
        raise UserError(
            f"{kinds['zoo']} has a published ImageNet accuracy and {kinds['run']} that of its own "
            f"validation images: one plot cannot show both; leave --plot out, or give one kind"
        )


def _check_train_batch(contestants: list[Contestant]) -> None:
    for one in contestants:
        asked, least = one.plan.train_batch, least_batch(one.subject.spec, one.summary)
        if asked is not None and asked < least:
            raise UserError(
                f"{why_more_images(one.subject.name, one.subject.spec, one.subject.image_size)}: "
                f"raise --train-batch"
            )


def _warnings(subjects: list[Subject]) -> tuple[str, ...]:
    """Accuracies on different images say nothing about the networks."""
    runs = [s for s in subjects if s.kind == "run" and s.accuracy]
    digests = {s.accuracy.images for s in runs if s.accuracy}
    if len(digests) < 2:
        return ()
    return ("the runs were judged on different validation images: accuracies are not comparable",)
