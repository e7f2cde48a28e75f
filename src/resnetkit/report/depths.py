"""The depths of one file, and stopping early, by how quick and how accurate they are."""

from collections.abc import Sequence
from pathlib import Path

from resnetkit.any_depth import Depth
from resnetkit.machine import Machine
from resnetkit.report.speed import Point, Slide, draw_speed

WORDS = {
    "en": {"depth": "{} layers", "exit": "early exit, {:.1%}"},
    "zh": {"depth": "{} 层", "exit": "提前退出，{:.1%}"},
}


def draw_depths(
    depths: Sequence[Depth], machine: Machine, batch: int, path: Path, *, language: str = "en"
) -> None:
    """Draw a line of the depths and a line of the ways to stop early.

    Args:
        depths: as `rk.evaluate_depths` found them.
        machine: which their images/s are of.
        batch: images at a time.
        path: a .png, .svg or .pdf.
        language: en or zh.
    """
    words = WORDS[language]
    points = [_point(depth, words) for depth in depths]
    threads = machine.threads if machine.device == "cpu" else None
    slide = Slide(machine.hardware, machine.device, machine.precision, threads, "judged", batch, (),
                  language)  # fmt: skip
    draw_speed(points, slide, path)


def _point(depth: Depth, words: dict[str, str]) -> Point:
    """A dot as large as the parameters; as small as there are for an early exit, no network."""
    rate, top1, loss = depth.images_per_second, 100 * depth.result.top1, depth.early_exit
    if loss is not None:
        return Point("exit", f"{loss:.1%}", words["exit"].format(loss), rate, top1, 0)
    name = words["depth"].format(depth.layers)
    return Point("depth", f"{depth.layers}", name, rate, top1, depth.parameters)
