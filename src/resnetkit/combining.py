"""`resnetkit combine`: several Classifiers made one, an ensemble or a mean of their weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from resnetkit.classifier import Classifier
from resnetkit.data.loader import Loader
from resnetkit.data.sources import Source, Subset
from resnetkit.data.transform import Transform
from resnetkit.ensemble import Ensemble
from resnetkit.errors import UserError
from resnetkit.files import check_can_create
from resnetkit.judged_images import images_to_judge
from resnetkit.nets.network import Network
from resnetkit.nets.norms import measure_statistics

MEASURED_ON, BATCH = 4096, 128
"""Images that norms are measured on, at the most, and how many at a time."""


@dataclass(frozen=True)
class Combined:
    """What was made.

    Attributes:
        out: the new folder.
        way: ensemble, or average.
        members: the runs that went in.
        networks: that are computed for a picture.
    """

    out: str
    way: str
    members: tuple[str, ...]
    networks: int

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """In a line."""
        what = "the mean of their probabilities" if self.way == "ensemble" else "one network"
        return f"{self.out}: {self.way} of {len(self.members)} networks, {what}"


def combine(runs: Sequence[str], out: str) -> Combined:
    """Write an ensemble, which answers with the mean of its members' probabilities.

    Args:
        runs: at least two finished runs or Classifier folders.
        out: the folder to make.

    Raises:
        UserError: there is no such classifier, `out` exists, or they do not go together.
    """
    Ensemble(_opened(runs, out)).save(Path(out))
    return Combined(out, "ensemble", tuple(runs), len(runs))


def average(
    runs: Sequence[str], out: str, data: str, *, data_dir: str | None = None, workers: int = 2
) -> Combined:
    """Write one Classifier with the mean of several networks' weights.

    A model soup (Wortsman 2022, arXiv 2203.05482, section 2): it costs no more than one of them,
    and makes sense for networks that were trained on from the same weights. The statistics of
    their norms are measured anew (Izmailov 2018, arXiv 1803.05407, section 3.2).

    Args:
        runs: at least two finished runs or Classifier folders.
        out: the folder to make.
        data: whose training images the norms are measured on, as `train` takes it.
        data_dir: where the files of fashion-mnist are.
        workers: threads that load images.

    Raises:
        UserError: as `combine`, or they did not begin with the same weights.
    """
    members = _opened(runs, out)
    _check_same_start(members, runs)
    first, together = members[0], Ensemble(members).training
    _, images, _ = images_to_judge(first, data, "train", data_dir)
    states = [member.net.state_dict() for member in members]
    mean = {
        name: torch.stack([s[name].double() for s in states]).mean(0).to(tensor.dtype)
        for name, tensor in states[0].items()
    }
    first.net.load_state_dict(mean)
    _measure_norms(first.net, images, first.transform, workers)
    told = [member.training.told(run) for member, run in zip(members, runs, strict=True)]
    training = replace(together, ancestors=tuple(told))
    made = Classifier(first.net, first.transform, first.classes, training, first.task)
    made.save(Path(out))
    return Combined(out, "average", tuple(runs), 1)


def _opened(runs: Sequence[str], out: str) -> list[Classifier]:
    check_can_create(Path(out))
    if len(runs) < 2:
        raise UserError("one network alone is not to be combined: name two runs at the least")
    return [Classifier.load(run) for run in runs]


def _check_same_start(members: Sequence[Classifier], runs: Sequence[str]) -> None:
    """Raise UserError where a mean of weights would be the weights of nothing."""
    first = members[0]
    for member, run in zip(members[1:], runs[1:], strict=True):
        ours, theirs = (replace(m.spec, drop_path=0.0, dropout=0.0) for m in (first, member))
        if theirs != ours:
            raise UserError(f"{run} is another network than {runs[0]}: only an ensemble takes both")
        if not set(member.training.ancestors) & set(first.training.ancestors):
            raise UserError(
                f"{run} and {runs[0]} did not begin with the same weights (--weights), and the "
                f"mean of theirs is nothing: make an ensemble, without --average"
            )
        if member.transform != first.transform:
            raise UserError(f"{run} sees its images normalised otherwise than {runs[0]}")


def _measure_norms(net: Network, images: Source, transform: Transform, workers: int) -> None:
    """On some images of all classes, as a person's files may lie sorted by class."""
    chosen = np.random.default_rng(0).permutation(len(images))[:MEASURED_ON]
    loader = Loader(Subset(images, chosen), transform, BATCH, workers=workers, skip_bad=True)
    batches = (transform.normalise(b.images) for b in loader.epoch() if len(b.labels) > 1)
    measure_statistics(net, batches)
