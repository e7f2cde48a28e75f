"""A contact sheet: small pictures side by side under a title."""

from pathlib import Path

import numpy as np

from resnetkit.report.style import new_figure, save_figure

COLUMNS = 8


def draw_sheet(pictures: list[np.ndarray], title: str, path: Path) -> None:
    """Draw uint8 (side, side, 3) pictures, all of one size, into a PNG."""
    rows = max(1, -(-len(pictures) // COLUMNS))
    side = pictures[0].shape[0] if pictures else 96
    sheet = np.full((rows * side, COLUMNS * side, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        down, right = i // COLUMNS * side, i % COLUMNS * side
        sheet[down : down + side, right : right + side] = picture
    figure = new_figure(COLUMNS * 0.8, rows * 0.8 + 0.4)
    axes = figure.subplots()
    axes.imshow(sheet)
    axes.set_axis_off()
    axes.set_title(title.replace("$", r"\$"), fontsize=11)
    save_figure(figure, path)
