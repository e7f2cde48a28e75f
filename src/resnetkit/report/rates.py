"""The learning rate range test as a picture: loss by rate, the suggestion marked."""

from collections.abc import Sequence
from pathlib import Path

from resnetkit.report.style import BLUE, ORANGE, new_figure, plain_axes, save_figure


def draw_rates(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float],
    suggestion: float, path: Path,
) -> None:  # fmt: skip
    """Draw the losses of single steps, their smoothed course, and the rate that is suggested."""
    figure = new_figure(6, 3.6)
    axes = figure.add_subplot()
    axes.plot(rates, losses, ".", color="#999999", markersize=3, label="each step's batch")
    axes.plot(rates, smoothed, color=BLUE, label="smoothed")
    axes.axvline(suggestion, color=ORANGE, linestyle="--", label=f"suggested: {suggestion:.2g}")
    axes.set_xscale("log")
    axes.set_ylim(top=min(max(losses), 1.5 * max(smoothed)) * 1.05)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.legend(frameon=False)
    plain_axes(axes)
    save_figure(figure, path)
