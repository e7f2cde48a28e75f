"""Several classifiers as one: their probabilities are averaged."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from resnetkit.classifier import ENSEMBLE, Classifier, Training, classifier_folder
from resnetkit.config import Precision, from_plain
from resnetkit.data.strata import Task
from resnetkit.engine import Engine
from resnetkit.errors import UserError
from resnetkit.files import whole_folder

FORMAT = 1


class Ensemble(Classifier):
    """Calling it on a uint8 NHWC batch gives the logits of the members' mean probabilities.

    `net` and what is told of it are the first member's; `transform` as well, but every member
    normalises the pixels as it was trained to.

    Args:
        members: at least two, for the same classes, in the same order, on images of one geometry.

    Raises:
        UserError: they do not go together.
    """

    def __init__(self, members: Sequence[Classifier]):
        first = members[0]
        for number, other in enumerate(members[1:], 2):
            _check_together(first, other, number)
        training = _training(members)
        super().__init__(first.net, first.transform, first.classes, training, first.task)
        self.members = tuple(members)

    def to(self, device: str | torch.device) -> "Ensemble":
        """Move all networks to a device."""
        for member in self.members:
            member.to(device)
        return self

    def at(self, layers: int) -> Classifier:
        """Raise UserError: depths are those of one network."""
        raise UserError(f"an ensemble has no depth of {layers} layers: name one of its networks")

    def features(self, batch: Tensor) -> Tensor:
        """Raise UserError: every member has features of its own."""
        del batch
        raise UserError("features are those of one network: name one of the ensemble's")

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> Tensor:
        """uint8 (N, size, size, channels) -> float32 logits (N, classes)."""
        return mean_logits([m(batch) / m.temperature for m in self.members], self.task)

    def engine(self, precision: Precision = "auto") -> "EnsembleEngine":
        """All members made ready for many images."""
        return EnsembleEngine([m.engine(precision) for m in self.members], self.task)

    def save(self, folder: Path) -> None:
        """Write a Classifier folder a member, and ensemble.json; the folder appears whole."""
        names = [str(number) for number, _ in enumerate(self.members, 1)]
        with whole_folder(folder) as beside:
            for name, member in zip(names, self.members, strict=True):
                member.save(beside / name)
            text = json.dumps({"format": FORMAT, "members": names}, indent=2)
            (beside / ENSEMBLE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Ensemble":
        """Read an ensemble's folder; raises UserError."""
        return cls([Classifier.load(folder) for folder in members_of(path)])


class EnsembleEngine(Engine):
    """Calling it on a uint8 NHWC batch gives logits; features are those of no single network."""

    def __init__(self, engines: Sequence[Engine], task: Task):
        self.engines, self.task = engines, task
        self.transform, self.device = engines[0].transform, engines[0].device
        self.precision = engines[0].precision

    def features(self, batch: Tensor) -> Tensor:
        """Raise UserError: every member has features of its own."""
        del batch
        raise UserError("features are those of one network: name one of the ensemble's")

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> Tensor:
        """uint8 (N, size, size, channels) -> float32 logits (N, classes)."""
        return mean_logits([engine(batch) for engine in self.engines], self.task)


def mean_logits(logits: Sequence[Tensor], task: Task) -> Tensor:
    """Logits (N, classes) of the mean of several networks' probabilities."""
    every = torch.stack(list(logits))
    if task == "multi-label":
        yes = functional.logsigmoid(every).logsumexp(0)
        return yes - functional.logsigmoid(-every).logsumexp(0)
    return every.log_softmax(2).logsumexp(0) - torch.tensor(float(len(every))).log()


def open_classifier(path: str | Path) -> Classifier:
    """The Classifier of a finished run, in a folder of its own, or an ensemble of some.

    Raises:
        UserError: there is none, the run is unfinished, or a file is damaged.
    """
    return (Ensemble if (Path(path) / ENSEMBLE).is_file() else Classifier).load(path)


def members_of(path: str | Path) -> list[Path]:
    """The Classifier folders that a path stands for: one, or those of an ensemble.

    Raises:
        UserError: there is none, or the ensemble's file is damaged.
    """
    file = Path(path) / ENSEMBLE
    if not file.is_file():
        return [classifier_folder(Path(path))]
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged: {error}") from None
    config = from_plain(_Config, data, where=str(file))
    if config.format != FORMAT:
        raise UserError(f"{file} has format {config.format}; this resnetkit reads {FORMAT}")
    if len(config.members) < 2 or not all(name.isdecimal() for name in config.members):
        raise UserError(f"{file} does not name two members at the least")
    return [classifier_folder(file.parent / name) for name in config.members]


@dataclass(frozen=True)
class _Config:
    """The layout of ensemble.json."""

    format: int
    members: tuple[str, ...]


def _check_together(first: Classifier, other: Classifier, number: int) -> None:
    if other.classes != first.classes:
        odd = sorted(set(first.classes) ^ set(other.classes))
        raise UserError(
            f"network {number} is for other classes than the first: "
            f"{', '.join(odd[:5]) or 'the same in another order'}"
        )
    if other.task != first.task:
        raise UserError(f"network {number} is for {other.task} images, the first {first.task}")
    for what in ("size", "channels", "crop", "interpolation"):
        ours, theirs = (getattr(c.transform, what) for c in (first, other))
        if ours != theirs:
            raise UserError(
                f"network {number} sees other images than the first: {what} {theirs}, not {ours}"
            )


def _training(members: Sequence[Classifier]) -> Training:
    """What is known of all: which images none of them has seen, where those are the same."""
    first = members[0].training
    ways = {
        (t.data, t.fingerprint, t.seed, t.val_fraction, t.limit, t.folds, t.fold)
        for t in (member.training for member in members)
    }
    ancestors = tuple(m.training.told(f"member {i}") for i, m in enumerate(members, 1))
    if len(ways) > 1:
        return Training(data=first.data, model=first.model, ancestors=ancestors)
    unjudged = {"val_images": 0, "val_top1": 0.0, "val_map": None, "inner_top1": {}}
    return replace(first, ancestors=ancestors, **unjudged)
