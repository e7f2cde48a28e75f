"""The depths of one file, and stopping early, by how quick and how accurate they are."""

from collections.abc import Sequence
from pathlib import Path

from resnetkit.any_depth import Depth
from resnetkit.exits import loss_text
from resnetkit.machine import Machine
from resnetkit.report.speed import Point, Slide, draw_speed


def draw_depths(depths: Sequence[Depth], machine: Machine, batch: int, path: Path) -> None:
    """Draw a line of the depths and a line of the ways to stop early.

    Args:
        depths: as `rk.evaluate_depths` found them.
        machine: which their images/s are of.
        batch: images at a time.
        path: a .png, .svg or .pdf.
    """
    points = [_point(depth) for depth in depths]
    threads = machine.threads if machine.device == "cpu" else None
    slide = Slide(machine.hardware, machine.device, machine.precision, threads, "judged", batch, ())
    draw_speed(points, slide, path)


def _point(depth: Depth) -> Point:
    """A dot as large as the parameters; as small as there are for an early exit, no network."""
    rate, top1, loss = depth.images_per_second, 100 * depth.result.top1, depth.early_exit
    if loss is not None:
        return Point("exit", loss_text(loss), f"early exit, {loss_text(loss)}", rate, top1, 0)
    return Point("depth", f"{depth.layers}", f"{depth.layers} layers", rate, top1, depth.parameters)
