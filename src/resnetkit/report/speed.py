"""Networks by how quick and how accurate they are: a slide of a machine's model zoo."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from resnetkit.report.labels import Label, place_labels
from resnetkit.report.style import PALETTE, new_figure, plain_axes, save_figure, settle

WORDS = {
    "en": {
        "title": "Speed and accuracy of residual networks",
        "machine": "{hardware}; {device}, {precision}{threads}",
        "threads": ", threads: {}",
        "x": "Images per second, each network at its quickest batch (logarithmic)",
        "x_fixed": "Images per second, {batch} at a time (logarithmic)",
        "published": "Published ImageNet top-1 accuracy (%)",
        "validation": "Top-1 accuracy on the run's validation images (%)",
        "judged": "Top-1 accuracy on the images judged (%)",
        "sizes": "Parameters",
        "million": "{:g} M",
        "missing": "Without a known accuracy at the size measured: ",
        "and": ", ",
        "others": " and {} more",
    },
    "zh": {
        "title": "残差网络的速度与准确率",
        "machine": "{hardware}；{device}，{precision}{threads}",
        "threads": "，{} 线程",
        "x": "每秒图片数，各网络取最快的批大小（对数坐标）",
        "x_fixed": "每秒图片数，批大小 {batch}（对数坐标）",
        "published": "已发表的 ImageNet top-1 准确率（%）",
        "validation": "各次训练验证集的 top-1 准确率（%）",
        "judged": "所评图片上的 top-1 准确率（%）",
        "sizes": "参数量",
        "million": "{:g} M",
        "missing": "所测尺寸下没有已知的准确率：",
        "and": "、",
        "others": " 等，另有 {} 个",
    },
}

LARGEST, SMALLEST = 14.0, 3.5
"""Radii in points of the dot of the most parameters, and the smallest that is drawn."""

WIDE = 6
"""A range of images/s, the most over the least, from which on not every first digit has a tick."""

MOST_NAMED = 12
"""Networks that are named below the chart; the terminal names all."""

COLOURS = (*PALETTE, "#6A3D9A", "#8C510A", "#7F7F7F", "#B2182B")
"""Of families; where there are more, the colours begin again, dashed."""


@dataclass(frozen=True)
class Point:
    """A network: its family, its name there and whole, images/s, top-1 in per cent, parameters."""

    family: str
    short: str
    name: str
    rate: float
    top1: float
    parameters: int


@dataclass(frozen=True)
class Slide:
    """What the chart says besides its points.

    Attributes:
        hardware, device, precision: of the machine.
        threads: that torch computed with; None where a GPU did the work.
        accuracy: `published`, `validation`, or `judged` for that on other images.
        batch: images at a time where that was fixed.
        missing: networks without a point.
        language: en or zh.
    """

    hardware: str
    device: str
    precision: str
    threads: int | None
    accuracy: str
    batch: int | None
    missing: tuple[str, ...]
    language: str = "en"


def draw_speed(points: list[Point], slide: Slide, path: Path) -> None:
    """Draw points, those of a family joined by a line, dots as large as their parameters."""
    words = WORDS[slide.language]
    figure = new_figure(10, 5.6)
    axes = figure.subplots()
    most = max((point.parameters for point in points), default=1)
    families = dict.fromkeys(point.family for point in points)
    looks = {family: _look(number) for number, family in enumerate(families)}
    lines = []
    for family, (colour, style) in looks.items():
        members = sorted((p for p in points if p.family == family), key=lambda p: p.rate)
        spots = [(p.rate, p.top1) for p in members]
        lines.append(spots)
        across, up = zip(*spots, strict=True)
        axes.plot(across, up, style, color=colour, linewidth=1.4, alpha=0.55)
    for point in sorted(points, key=lambda p: -p.parameters):  # small ones lie in front
        spot, size = ([point.rate], [point.top1]), (2 * _radius(point.parameters, most)) ** 2
        axes.scatter(*spot, s=size, color="white", linewidths=0, zorder=3)
        axes.scatter(
            *spot, s=size, color=looks[point.family][0], alpha=0.75, edgecolors="white",
            linewidths=0.8, zorder=3,
        )  # fmt: skip
    _write_axes(axes, slide, words)
    if points:
        _legend(axes, most, words)
    else:
        axes.set_xlim(1, 1000)
    settle(figure)
    place_labels(axes, _labels(points, looks, most), lines)
    save_figure(figure, path)


def _look(number: int) -> tuple[str, str]:
    """A colour and a line style."""
    return COLOURS[number % len(COLOURS)], "--" if number >= len(COLOURS) else "-"


def _radius(parameters: float, most: int) -> float:
    """Points; the dot's area goes with the parameters."""
    return max(SMALLEST, LARGEST * (parameters / most) ** 0.5)


def _write_axes(axes, slide: Slide, words: dict[str, str]) -> None:
    axes.set_xscale("log")
    axes.margins(x=0.09, y=0.1)
    left, right = axes.get_xlim()
    ticks = (1, 2, 5) if right > WIDE * left else tuple(range(1, 10))
    axes.xaxis.set_major_locator(LogLocator(subs=ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    plain_axes(axes)
    x = words["x"] if slide.batch is None else words["x_fixed"].format(batch=slide.batch)
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(words[slide.accuracy], fontsize=10)
    axes.set_title(words["title"], fontsize=15, loc="left", pad=24)
    axes.annotate(
        _machine(slide, words), (0, 1), (0, 8), xycoords="axes fraction",
        textcoords="offset points", fontsize=10, color="#555555",
    )  # fmt: skip
    if slide.missing:
        text = "\n".join(textwrap.wrap(_missing(slide.missing, words), 170))
        axes.figure.supxlabel(text, fontsize=7.5, color="#777777", x=0.01, ha="left")


def _machine(slide: Slide, words: dict[str, str]) -> str:
    threads = "" if slide.threads is None else words["threads"].format(slide.threads)
    return words["machine"].format(**vars(slide) | {"threads": threads})


def _missing(names: tuple[str, ...], words: dict[str, str]) -> str:
    more = len(names) - MOST_NAMED
    text = words["missing"] + words["and"].join(names[:MOST_NAMED])
    return text + words["others"].format(more) if more > 0 else text


def _legend(axes, most: int, words: dict[str, str]) -> None:
    """Dots of round numbers of parameters, for their size."""
    largest = _round_down(most / 1e6)
    numbers = [n for n in (largest, _round_down(largest / 3), _round_down(largest / 10)) if n]
    dots = [
        Line2D(
            [], [], marker="o", linestyle="", color="#999999", alpha=0.75, markeredgecolor="white",
            markersize=2 * _radius(number * 1e6, most), label=words["million"].format(number),
        )
        for number in numbers
    ]  # fmt: skip
    axes.legend(
        handles=dots, title=words["sizes"], frameon=False, loc="upper left",
        bbox_to_anchor=(1.0, 1.0), labelspacing=1.6, handletextpad=1.2, borderpad=1.0,
        fontsize=9, title_fontsize=9,
    )  # fmt: skip


def _round_down(number: float) -> float:
    """1, 2, 3 or 5 times a power of ten, at most the number: what a legend can say in a word."""
    power = 10.0 ** len(str(int(number))) if number >= 1 else 1.0
    while power > 1e-6:
        for step in (5, 3, 2, 1):
            if step * power <= number:
                return round(step * power, 6)
        power /= 10
    return 0.0


def _labels(points: list[Point], looks: dict, most: int) -> list[Label]:
    """Every point's name: whole at the quickest of its family, within the family elsewhere."""
    labels = []
    for family, (colour, _) in looks.items():
        members = sorted((p for p in points if p.family == family), key=lambda p: -p.rate)
        for number, p in enumerate(members):
            named = number == 0 or p.short == p.name
            radius = _radius(p.parameters, most)
            bold = number == 0 and p.name.isascii()  # fonts for other scripts have one weight
            label = Label(
                p.name if named else p.short, p.rate, p.top1, radius, colour,
                size=9.5 if number == 0 else 8.5, bold=bold,
            )  # fmt: skip
            labels.append(label)
    return sorted(labels, key=lambda label: not label.bold)
