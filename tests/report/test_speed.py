"""The chart of speed and accuracy: every point named, no two names upon each other."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from resnetkit.benching.chart import family_of, prefix_of
from resnetkit.nets.zoo import ZOO
from resnetkit.report import speed
from resnetkit.report.speed import Point, Slide, draw_speed

POINTS = [
    Point(family, name, f"{family}{name}", rate, top1, parameters)
    for family, name, rate, top1, parameters in [
        ("resnet", "18", 78, 71.5, 12e6), ("resnet", "34", 37, 77.5, 22e6),
        ("resnet", "50", 29, 80.9, 26e6), ("resnet", "101", 14, 81.9, 45e6),
        ("resnet-d", "18d", 60, 74.4, 12e6), ("resnet-d", "50d", 33, 80.95, 26e6),
        ("resnet-d", "101d", 17, 80.5, 45e6), ("wide_resnet", "50_2", 10.8, 81.6, 69e6),
        ("resnext", "50_32x4d", 14.4, 81.2, 25e6), ("resnetaa", "50", 27, 80.6, 26e6),
    ]
]  # fmt: skip


def slide(**changes) -> Slide:
    fields = {
        "hardware": "a machine", "device": "cpu", "precision": "fp32", "threads": 2,
        "accuracy": "published", "batch": None, "missing": ("plain18",),
    }  # fmt: skip
    return Slide(**(fields | changes))


def drawn(monkeypatch, tmp_path, points, about) -> Figure:
    kept: list[Figure] = []
    monkeypatch.setattr(speed, "save_figure", lambda figure, _: kept.append(figure))
    draw_speed(points, about, tmp_path / "x.png")
    return kept[0]


def test_names_do_not_lie_upon_each_other(monkeypatch, tmp_path):
    figure = drawn(monkeypatch, tmp_path, POINTS, slide())
    (axes,) = figure.axes
    words = [text for text in axes.texts if text.get_text() and "machine" not in text.get_text()]
    names = {text.get_text() for text in words}
    assert {"resnet18", "34", "resnext50_32x4d", "resnet-d18d", "50d"} <= names
    assert len(words) == len(POINTS)
    frame, boxes = axes.get_window_extent(), [text.get_window_extent() for text in words]
    for a, b in itertools.combinations(boxes, 2):
        assert not a.padded(-1).overlaps(b.padded(-1))
    assert all(frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1) for box in boxes)
    assert "plain18" in figure._supxlabel.get_text()


def test_names_stay_beside_their_points_at_other_resolutions(monkeypatch, tmp_path):
    """An SVG and a PDF have 72 pixels an inch, a picture more."""
    figure = drawn(monkeypatch, tmp_path, POINTS, slide())
    (axes,) = figure.axes

    def inches() -> list[tuple[float, float]]:
        words = [text for text in axes.texts if text.get_text() and text.get_ha() == "center"]
        boxes = [text.get_window_extent() for text in words]
        assert len(boxes) == len(POINTS)
        return [((b.x0 + b.x1) / 2 / figure.dpi, (b.y0 + b.y1) / 2 / figure.dpi) for b in boxes]

    before = inches()
    figure.set_dpi(72)
    np.testing.assert_allclose(inches(), before, atol=0.05)


@pytest.mark.parametrize("points", [[], POINTS[:1]])
def test_few_points_are_drawn_too(monkeypatch, tmp_path, points):
    figure = drawn(monkeypatch, tmp_path, points, slide(missing=("a", "b"), batch=8))
    assert "8 at a time" in figure.axes[0].get_xlabel()


def test_in_chinese(monkeypatch, tmp_path):
    figure = drawn(monkeypatch, tmp_path, POINTS, slide(language="zh"))
    assert "每秒图片数" in figure.axes[0].get_xlabel()
    assert all(set(words) == set(speed.WORDS["en"]) for words in speed.WORDS.values())


def test_many_missing_names_are_counted(monkeypatch, tmp_path):
    names = tuple(f"net{number}" for number in range(20))
    figure = drawn(monkeypatch, tmp_path, POINTS, slide(missing=names))
    assert "and 8 more" in figure._supxlabel.get_text()


def test_families():
    expected = {
        "resnet50": "resnet", "resnet50d": "resnet-d", "resnet50c": "resnet-c",
        "seresnet50": "seresnet", "seresnext50_32x4d": "seresnext", "ecaresnet50d": "ecaresnet",
        "resnext50_32x4d": "resnext", "wide_resnet50_2": "wide_resnet", "resnetrs50": "resnetrs",
        "resnetv2_50d": "resnetv2", "resnetblur50": "resnetaa", "resnet50_gn": "resnet_gn",
        "resnet20": "small", "wrn28_10": "small", "plain18": "plain", "": "others",
    }  # fmt: skip
    assert {name: family_of(name) for name in expected} == expected
    assert all(name.removeprefix(prefix_of(family_of(name))) for name in ZOO)
