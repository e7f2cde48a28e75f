"""Before step 0: what a recipe leaves open is decided from the data, and the network made."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from resnetkit.classifier import Classifier
from resnetkit.config import Precision
from resnetkit.data import prepare
from resnetkit.data.loader import batch_bounds
from resnetkit.data.sources import Dataset, Source
from resnetkit.data.transform import Transform
from resnetkit.errors import UserError
from resnetkit.files import check_can_create
from resnetkit.machine import choose_precision
from resnetkit.nets.create import create
from resnetkit.nets.depth import deepen
from resnetkit.nets.initialise import why_no_identity_start
from resnetkit.nets.nested import Nested
from resnetkit.nets.network import Network
from resnetkit.nets.spec import MLPSpec, ResNetSpec, Spec, fitting_groups, for_size
from resnetkit.nets.summary import Summary, summarise
from resnetkit.nets.zoo import spec_of, usual
from resnetkit.pretrained import Pretrained, open_pretrained
from resnetkit.ranks import Ranks, share
from resnetkit.training import depths
from resnetkit.training.freeze import frozen_parts
from resnetkit.training.growth import networks
from resnetkit.training.images import (
    check_classes,
    check_limit,
    choose_images,
    look_through,
    used_parts,
)
from resnetkit.training.observer import Observer
from resnetkit.training.rarity import class_weights
from resnetkit.training.recipe import DataRecipe, Recipe, resolve
from resnetkit.training.room import Place, check_room
from resnetkit.training.run_folder import DataRecord, free_name
from resnetkit.training.schedule import warmup_steps
from resnetkit.training.teacher import (
    check_sight,
    open_teachers,
    teacher_sums,
    who_saw_what_is_held_out,
)

_SHAPING = ("depths", "width", "norm", "shortcut", "order")
"""Settings of a recipe that say which tensors a network has."""


def plan_run(
    recipe: Recipe,
    dataset: Dataset,
    out: str | None,
    strict: bool,
    place: Place,
    observer: Observer,
    ranks: Ranks,
) -> tuple[Path, Recipe, DataRecord]:
    """Look through the images, and decide what the recipe leaves open; makes nothing yet.

    Returns:
        Where the run folder goes, the decided recipe, and what is known of the images.

    Raises:
        UserError: something does not go together.
    """
    check_can_create(Path(out or "runs"), may_exist=out is None)
    check_classes(dataset)
    begun = open_pretrained(recipe.weights) if recipe.weights else None
    if begun:
        recipe = _as_begun(recipe, begun)
    _check_early(recipe, dataset)
    teachers = open_teachers(recipe.teaching, dataset.classes, dataset.task)
    skipped, facts = look_through(dataset, place.workers, strict, observer)
    asked, recipe = recipe.precision, resolve(recipe, facts)
    check_sight(recipe, teachers)
    recipe = replace(recipe, precision=choose_precision(asked, place.device, observer.say))
    spec = network_of(recipe)
    precision = _right_precision(asked, recipe, spec, place.device)
    recipe = replace(recipe, precision=precision, drop_path=spec.drop_path, dropout=spec.dropout)
    recipe = depths.decided(recipe, spec)
    frozen_parts(recipe.freeze, spec)
    sources = choose_images(dataset, recipe, skipped)
    if begun and begun.transform:
        recipe = replace(recipe, data=_normalised_as(recipe.data, begun.transform))
    class_weights(recipe.balance, dataset.classes, sources["train"].labels)  # names are checked
    recipe = _measured(recipe, sources["train"], place.workers)
    transform_of(recipe)  # before anything is made: mean and deviation may be a person's own
    record = DataRecord(
        classes=dataset.classes,
        fingerprints={
            part: prepare.fingerprint(dataset.parts[part]) for part in used_parts(dataset)
        },
        images={part: len(source) for part, source in sources.items()},
        skipped=skipped,
        ancestors=begun.ancestors if begun else (),
        teachers=teacher_sums(recipe.teaching),
    )
    nested = deepest(starting_network(recipe, record.classes), recipe)
    _check_batch(recipe, len(sources["train"]), nested.net, ranks.count)
    check_room(nested, recipe, len(sources["train"]), place.room, ranks)
    if "val" not in dataset.parts:
        _tell_of_teachers(recipe, teachers, record, observer)
    path = Path(out) if out else free_name(dataset.name, recipe.model or "")
    return path, recipe, record


def _tell_of_teachers(
    recipe: Recipe, teachers: list[Classifier], record: DataRecord, observer: Observer
) -> None:
    """Warn of teachers that have seen what this run is judged by."""
    for path in who_saw_what_is_held_out(teachers, recipe, record.fingerprints["train"]):
        observer.say(
            f"warning: the teacher {path} was trained on images that are held out here: the "
            f"validation accuracy flatters"
        )


def _as_begun(recipe: Recipe, begun: Pretrained) -> Recipe:
    """The recipe with the network and the geometry of the weights where it leaves them open."""
    data, of = recipe.data, begun.transform
    if of:
        data = replace(
            data,
            image_size=data.image_size or of.size,
            center_crop=data.center_crop or of.crop,
            interpolation=data.interpolation or of.interpolation,
        )
    recipe = replace(recipe, data=data)
    if recipe.model is not None or begun.model is None or begun.spec is None:
        return replace(recipe, model=recipe.model or begun.model)
    known, own = spec_of(begun.model), begun.spec
    others: dict[str, Any] = {
        name: getattr(own, name)
        for name in _SHAPING
        if getattr(recipe, name) is None and getattr(own, name, 0) != getattr(known, name, 0)
    }
    if isinstance(own, MLPSpec):  # its first layer fits no other
        recipe = replace(recipe, data=replace(data, channels=data.channels or own.channels))
    return replace(recipe, model=begun.model, **others)


def _normalised_as(data: DataRecipe, of: Transform) -> DataRecipe:
    """Mean and deviation of the weights where they are open, for other channels their average."""
    channels = data.channels or 3

    def fitting(numbers: tuple[float, ...]) -> tuple[float, ...]:
        average = (sum(numbers) / len(numbers),) * channels
        return numbers if len(numbers) == channels else average

    return replace(data, mean=data.mean or fitting(of.mean), std=data.std or fitting(of.std))


def _measured(recipe: Recipe, train: Source, workers: int) -> Recipe:
    """The recipe with mean and deviation of the training images, and the warm-up in steps."""
    data, channels = recipe.data, recipe.data.channels or 3
    if data.mean is None or data.std is None:
        mean, std = prepare.mean_and_deviation(
            train, data.image_size or 1, channels, workers=workers
        )
        data = replace(data, mean=data.mean or mean, std=data.std or std)
    recipe = replace(recipe, data=data)
    an_epoch = len(batch_bounds(len(train), recipe.batch_size)) - 1
    schedule, epochs = recipe.schedule, recipe.schedule.warmup_epochs
    warm = warmup_steps(schedule, recipe.epochs * an_epoch)
    if epochs is not None:
        warm = round(epochs * an_epoch)
    decided = replace(schedule, warmup_steps=warm, warmup_epochs=None)
    return replace(recipe, schedule=decided)


def _check_early(recipe: Recipe, dataset: Dataset) -> None:
    """Find cheap mistakes before all images are looked through."""
    if recipe.model is not None:
        spec = network_of(recipe)
        reason = why_no_identity_start(spec) if recipe.identity_start else None
        if reason:
            raise UserError(f"no identity start for {recipe.model}: {reason}")
        frozen_parts(recipe.freeze, spec)
        networks(recipe, spec)
        depths.decided(recipe, spec)
    check_limit(dataset, recipe)


def bf16_is_wrong(summary: Summary, device: torch.device) -> bool:
    """Whether torch's bf16 gives wrong gradients on the CPU.

    A convolution larger than 1x1 that reads a map one pixel wide with a stride leaves the gradient
    of the weights that see padding alone unwritten (torch 2.13: whatever lies in memory).
    """
    return device.type == "cpu" and summary.narrowest == 1


def least_batch(spec: Spec, summary: Summary) -> int:
    """The smallest batch to train on: batch norm has no deviation of a single value a channel."""
    last_stage = summary.rows[len(spec.depths)]
    return 2 if spec.norm == "batch" and last_stage.shape[1:] in ((), (1, 1)) else 1


def _right_precision(asked: str, recipe: Recipe, spec: Spec, device: torch.device) -> Precision:
    """fp32 where bf16 is wrong; raises UserError where it was asked for."""
    side = recipe.data.image_size or 1
    if recipe.precision != "bf16" or not bf16_is_wrong(summarise(spec, side, side), device):
        return recipe.precision
    if asked == "bf16":
        raise UserError(
            f"{recipe.model} at {side} pixels takes a stride on a single pixel, whose gradient is "
            f"wrong in torch's bf16 on the CPU: take --precision fp32 or larger images"
        )
    return "fp32"


def why_more_images(name: str, spec: Spec, side: int) -> str:
    """Why batch norm needs more than one image at a time, where `least_batch` says so."""
    if isinstance(spec, MLPSpec):
        return f"{name} is fully connected, and batch norm needs more than one image at a time"
    return (
        f"{name} at {side} pixels ends in a single pixel, of which batch norm needs more than one "
        f"image at a time"
    )


def smallest_piece(images: int, batch_size: int, pieces: int, ranks: int) -> int:
    """The fewest images that are computed together, of all batches of an epoch, on any rank."""
    found = []
    for size in {b - a for a, b in pairwise(batch_bounds(images, batch_size))}:
        shares = [share(size, rank, ranks) for rank in range(ranks)]
        parts = min(pieces, max(1, size // ranks))
        found += [max(1, (end - first) // parts) for first, end in shares if end > first]
    return min(found)


def _check_batch(recipe: Recipe, images: int, net: Network, ranks: int) -> None:
    """Refuse a batch, or a piece of one, with too few images."""
    pieces, side = recipe.optimiser.accumulate, recipe.data.image_size or 1
    apart = 1 if recipe.sync_bn else ranks
    smallest = smallest_piece(images, recipe.batch_size, pieces, apart)
    if smallest < 2 and smallest < least_batch(net.spec, summarise(net.spec, side, side)):
        larger = "" if isinstance(net.spec, MLPSpec) else ", or train on larger images"
        raise UserError(
            f"{why_more_images(recipe.model or '', net.spec, side)}: raise --batch-size, lower "
            f"--accumulate{larger}"
        )
    together = {
        "mixup and cutmix mix": recipe.augmentation.mixup or recipe.augmentation.cutmix,
        "teacher_features compares": recipe.teaching.teacher_features,
    }
    for what, is_on in together.items():
        if smallest < 2 and is_on:
            raise UserError(
                f"{what} images that are computed together, and some are alone: raise "
                f"--batch-size, or lower --accumulate"
            )


def transform_of(recipe: Recipe) -> Transform:
    """The preprocessing of a recipe in which everything is decided: that of evaluation."""
    data = recipe.data
    assert data.image_size and data.channels and data.mean and data.std
    return Transform(
        size=data.eval_size or data.image_size,
        crop=data.center_crop or 1.0,
        interpolation=data.interpolation or "bilinear",
        channels=data.channels,
        mean=data.mean,
        std=data.std,
        mirror=data.mirror,
    )


def starting_network(
    recipe: Recipe,
    classes: tuple[str, ...],
    observer: Observer | None = None,
    *,
    fresh: bool = True,
) -> Network:
    """The recipe's network, its start drawn by the recipe's seed, or `fresh` from its weights."""
    torch.manual_seed(recipe.seed)
    net = create(
        network_of(recipe),
        classes=len(classes),
        channels=recipe.data.channels,
        identity_start=recipe.identity_start,
    )
    if recipe.weights and fresh:
        notes = open_pretrained(recipe.weights).load_into(net, classes)
        if observer:
            observer.say(", ".join([f"begins with {recipe.weights}", *notes]))
    return net


def deepest(net: Network, recipe: Recipe) -> Nested:
    """The network that the first one becomes in the end, and those inside: what needs the most."""
    for spec in networks(recipe, net.spec)[-1:]:
        net = deepen(net, depths=spec.depths)
    return depths.with_inner(net, recipe)


def network_of(recipe: Recipe) -> Spec:
    """The network that a recipe names, with what it says of its blocks."""
    asked = {name: getattr(recipe, name) for name in (*_SHAPING, "drop_path", "dropout")}
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    spec, data = spec_of(recipe.model or ""), recipe.data
    for name in changes:
        if not hasattr(spec, name):
            raise UserError(f"{recipe.model} has no {name}: leave --{name} out")
    if isinstance(spec, MLPSpec) and data.eval_size not in (None, data.image_size):
        raise UserError(f"{recipe.model} is for images of one size: leave --eval-size out")
    if changes.get("norm") == "group" and isinstance(spec, ResNetSpec):
        changes["norm_groups"] = fitting_groups(spec)
    return for_size(replace(spec, **changes), data.image_size or usual(recipe.model or "").size)
