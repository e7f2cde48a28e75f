"""`resnetkit compare`: what differs between runs, and what came of it."""

from dataclasses import dataclass, replace
from pathlib import Path

from resnetkit.errors import UserError
from resnetkit.nets.summary import summarise
from resnetkit.training.folds import holds_folds
from resnetkit.training.recipe import Recipe
from resnetkit.training.run_folder import DataRecord, RunFolder, read_metrics
from resnetkit.training.settings import settings_of
from resnetkit.training.setup import network_of

RESULTS = ("epochs", "steps", "val_top1", "val_loss", "seconds", "images_per_second")


@dataclass(frozen=True)
class ComparedRun:
    """One run: its recipe, the lines of its metrics, its images, and whether it is finished."""

    name: str
    recipe: Recipe
    rows: list[dict]
    finished: bool
    data: DataRecord

    @property
    def parameters(self) -> int:
        """Numbers that its network learns."""
        channels = self.recipe.data.channels or 3
        spec = replace(network_of(self.recipe), classes=len(self.data.classes), channels=channels)
        side = self.recipe.data.image_size or 1
        return summarise(spec, side, side).parameters

    @property
    def results(self) -> dict[str, float | None]:
        """What its last line says; None where it has none yet."""
        if not self.rows:
            return dict.fromkeys(RESULTS)
        last = self.rows[-1]
        return {
            "epochs": last["epoch"],
            "steps": last["step"],
            "val_top1": last["val_top1"],
            "val_loss": last["val_loss"],
            "seconds": last["seconds"],
            "images_per_second": len(self.rows)  # epochs are equally long: the mean of all images
            / sum(1 / row["images_per_second"] for row in self.rows),
        }


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: in the order they were given.
        differences: setting -> its value in each run, only those that differ.
        warnings: why their results cannot be compared, if so.
    """

    runs: tuple[ComparedRun, ...]
    differences: dict[str, list]
    warnings: list[str]

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return {
            "runs": [
                {
                    "run": run.name,
                    "finished": run.finished,
                    "parameters": run.parameters,
                    **run.results,
                }
                for run in self.runs
            ],
            "differences": self.differences,
            "warnings": self.warnings,
        }


def compare(runs: list[str | Path]) -> Comparison:
    """Set runs side by side, finished or not.

    Args:
        runs: two or more run folders.

    Raises:
        UserError: fewer than two, the same one twice, or no run folder.
    """
    if len(runs) < 2:
        raise UserError("give two or more run folders to compare")
    paths = [Path(run) for run in runs]
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise UserError(f"{path} is given twice")
    found = tuple(_read(path) for path in paths)
    settings = [settings_of(run.recipe) for run in found]
    differences = {
        name: [each[name] for each in settings]
        for name in settings[0]
        if any(each[name] != settings[0][name] for each in settings)
    }
    return Comparison(found, differences, _warnings(found))


def _read(path: Path) -> ComparedRun:
    if not (path / "recipe.yaml").is_file():
        raise UserError(f"{path} is no run folder: it has no recipe.yaml")
    if holds_folds(path):
        raise UserError(f"{path} holds a run a fold: compare them, such as {path}/fold-1")
    run = RunFolder(path)
    if not run.metrics.is_file():
        raise UserError(f"{path} is damaged: it has no {run.metrics.name}")
    return ComparedRun(str(path), run.recipe(), read_metrics(run.metrics), run.finished, run.data())


def _warnings(runs: tuple[ComparedRun, ...]) -> list[str]:
    """Accuracies on different images say nothing about the recipes."""
    first, found = runs[0], []
    for run in runs[1:]:
        names = f"{run.name} and {first.name}"
        seen, seen_first = run.data.fingerprints, first.data.fingerprints
        if (seen, run.data.classes) != (seen_first, first.data.classes):
            found.append(f"{names} have different images: accuracies are not comparable")
        elif "val" not in seen and _held_out_by(run.recipe) != _held_out_by(first.recipe):
            found.append(
                f"{names} have held out different validation images: accuracies are not comparable"
            )
    return found


def _held_out_by(recipe: Recipe) -> tuple:
    """The settings that choose the images held out; with folds a limit is applied before."""
    data = recipe.data
    limit = data.limit if data.folds else None
    return data.val_fraction, data.folds, data.fold, limit, recipe.seed
