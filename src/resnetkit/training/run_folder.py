"""The run folder: recipe.yaml, data.json, metrics.jsonl, SHA256SUMS, checkpoints/, classifier/."""

import contextlib
import fcntl
import itertools
import json
import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from resnetkit.config import from_plain, to_plain
from resnetkit.errors import UserError
from resnetkit.files import remove_tree, whole_folder
from resnetkit.sums import SUMS, check_sum, read_listed, replace_listed, sums_text
from resnetkit.training.recipe import Recipe
from resnetkit.training.recipe_files import parse_recipe

METRICS = (
    "epoch", "step", "lr", "train_loss", "train_top1", "val_loss", "val_top1",
    "images_per_second", "seconds",
)  # fmt: skip
"""What a line of metrics.jsonl holds."""

CHECKED = ("recipe.yaml", "data.json", "metrics.jsonl")
"""Files of which one wrong bit is found when a run is read."""


@dataclass(frozen=True)
class DataRecord:
    """What a run knows of its images.

    Attributes:
        classes: names, in the order of the logits.
        fingerprints: a part's digest of names, labels and contents, before any is left out.
        images: how many a part has after leaving out, holding out and limiting.
        skipped: [part, path, reason] of every image that is left out.
        ancestors: what its first weights were, and what those had come from, oldest first.
        teachers: the digest of every teacher's weights.
    """

    classes: tuple[str, ...]
    fingerprints: dict
    images: dict
    skipped: tuple[tuple[str, ...], ...]
    ancestors: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()


class RunFolder:
    """A folder that holds one training run."""

    def __init__(self, path: Path):
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.classifier = path / "classifier"
        self.metrics = path / "metrics.jsonl"
        self.dynamics = path / "dynamics.npz"

    @classmethod
    def create(cls, path: Path, recipe: Recipe, data: DataRecord) -> "RunFolder":
        """Make the folder; it appears by a rename with the recipe in it."""
        with whole_folder(path) as beside:
            (beside / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
            text = json.dumps(to_plain(data), indent=1)
            (beside / "data.json").write_text(text + "\n", encoding="utf-8")
            (beside / "metrics.jsonl").touch()
            (beside / SUMS).write_text(sums_text(beside, CHECKED), encoding="utf-8")
            (beside / "checkpoints").mkdir()
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing run; raises UserError when there is none."""
        if not path.is_dir():
            raise UserError(f"nothing to resume: there is no run folder {path}")
        if not (path / "recipe.yaml").is_file():
            raise UserError(f"nothing to resume: {path} is no run folder, it has no recipe.yaml")
        return cls(path)

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end and left a Classifier."""
        return (self.classifier / "config.json").is_file()

    @property
    def how_to_start_anew(self) -> str:
        """What to do where it cannot go on as it is."""
        return f"start anew with {f'--weights {self.path}' if self.finished else 'another --out'}"

    def recipe(self) -> Recipe:
        """The recipe of the run; raises UserError when it is not as it was written."""
        file = self.path / "recipe.yaml"
        self._check(file)
        return parse_recipe(file.read_text(encoding="utf-8"), str(file))

    def _check(self, file: Path) -> None:
        """Compare a file with its checksum; runs of earlier versions have none."""
        if (self.path / SUMS).exists():
            hint = "; bring it back, or start anew with another --out"
            check_sum(file, "was changed after the run began", hint)

    def extend(self, recipe: Recipe) -> None:
        """Take over a recipe with more epochs; a finished run is unfinished from then on."""
        if recipe != self.recipe():
            if self.finished:
                remove_tree(self.classifier)
            self.dynamics.unlink(missing_ok=True)
            replace_listed(self.path / "recipe.yaml", recipe.to_yaml())

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Keep other trainings out; no crash leaves the lock behind. Raises UserError."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another training is at work in {self.path}") from None
        else:
            yield
        finally:
            os.close(descriptor)

    def data(self) -> DataRecord:
        """What the run knows of its images."""
        file = self.path / "data.json"
        self._check(file)
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{file} is damaged: {error}") from None
        return from_plain(DataRecord, content, where=str(file))

    def rewrite_metrics(self, history: list[dict]) -> None:
        """Write metrics.jsonl anew, whole: with a line more, or cut back to a checkpoint's."""
        text = "".join(json.dumps(row) + "\n" for row in history)
        replace_listed(self.metrics, text)


def read_metrics(file: Path) -> list[dict]:
    """The lines of a metrics.jsonl up to the first that is none of a run's.

    Raises:
        UserError: the file is not as the run wrote it; `--resume` writes it anew.
    """
    rows = []
    content = read_listed(file, "was changed after the run wrote it")
    for line in content.decode(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or not all(
            isinstance(row.get(key), int | float) for key in METRICS
        ):
            break
        rows.append(row)
    return rows


def free_name(data: str, model: str, parent: Path = Path("runs")) -> Path:
    """The first of runs/<data>-<model>-1, -2, ... that is not there."""
    for number in itertools.count(1):
        path = parent / f"{data}-{model}-{number}"
        if not path.exists():
            return path
    raise AssertionError
