"""The confusion matrix as a picture."""

from pathlib import Path

import numpy as np

from resnetkit.metrics import Result
from resnetkit.report.style import new_figure, save_figure

MOST_NUMBERED = 20
"""Up to so many classes every cell shows its count."""


def draw_confusion(result: Result, title: str, path: Path) -> None:
    """Draw counts, coloured by the share of their true class, into a PNG."""
    names, counts = [row.name for row in result.classes], result.confusion
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = min(14.0, 3.2 + 0.45 * len(names))
    figure = new_figure(side, side)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    axes.set_title(f"{title}: {result.top1:.2%} of {result.images:,} right", fontsize=11)
    if len(names) <= MOST_NUMBERED:
        for (true, predicted), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[true, predicted] > 0.5 else "black"
                axes.text(
                    predicted, true, str(count), ha="center", va="center", color=colour, fontsize=8
                )
    save_figure(figure, path)
