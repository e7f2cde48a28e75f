"""The rows of a measurement as points of a chart: families, and what each is called there."""

from pathlib import Path

from resnetkit.benching.results import BenchResult, BenchRow
from resnetkit.nets.spec import MLPSpec, ResNetSpec
from resnetkit.nets.zoo import ZOO
from resnetkit.report.speed import Point, Slide, draw_speed
from resnetkit.report.style import language_of


def draw_chart(found: BenchResult, path: Path, *, chinese: bool = False) -> None:
    """Draw images/s against accuracy; raises UserError where the file cannot be written."""
    points = [point for row in found.rows if (point := _point(row))]
    runs = any(row.kind == "run" for row in found.rows)
    slide = Slide(
        hardware=found.machine.hardware,
        device=found.machine.device,
        precision=found.machine.precision,
        threads=found.machine.threads if found.machine.device == "cpu" else None,
        accuracy="validation" if runs else "published",
        batch=found.batch_size,
        missing=tuple(found.without_accuracy),
        language=language_of("zh") if chinese else "en",
    )
    draw_speed(points, slide, path)


def _point(row: BenchRow) -> Point | None:
    if row.accuracy is None or row.images_per_second is None:
        return None
    rate, top1 = row.images_per_second.median, row.accuracy.top1
    return Point(*_names(row), rate, top1, row.parameters)


def _names(row: BenchRow) -> tuple[str, str, str]:
    """Its family, its name within that, and its whole name; the depths of one file are a family."""
    family, name = family_of(row.model), row.name
    if row.kind == "zoo":
        return family, name.removeprefix(prefix_of(family)) or name, name
    name = Path(name).name
    if row.layers is None:
        return family, name, name
    return row.name.removesuffix(f" at {row.layers}"), str(row.layers), name


def family_of(model: str) -> str:
    """What a network of the zoo is counted among: the one thing that sets it apart most."""
    spec = ZOO.get(model)
    if spec is None:
        return "others"
    if isinstance(spec, MLPSpec):
        return "fully connected"
    if spec.shortcut == "none":
        return "plain"
    if spec.stem == "small":
        return "small"
    return _imagenet_family(model, spec)


def _imagenet_family(model: str, spec: ResNetSpec) -> str:
    if model.startswith("resnetrs"):
        return "resnetrs"
    if spec.order == "e":
        return "resnetv2"
    grouped = "resnext" if spec.groups > 1 else "resnet"
    if spec.attention != "none":
        return spec.attention + grouped
    if spec.antialias != "none":
        return "resnetaa"
    if spec.groups == 1 and spec.inner > 1:
        return "wide_resnet"
    if spec.norm == "group":
        return "resnet_gn"
    return grouped + ("-" + model[-1] if grouped == "resnet" and model[-1] in "cdst" else "")


def prefix_of(family: str) -> str:
    """What a member's name need not repeat."""
    if family in ("small", "plain", "fully connected", "others"):
        return ""
    return "resnetv2_" if family == "resnetv2" else family.split("-", maxsplit=1)[0]
