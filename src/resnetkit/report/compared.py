"""The curves of several runs in one picture."""

from pathlib import Path

from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnetkit.report.style import PALETTE, new_figure, plain_axes, save_figure


def draw_compared(runs: dict[str, list[dict]], path: Path) -> None:
    """Draw validation loss and accuracy of runs, given as name -> lines of metrics.jsonl.

    Training is drawn faintly in the same colour.
    """
    figure = new_figure(9, 3.8)
    for axes, what, label in zip(
        figure.subplots(1, 2), ("loss", "top1"), ("Loss", "Top-1 accuracy"), strict=True
    ):
        for number, (name, rows) in enumerate(runs.items()):
            colour, epochs = PALETTE[number % len(PALETTE)], [row["epoch"] for row in rows]
            values = [row[f"val_{what}"] for row in rows]
            axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=name)
            faint = [row[f"train_{what}"] for row in rows]
            axes.plot(epochs, faint, ".--", color=colour, linewidth=1, alpha=0.4)
        axes.set_xlabel("Epoch")
        axes.set_ylabel(label)
        last = max((row["epoch"] for rows in runs.values() for row in rows), default=1)
        axes.set_xlim(0.5, last + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plain_axes(axes)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.legend(frameon=False, fontsize=8, title="validation; training dashed", title_fontsize=8)
    save_figure(figure, path)
