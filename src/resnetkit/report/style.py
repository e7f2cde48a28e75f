"""One look for all figures: colours that the colour-blind can tell apart, nothing superfluous."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from resnetkit.errors import UserError
from resnetkit.files import whole_file

BLUE, ORANGE = "#0072B2", "#D55E00"
"""Of the palette of Okabe and Ito (2008)."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches, that needs no screen."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes) -> None:
    """Only the two axes that carry numbers, and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all; raises UserError where it cannot be written."""
    try:
        with whole_file(path) as beside, beside.open("wb") as file:
            figure.savefig(file, format="png")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
