"""What `resnetkit compare` found, as text for a terminal."""

from resnetkit.columns import make_table, table_text
from resnetkit.comparing import ComparedRun, Comparison
from resnetkit.config import shown
from resnetkit.training.few import counted


def comparison(found: Comparison) -> str:
    """A column a run: what came of it, then the settings that differ."""
    names = [run.name for run in found.runs]
    results = make_table(("Result", False), *((name, True) for name in names))
    results.add_row("parameters", *(f"{run.parameters:,}" for run in found.runs))
    columns = [run.results for run in found.runs]
    for key, show in _SHOWN.items():
        cells = [show.format(c[key]) if c[key] is not None else "none yet" for c in columns]
        results.add_row(key, *cells)
    results.add_row("finished", *(_finished(run) for run in found.runs))
    lines = [table_text(results).strip("\n"), ""]
    if not found.differences:
        return "\n".join([*lines, "the recipes are the same"])
    settings = make_table(("Setting", False), *((name, False) for name in names))
    for name, values in found.differences.items():
        settings.add_row(name, *map(shown, values))
    return "\n".join([*lines, table_text(settings).strip("\n")])


def _finished(run: ComparedRun) -> str:
    return "yes" if run.finished else f"no, of {counted(run.recipe.epochs, 'epoch')}"


_SHOWN = {
    "epochs": "{}", "steps": "{:,}", "val_top1": "{:.2%}", "val_loss": "{:.4f}",
    "seconds": "{:,.1f}", "images_per_second": "{:,.0f}",
}  # fmt: skip
