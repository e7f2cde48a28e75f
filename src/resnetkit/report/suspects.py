"""Images whose labels look wrong, worst first: what each is given, and what it looks like."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resnetkit.report.style import ORANGE, new_figure, save_figure

COLUMNS, LONGEST = 10, 14


def draw_suspects(
    pictures: Sequence[np.ndarray], captions: Sequence[tuple[str, str]], path: Path
) -> None:
    """Draw uint8 (H, W, 3) pictures in rows of ten.

    Args:
        pictures: of any sizes.
        captions: (given, likely) of each.
        path: of the picture to write.
    """
    rows = max(1, -(-len(pictures) // COLUMNS))
    figure = new_figure(COLUMNS * 1.05, rows * 1.4)
    every = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in every:
        axes.set_axis_off()
    for axes, picture, (given, likely) in zip(every, pictures, captions, strict=False):
        axes.imshow(picture)
        axes.set_title(_short(given), fontsize=7, color=ORANGE, pad=10)
        axes.text(
            0.5,
            1.02,
            _short(likely),
            transform=axes.transAxes,
            fontsize=7,
            ha="center",
            va="bottom",
        )
    figure.suptitle("as labelled, and below it what it looks like", fontsize=9)
    save_figure(figure, path)


def _short(name: str) -> str:
    name = name.replace("$", r"\$")
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
