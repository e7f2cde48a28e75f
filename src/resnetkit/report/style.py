"""One look for all figures: colours that the colour-blind can tell apart, nothing superfluous."""

import contextlib
import functools
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Literal

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findSystemFonts, fontManager
from matplotlib.text import Text

from resnetkit.errors import UserError
from resnetkit.files import whole_file

BLUE, ORANGE = "#0072B2", "#D55E00"
"""Of the palette of Okabe and Ito (2008)."""

PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches, that needs no screen."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


CHINESE = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei", "SimHei",
)  # fmt: skip
"""Fonts for what DejaVu Sans cannot write, where one of them is installed."""

_FIRST_CHINESE = "\u2e80"
"""Of Unicode's blocks for it: radicals."""

NO_CHINESE = (
    f"no font for Chinese is installed, such as {CHINESE[0]}: the words in figures are English"
)


@functools.cache
def chinese_fonts() -> tuple[str, ...]:
    """Those of CHINESE that are installed, also since matplotlib made its list of fonts."""
    found = _known_fonts()
    if not found:
        for file in set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}:
            with contextlib.suppress(Exception):  # as matplotlib leaves out what it cannot read
                fontManager.addfont(file)
        found = _known_fonts()
    return found


def language_of(wanted: Literal["en", "zh"]) -> Literal["en", "zh"]:
    """The language of a figure's words: English where no font can write Chinese."""
    return wanted if wanted == "en" or chinese_fonts() else "en"


def _known_fonts() -> tuple[str, ...]:
    installed = {font.name for font in fontManager.ttflist}
    return tuple(name for name in CHINESE if name in installed)


def write_any_script(text: Text) -> None:
    """Give a text the fonts that its words need; class names may be in any script."""
    words = text.get_text()
    chinese = any(character >= _FIRST_CHINESE for character in words)
    others = () if words.isascii() else chinese_fonts() if chinese else _known_fonts()
    text.set_fontfamily(["DejaVu Sans", *others])  # the others have no bold, and say so


def _write_any_script(figure: Figure) -> None:
    for text in figure.findobj(Text):
        write_any_script(text)


@contextlib.contextmanager
def _missing_glyphs_shown() -> Generator[None]:
    """What no installed font can write shows as a box, without a word about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def settle(figure: Figure) -> None:
    """Lay the figure out for good, so that places in it can be computed; sizes stay from here."""
    _write_any_script(figure)
    with _missing_glyphs_shown():
        figure.canvas.draw()
    figure.set_layout_engine("none")


_SLIM = {
    "frameon": False, "fontsize": 8, "handlelength": 1.5, "columnspacing": 1.2,
}  # fmt: skip
"""Of legends."""


def plain_axes(axes) -> None:
    """Only the two axes that carry numbers, and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def legend_above(axes, columns: int) -> None:
    """What the lines are, over the axes, where it hides none of them."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, **_SLIM)


def legend_of_all(figure: Figure, axes, columns: int) -> None:
    """What the lines are, once for several axes that have the same, over them."""
    lines = axes.get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper center", ncols=columns, **_SLIM)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture of the kind that its name ends in, whole; raises UserError if it cannot.

    The same figure gives the same bytes: no date, and names in an SVG that are not drawn at random.
    """
    _write_any_script(figure)
    kind = path.suffix.lower()[1:]
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    try:
        with (
            rc_context({"svg.hashsalt": "resnetkit"}),
            whole_file(path) as beside,
            beside.open("wb") as file,
            _missing_glyphs_shown(),
        ):
            figure.savefig(file, format=kind, metadata=undated)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
