"""`resnetkit compare`: what differs between runs, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

from resnetkit.errors import UserError
from resnetkit.training.recipe import Recipe, settings_of
from resnetkit.training.run_folder import RunFolder, read_metrics

RESULTS = ("epochs", "steps", "val_top1", "val_loss", "seconds", "images_per_second")


@dataclass(frozen=True)
class ComparedRun:
    """One run: its settings by flat name, the lines of its metrics, and whether it is finished."""

    name: str
    recipe: Recipe
    rows: list[dict]
    finished: bool
    fingerprints: dict

    @property
    def results(self) -> dict[str, float | None]:
        """What its last line says; None where it has none yet."""
        if not self.rows:
            return dict.fromkeys(RESULTS)
        last = self.rows[-1]
        rates = [row["images_per_second"] for row in self.rows]
        return {
            "epochs": last["epoch"],
            "steps": last["step"],
            "val_top1": last["val_top1"],
            "val_loss": last["val_loss"],
            "seconds": last["seconds"],
            "images_per_second": sum(rates) / len(rates),
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
                {"run": run.name, "finished": run.finished, **run.results} for run in self.runs
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
    run = RunFolder(path)
    rows = read_metrics(run.metrics) if run.metrics.is_file() else []
    return ComparedRun(str(path), run.recipe(), rows, run.finished, run.data().fingerprints)


def _warnings(runs: tuple[ComparedRun, ...]) -> list[str]:
    """Accuracies on different images say nothing about the recipes."""
    first, found = runs[0], []
    for run in runs[1:]:
        data, before = run.recipe.data, first.recipe.data
        if run.fingerprints != first.fingerprints:
            found.append(f"{run.name} and {first.name} have different images")
        elif "val" not in run.fingerprints and (
            (data.val_fraction, data.folds, data.fold, run.recipe.seed)
            != (before.val_fraction, before.folds, before.fold, first.recipe.seed)
        ):
            found.append(f"{run.name} and {first.name} have held out different validation images")
    return found
