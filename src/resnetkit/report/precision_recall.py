"""Precision against recall of every class as a picture."""

from pathlib import Path

import numpy as np

from resnetkit.multilabel import MultiLabelResult, precision_recall
from resnetkit.report.style import new_figure, plain_axes, save_figure

COLOURS = ("#D55E00", "#E69F00", "#CC79A7", "#009E73", "#56B4E9", "#0072B2", "#000000")
"""Of the palette of Okabe and Ito (2008), for the classes with the lowest average precision."""


def draw_precision_recall(result: MultiLabelResult, title: str, path: Path) -> None:
    """Draw a line a class into a PNG; those beyond the seven worst are grey and without a name."""
    figure = new_figure(7.5, 4.5)
    axes = figure.subplots()
    found = [(row.ap, i) for i, row in enumerate(result.classes) if row.ap is not None]
    for place, (ap, i) in enumerate(sorted(found)):
        precision, recall = precision_recall(result.logits[:, i], result.labels[:, i] > 0)
        named = place < len(COLOURS)
        axes.plot(
            np.append(0.0, recall),
            np.append(precision[0], precision),
            color=COLOURS[place] if named else "#bbbbbb",
            label=f"{result.classes[i].name}: {ap:.3f}" if named else None,
            linewidth=1.5 if named else 0.7,
            zorder=3 if named else 2,
        )
    axes.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1.01), ylim=(0, 1.02))
    plain_axes(axes)
    if found:
        heading = "Average precision" if len(found) <= len(COLOURS) else "Lowest average precision"
        axes.legend(title=heading, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    mean = (
        "no image has a class" if result.map is None else f"mean average precision {result.map:.3f}"
    )
    axes.set_title(f"{title}: {mean}, {result.images:,} images", fontsize=11)
    save_figure(figure, path)
