"""Curves of a run: loss and accuracy, training and validation, by epoch."""

from pathlib import Path

from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnetkit.report.style import BLUE, ORANGE, new_figure, plain_axes, save_figure
from resnetkit.training.recipe import Recipe

MOST_MARKED = 40
"""Epochs up to which each has a dot."""


def draw_curves(rows: list[dict], title: str, path: Path, recipe: Recipe) -> None:
    """Draw the lines of a metrics.jsonl into a PNG; without lines there is nothing to draw.

    What training's numbers are of, where it is not what validation's are, is said beside them.
    """
    if not rows:
        return
    figure = new_figure(8, 3.4)
    epochs = [row["epoch"] for row in rows]
    marker = "o" if len(rows) <= MOST_MARKED else ""
    for axes, what, label in zip(
        figure.subplots(1, 2), ("loss", "top1"), ("Loss", "Top-1 accuracy"), strict=True
    ):
        for part, name, colour in (("train", "training", BLUE), ("val", "validation", ORANGE)):
            values = [row[f"{part}_{what}"] for row in rows]
            kind = _kind(recipe, what) if part == "train" else ""
            axes.plot(
                epochs, values, color=colour, marker=marker, markersize=3.5, label=name + kind
            )
        if what == "top1" and "val_map" in rows[0]:
            values = [row["val_map"] for row in rows]
            axes.plot(epochs, values, "--", color=ORANGE, label="validation mAP")
        axes.set_xlabel("Epoch")
        axes.set_ylabel(label)
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if len(rows) == 1:
            axes.margins(y=1)  # two points at the edges look further apart than they are
        for row in rows:
            if "rollbacks" in row:
                name = "rolled back" if row is next(r for r in rows if "rollbacks" in r) else None
                axes.axvline(row["epoch"], color="#999999", linewidth=0.8, label=name)
            for growth in row.get("grown", ()):
                at = growth["step"] / row["step"] * row["epoch"]
                axes.axvline(at, color="#999999", linewidth=0.8, linestyle="--")
                place = axes.get_xaxis_transform()  # above the frame, where no curve can be
                axes.text(at, 1.01, growth["to"], transform=place, ha="center", fontsize=7)
        plain_axes(axes)
        axes.legend(frameon=False)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    figure.suptitle(f"{title}: {rows[-1]['val_top1']:.2%} on validation", fontsize=11)
    save_figure(figure, path)


def _kind(recipe: Recipe, what: str) -> str:
    """What sets the loss or the accuracy in training apart."""
    smooth, yes_no = recipe.optimiser.label_smoothing, recipe.optimiser.loss == "bce"
    mixed = recipe.augmentation.mixup or recipe.augmentation.cutmix
    words = ["labels smoothed"] if smooth and what == "loss" else []
    words += ["yes or no a class"] if yes_no and what == "loss" else []
    words += ["pictures mixed"] if mixed else []
    return "".join(f", {word}" for word in words)
