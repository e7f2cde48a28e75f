"""What experiments share that compare trained arms: their curves, their ends, and one figure."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from resnetkit.lab.bench import Bench, by_seed, curve
from resnetkit.lab.experiment import Language, Words
from resnetkit.report.style import PALETTE, legend_of_all, new_figure, plain_axes
from resnetkit.training.nonfinite import Diverged

LOST = 1.0
"""Error of a run whose numbers were no longer finite."""

Ends = list[list[float]]
"""Errors after the last epoch: a list of seeds each."""

Curves = dict[str, list[dict[str, list[float]]]]
"""Arm -> seed by seed: `train` and `val`, errors by epoch."""


def trained_arms(
    bench: Bench, arms: Mapping[str, dict[str, Any]], seeds: int, recipe: str = "default"
) -> Curves:
    """Train every arm by its settings; errors on training images as augmented, and on others.

    Args:
        bench: that trains.
        arms: settings of the recipe by arm.
        seeds: of each.
        recipe: that the settings change.
    """
    bench.total += seeds * len(arms)

    def errors(arm: str, seed: int) -> dict[str, list[float]]:
        run = bench.train(arm, seed, recipe, **arms[arm])
        return {key: [1 - value for value in curve(run, f"{key}_top1")] for key in ("train", "val")}

    return by_seed(seeds, list(arms), errors)


def last_errors(
    bench: Bench, arms: Mapping[str, dict[str, Any]], seeds: int, key: str = "val"
) -> dict[str, Any]:
    """Train every arm by its settings, some of which may diverge.

    Args:
        bench: that trains.
        arms: settings of the recipe by arm.
        seeds: of each.
        key: `train` or `val`: whose errors.

    Returns:
        `errors`, by arm and seed, of the last epoch, or LOST; `said`, by arm, where it was lost.
    """
    bench.total += seeds * len(arms)
    said: dict[str, str] = {}

    def error(arm: str, seed: int) -> float:
        folder = arm.replace("/", "-").replace(", ", "-").replace(" ", "-")
        try:
            run = bench.train(folder, seed, **arms[arm])
        except Diverged as stopped:
            said[arm] = str(stopped)
            return LOST
        return 1 - curve(run, f"{key}_top1")[-1]

    return {"errors": by_seed(seeds, list(arms), error), "said": said}


def ends(data: Curves, arm: str, key: str = "val") -> list[float]:
    """An arm's errors after the last epoch, seed by seed."""
    return [row[key][-1] for row in data[arm]]


def more_error(data: Curves, arm: str, other: str, key: str = "val") -> list[float]:
    """By how much an arm ends worse than another, seed by seed."""
    pairs = zip(ends(data, arm, key), ends(data, other, key), strict=True)
    return [mine - others for mine, others in pairs]


def told(data: Curves, key: str = "val") -> dict[str, str]:
    """Every arm's mean error after the last epoch, in words."""
    return {arm: f"{statistics.fmean(ends(data, arm, key)):.1%}" for arm in data}


def draw_arms(
    panels: Sequence[tuple[Words, Curves]], names: Mapping[str, Words], language: Language,
    ylabel: Words, key: str = "val",
) -> Any:  # fmt: skip
    """Errors by epoch: a panel a group of arms, a colour an arm, a line a seed.

    The arms of every panel have the same names.
    """
    figure = new_figure(3.4 * len(panels) + (1.4 if len(panels) == 1 else 0), 3.2)
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, arms) in zip(every, panels, strict=True):
        for arm, colour in zip(arms, PALETTE, strict=False):
            for number, row in enumerate(arms[arm]):
                label = names[arm].said(language) if number == 0 else None
                epochs = range(1, len(row[key]) + 1)
                axes.plot(epochs, row[key], color=colour, alpha=0.8, linewidth=1.2, label=label)
        axes.set_title(title.said(language), fontsize=10)
        axes.set_xlabel(Words("epoch", "轮次").said(language))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
        plain_axes(axes)
    every[0].set_ylabel(ylabel.said(language))
    legend_of_all(figure, every[0], 3)
    return figure


def draw_ends(axes: Any, places: Sequence[int], lines: Mapping[str, Ends]) -> None:
    """Mean errors over sizes or depths, on a logarithmic axis, and their range over seeds.

    Args:
        axes: to draw on.
        places: sizes or depths.
        lines: errors at each place by what the legend says.
    """
    for (label, rows), colour in zip(lines.items(), PALETTE, strict=False):
        means = [statistics.fmean(row) for row in rows]
        axes.plot(places, means, "o-", color=colour, label=label, linewidth=1.2)
        for place, row in zip(places, rows, strict=True):
            axes.plot([place, place], [min(row), max(row)], color=colour, linewidth=3, alpha=0.3)
    axes.set_xscale("log")
    axes.set_xticks(places, [str(place) for place in places])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
    plain_axes(axes)


VALIDATION_ERROR = Words("validation error", "验证误差")
