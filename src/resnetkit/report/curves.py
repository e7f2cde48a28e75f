"""Curves of a run: loss and accuracy, training and validation, by epoch."""

from pathlib import Path

from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnetkit.report.style import BLUE, ORANGE, new_figure, plain_axes, save_figure


def draw_curves(rows: list[dict], title: str, path: Path) -> None:
    """Draw the lines of a metrics.jsonl into a PNG; without lines there is nothing to draw."""
    if not rows:
        return
    figure = new_figure(8, 3.4)
    epochs = [row["epoch"] for row in rows]
    for axes, what, label in zip(
        figure.subplots(1, 2), ("loss", "top1"), ("Loss", "Top-1 accuracy"), strict=True
    ):
        for part, name, colour in (("train", "training", BLUE), ("val", "validation", ORANGE)):
            values = [row[f"{part}_{what}"] for row in rows]
            axes.plot(epochs, values, color=colour, marker="o", markersize=3.5, label=name)
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
                name = f"grown into {growth['to']}"
                axes.axvline(at, color="#999999", linewidth=0.8, linestyle="--", label=name)
        plain_axes(axes)
        axes.legend(frameon=False)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    figure.suptitle(f"{title}: {rows[-1]['val_top1']:.2%} on validation", fontsize=11)
    save_figure(figure, path)
