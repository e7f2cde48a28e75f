"""Learning from what trained networks say, besides the labels (Hinton 2015, arXiv 1503.02531)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from resnetkit.classifier import Classifier
from resnetkit.config import Precision
from resnetkit.data.strata import Task
from resnetkit.data.transform import Transform
from resnetkit.engine import Engine
from resnetkit.ensemble import members_of
from resnetkit.errors import UserError
from resnetkit.sums import file_sum
from resnetkit.training.loss import Loss
from resnetkit.training.recipe import Recipe, TeacherRecipe


class Teacher:
    """Trained networks that say what they take a batch for.

    They see the pictures as the one that learns sees them, changed and mixed, at their own size.

    Args:
        classifiers: one or several, whose logits are averaged.
        recipe: how much their answers count.
        classes: in the order of the network that learns; theirs may be in another.
        seen: how that network's images are normalised.
        device: that computes.
        precision: fp32 or bf16.
    """

    def __init__(
        self,
        classifiers: Sequence[Classifier],
        recipe: TeacherRecipe,
        classes: tuple[str, ...],
        seen: Transform,
        device: torch.device,
        precision: Precision,
    ):
        self.recipe = recipe
        self.engines = [
            Engine(each.to(device).net, each.transform, precision) for each in classifiers
        ]
        self.orders = [
            torch.tensor([each.classes.index(name) for name in classes], device=device)
            for each in classifiers
        ]
        self.changes = [_change(seen, each.transform, device) for each in classifiers]

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        classes: tuple[str, ...],
        task: Task,
        seen: Transform,
        device: torch.device,
    ) -> "Teacher | None":
        """Those that a resolved recipe names, None where it names none; as `open_teachers`."""
        how = recipe.teaching
        found = open_teachers(how, classes, task)
        return cls(found, how, classes, seen, device, recipe.precision) if found else None

    def loss(self, own: Tensor, x: Tensor, features: Tensor, logits: Tensor, loss: Loss) -> Tensor:
        """What is made small: the labels' loss and the teacher's, by their shares.

        Args:
            own: the sum of the images' losses by their labels.
            x: float (N, channels, H, W), as the network that learns has seen it.
            features: what it made of them before its head, (N, F).
            logits: float32 (N, classes), its answers.
            loss: how answers are compared.
        """
        said, found = self._answers(x)
        how = self.recipe
        taught = loss.taught(logits, said, how.teacher_temperature)
        whole = (1 - how.teacher_weight) * own + how.teacher_weight * taught
        if how.teacher_features:
            apart = sum(unlike(features, theirs) for theirs in found) / len(found)
            whole = whole + how.teacher_features * apart
        return whole

    def _answers(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The mean logits, and every teacher's features."""
        with torch.no_grad():
            logits, features = [], []
            for engine, order, change in zip(self.engines, self.orders, self.changes, strict=True):
                seen = _seen(x, change, engine.transform.size)
                found = engine.normalised_features(seen)
                logits.append(engine.head(found)[:, order])
                features.append(found.clone())  # what inference mode made has no part in training
            return torch.stack(logits).mean(0), features


def unlike(features: Tensor, theirs: Tensor) -> Tensor:
    """How differently two networks find the pictures of a piece alike, summed over the pictures.

    The difference of their similarities (Tung 2019, arXiv 1907.09682, equations 2 to 4), there
    divided by the number of pictures once more: features of different length can be compared.

    Args:
        features, theirs: (N, any number).
    """
    ours, theirs = (functional.normalize(f.float() @ f.float().T) for f in (features, theirs))
    return (ours - theirs).square().sum()


def open_teachers(recipe: TeacherRecipe, classes: tuple[str, ...], task: Task) -> list[Classifier]:
    """The classifiers that a recipe names.

    Raises:
        UserError: one is not there, or is for other classes, or for several an image or not.
    """
    folders = _folders(recipe)
    found = [Classifier.load(folder) for folder in folders]
    for path, each in zip(folders, found, strict=True):
        if set(each.classes) != set(classes):
            odd = sorted(set(each.classes) ^ set(classes))
            raise UserError(
                f"the teacher {path} is for other classes: {', '.join(odd[:5])} "
                f"{'is' if len(odd) == 1 else 'are'} not in both"
            )
        if each.task != task:
            raise UserError(f"the teacher {path} is for {each.task} images, these are {task}")
    return found


def _folders(recipe: TeacherRecipe) -> list[Path]:
    """The Classifier folders of all teachers, an ensemble's one after the other."""
    return [folder for path in recipe.teacher for folder in members_of(path)]


def check_sight(recipe: Recipe, teachers: Sequence[Classifier]) -> None:
    """Raise UserError for a teacher that cannot see the colours of a run's images."""
    for path, each in zip(_folders(recipe.teaching), teachers, strict=True):
        if each.transform.channels < (recipe.data.channels or 1):
            raise UserError(f"the teacher {path} sees grey images; say --channels 1")


def teacher_sums(recipe: TeacherRecipe) -> tuple[str, ...]:
    """The digests of every teacher's weights and preprocessing, as text."""
    return tuple(
        " ".join(
            file_sum(folder / name)
            for folder in members_of(path)
            for name in ("model.safetensors", "config.json")
        )
        for path in recipe.teacher
    )


def check_same_teachers(recipe: TeacherRecipe, before: tuple[str, ...], run: Path) -> None:
    """Raise UserError where a teacher is no longer the one that a run began with."""
    now = teacher_sums(recipe)
    for number, path in enumerate(recipe.teacher):
        if now[number] != before[number]:
            raise UserError(
                f"{run}: the teacher {path} is not the one that it began with; bring it back"
            )


def who_saw_what_is_held_out(
    teachers: Sequence[Classifier], recipe: Recipe, fingerprint: str
) -> list[str]:
    """Teachers that were trained on images by which the one that learns is judged.

    Args:
        teachers: as `open_teachers` found them.
        recipe: of the run.
        fingerprint: of its training images before any are held out.
    """
    data = recipe.data
    ours = (recipe.seed, data.val_fraction, data.folds, data.fold)
    return [
        str(path)
        for path, training in zip(
            _folders(recipe.teaching), (t.training for t in teachers), strict=True
        )
        if training.fingerprint == fingerprint
        and ours != (training.seed, training.val_fraction, training.folds, training.fold)
    ]


Change = tuple[Tensor, Tensor] | None
"""Scale and shift of every channel, (1, channels, 1, 1); None: as they are."""


def _change(ours: Transform, theirs: Transform, device: torch.device) -> Change:
    """From our normalised pixels to theirs."""
    if (ours.mean, ours.std) == (theirs.mean, theirs.std):
        return None
    mean, std, their_mean, their_std = (
        torch.tensor(numbers, device=device).view(1, -1, 1, 1)
        for numbers in (ours.mean, ours.std, theirs.mean, theirs.std)
    )
    return std / their_std, (mean - their_mean) / their_std


def _seen(x: Tensor, change: Change, size: int) -> Tensor:
    """A batch as a teacher wants it."""
    if change is not None:
        x = x * change[0] + change[1]
    if x.shape[2:] != (size, size):
        x = functional.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return x.contiguous(memory_format=torch.channels_last)
