"""Labels that look wrong, from what networks say that have not learned them, or not yet."""

import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from resnetkit.errors import UserError
from resnetkit.label_scores import right_probability
from resnetkit.training.folds import FoldsFolder, holds_folds
from resnetkit.training.images import check_same_data, open_images
from resnetkit.training.run_folder import RunFolder

ARRAYS = ("logits", "labels", "classes", "task", "paths", "indices")

CUT = 0.5
"""A label is suspected where it is less likely right than wrong."""


@dataclass(frozen=True)
class Suspect:
    """An image whose label looks wrong.

    Attributes:
        path: of the image, or its place in a file.
        given: its class, as labelled.
        likely: the class that it looks like.
        score: how likely the label is right, 0 to 1.
        index: of the image among all training images.
    """

    path: str
    given: str
    likely: str
    score: float
    index: int

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return {k: v for k, v in asdict(self).items() if k != "index"}


@dataclass(frozen=True)
class Suspects:
    """What a run or a cross-validation says of its labels.

    Attributes:
        run: its folder.
        images: whose labels were judged.
        found: those below the cut, the likeliest wrong first.
        cut: scores below it are suspected.
        noise: how often labels of one class are thought to be wrong, over all classes.
    """

    run: str
    images: int
    found: tuple[Suspect, ...]
    cut: float
    noise: float


def find_label_errors(run: str | Path, *, cut: float = CUT) -> Suspects:
    """Rank the labels of a run's training images, and list those that look wrong.

    Those of a cross-validation are judged by a network that has not seen them; those of one run by
    what its network said of them while it learned, which costs no further training, and finds less.

    Args:
        run: the folder of a finished `train --folds N` or `train --dynamics`.
        cut: a label is listed where the chance that it is right is below this.

    Raises:
        UserError: it is neither, or of images with several classes each.
    """
    if not 0 < cut <= 1:
        raise UserError(f"--cut must be more than 0 and at most 1, not {cut:g}")
    found = _read_logits(_kept_by(Path(run)))
    labels, names = found["labels"], [str(name) for name in found["classes"]]
    if str(found["task"]) != "single-label":
        raise UserError(f"{run} is of images with several classes each: they cannot be ranked yet")
    judged = right_probability(found["logits"], labels)
    order = np.argsort(judged.right, kind="stable")
    listed = tuple(
        Suspect(
            str(found["paths"][i]), names[labels[i]], names[judged.likely[i]],
            round(float(judged.right[i]), 4), int(found["indices"][i]),
        )
        for i in order[: int((judged.right < cut).sum())]
    )  # fmt: skip
    return Suspects(str(run), len(labels), listed, cut, judged.noise)


def _kept_by(folder: Path) -> Path:
    """The file of a run in which logits are kept by image; raises UserError where there is none."""
    if not folder.exists():
        raise UserError(f"no such run folder: {folder}")
    if holds_folds(folder):
        file = FoldsFolder(folder).predictions
    else:
        run = RunFolder(folder)
        if not (folder / "recipe.yaml").is_file():
            raise UserError(f"{folder} is no run folder: it has no recipe.yaml")
        if not run.recipe().dynamics:
            raise UserError(
                f"{folder} is one run, whose network has learned its labels: train with --folds 3, "
                f"and every label is judged by a network that has not; or with --dynamics, and it "
                f"is judged by what the network said while it learned"
            )
        file = run.dynamics
    if not file.is_file():
        raise UserError(f"{folder} is unfinished: resnetkit train --resume --out {folder}")
    return file


def _read_logits(file: Path) -> dict[str, np.ndarray]:
    """The arrays that are needed of out_of_fold.npz or dynamics.npz; raises UserError."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ARRAYS}
        _check_together(found)
        return found
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
        raise UserError(f"{file} is damaged: {error}") from None


def _check_together(found: dict[str, np.ndarray]) -> None:
    """Raise ValueError for arrays that do not belong together."""
    images, classes = found["logits"].shape
    if len(found["classes"]) != classes or classes < 2 or not images:
        raise ValueError("logits and classes do not belong together")
    if any(len(found[name]) != images for name in ("labels", "paths", "indices")):
        raise ValueError("not a row an image")
    labels = found["labels"]
    if labels.ndim == 1 and not (
        labels.dtype.kind == "i" and 0 <= labels.min() <= labels.max() < classes
    ):
        raise ValueError("labels that are no classes")


def as_csv(found: Suspects, fill: str) -> str:
    """A table to be edited and given to `train --labels`, the worst first.

    Args:
        found: the labels that look wrong.
        fill: what stands in the column `label`, which `train` reads: `given`, so that nothing
            changes until it is edited; `likely`; or `empty`, which leaves the image out.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "label", "given", "likely", "score"])
    for one in found.found:
        label = {"given": one.given, "likely": one.likely, "empty": ""}[fill]
        table.writerow([one.path, label, one.given, one.likely, f"{one.score:.4f}"])
    return text.getvalue()


def pictures(found: Suspects, data_dir: str | None, most: int) -> list[np.ndarray]:
    """The images of the worst labels, as they are in the data; raises UserError."""
    folder = RunFolder(Path(found.run))
    dataset = open_images(folder.recipe(), data_dir)
    check_same_data(dataset, folder.data(), folder.path)
    train = dataset.parts["train"]
    return [train.image(one.index, 3) for one in found.found[:most]]
