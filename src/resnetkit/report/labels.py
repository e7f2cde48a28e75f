"""Words beside points, placed so that they cover neither each other nor the points."""

import itertools
import math
from dataclasses import dataclass

from matplotlib.transforms import Bbox

from resnetkit.report.style import write_any_script

AWAY = (1.0, 1.9, 3.0, 4.4)
"""Distances that are tried, in heights of a letter beyond the edge of the dot."""

DIRECTIONS = tuple(math.radians(angle) for angle in range(0, 360, 30))
LEADER_FROM = 1.5
"""From so many heights on, a thin line leads from the word to its dot."""


@dataclass(frozen=True)
class Label:
    """A word, the point it belongs to in data coordinates, its dot's radius in points, its look."""

    text: str
    x: float
    y: float
    radius: float
    colour: str
    size: float = 8.0
    bold: bool = False


def place_labels(axes, labels: list[Label], lines: list[list[tuple[float, float]]]) -> None:
    """Write labels one after the other, each where it covers least.

    Args:
        axes: limits, scales and the figure's layout are settled.
        labels: the first ones get the best places.
        lines: points in data coordinates that labels had better not cover either.
    """
    figure = axes.figure
    renderer, pixels = figure.canvas.get_renderer(), figure.dpi / 72
    centres = [axes.transData.transform((label.x, label.y)) for label in labels]
    dots = [
        _around(x, y, label.radius * pixels, label.radius * pixels)
        for (x, y), label in zip(centres, labels, strict=True)
    ]
    strokes = [
        _pieces([tuple(axes.transData.transform(point)) for point in line]) for line in lines
    ]
    path = [spot for stroke in strokes for spot in stroke]
    frame, taken = axes.get_window_extent(renderer), list(dots)
    for label, centre in zip(labels, centres, strict=True):
        text = axes.text(
            0, 0, label.text, transform=None, fontsize=label.size, color=label.colour,
            weight="bold" if label.bold else "normal", ha="center", va="center", zorder=5,
        )  # fmt: skip
        write_any_script(text)
        box = text.get_window_extent(renderer)
        unit = label.size * pixels
        best, place, away = math.inf, centre, 0.0
        for distance in AWAY:
            for angle in DIRECTIONS:
                spot = _beside(centre, box, label.radius * pixels + distance * unit * 0.5, angle)
                here = _around(*spot, box.width / 2 + 1, box.height / 2)
                cost = _cost(here, taken, path, frame) + 0.06 * distance + _dislike(angle)
                if cost < best:
                    best, place, away = cost, spot, distance
        taken.append(_around(*place, box.width / 2 + 1, box.height / 2))
        on_axes = axes.transData.inverted().transform(place)  # pixels are others in another format
        text.set(transform=axes.transData, position=on_axes)
        if away >= LEADER_FROM:
            axes.annotate(
                "", (label.x, label.y), on_axes,
                arrowprops={"arrowstyle": "-", "color": label.colour, "lw": 0.5, "alpha": 0.5},
            )  # fmt: skip


def _around(x: float, y: float, half_width: float, half_height: float) -> Bbox:
    return Bbox.from_extents(x - half_width, y - half_height, x + half_width, y + half_height)


def _beside(centre, box: Bbox, away: float, angle: float) -> tuple[float, float]:
    """The middle of a word whose edge is so far from a point in a direction."""
    across, up = math.cos(angle), math.sin(angle)
    return (
        centre[0] + across * (away + box.width / 2),
        centre[1] + up * (away + box.height / 2),
    )


def _pieces(line: list[tuple[float, float]], step: float = 6.0) -> list[tuple[float, float]]:
    """Spots along a line, a few pixels apart."""
    spots = []
    for (x, y), (to_x, to_y) in itertools.pairwise(line):
        count = max(1, int(math.hypot(to_x - x, to_y - y) / step))
        spots += [(x + (to_x - x) * i / count, y + (to_y - y) * i / count) for i in range(count)]
    return spots


def _cost(here: Bbox, taken: list[Bbox], path: list[tuple[float, float]], frame: Bbox) -> float:
    """How much a word at a place covers: other words and dots, lines; and what sticks out."""
    area = here.width * here.height
    covered = sum(_overlap(here, other) for other in taken) / area
    outside = 1 - _overlap(here, frame) / area
    crossed = sum(here.x0 <= x <= here.x1 and here.y0 <= y <= here.y1 for x, y in path)
    return 4 * covered + 20 * outside + 0.08 * crossed


def _overlap(a: Bbox, b: Bbox) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(0.0, width) * max(0.0, height)


def _dislike(angle: float) -> float:
    """Straight above or beside reads best; askew needs a reason."""
    return 0.0 if math.isclose(math.sin(2 * angle), 0, abs_tol=1e-9) else 0.03
