"""Figures are drawn from the run's own numbers."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from resnetkit.metrics import judge
from resnetkit.multilabel import judge_multi_label
from resnetkit.report import confusion, curves, judged, precision_recall
from resnetkit.training.recipe import Recipe
from resnetkit.training.settings import override

PLAIN = override(Recipe(), {"label_smoothing": 0})


def rows(epochs: int) -> list[dict]:
    return [
        {"epoch": i + 1, "train_loss": 1 / (i + 1), "val_loss": 1.2 / (i + 1),
         "train_top1": 0.5 + i / 10, "val_top1": 0.45 + i / 10}
        for i in range(epochs)
    ]  # fmt: skip


def test_curves_show_every_epoch(tmp_path, monkeypatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, _: drawn.append(figure))
    curves.draw_curves(rows(4), "run", tmp_path / "x.png", PLAIN)
    loss, accuracy = drawn[0].axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert loss.lines[0].get_ydata().tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert accuracy.lines[1].get_ydata()[-1] == rows(4)[-1]["val_top1"]


def test_growth_is_a_named_line_where_it_happened(tmp_path, monkeypatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, _: drawn.append(figure))
    told = [row | {"step": 10 * row["epoch"]} for row in rows(4)]
    told[2]["grown"] = [{"step": 25, "to": "resnet56"}]
    recipe = override(Recipe(), {"mixup": 0.2, "loss": "bce"})
    curves.draw_curves(told, "run", tmp_path / "x.png", recipe)
    said = (
        "training, labels smoothed, yes or no a class, pictures mixed",
        "training, pictures mixed",
    )
    for axes, first in zip(drawn[0].axes, said, strict=True):
        assert list(axes.lines[2].get_xdata()) == [2.5, 2.5]
        assert [(text.get_text(), text.get_position()[0]) for text in axes.texts] == [
            ("resnet56", 2.5)
        ]
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        assert names == [first, "validation"]


def test_a_rollback_is_a_line_with_one_word_in_the_legend(tmp_path, monkeypatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, _: drawn.append(figure))
    back = {"rollbacks": [{"step": 4, "tensor": "x", "back_to": 3, "indices": [1]}]}
    told = [row | (back if row["epoch"] > 2 else {}) for row in rows(4)]
    curves.draw_curves(told, "", tmp_path, PLAIN)
    for axes in drawn[0].axes:
        assert [list(line.get_xdata()) for line in axes.lines[2:]] == [[3, 3], [4, 4]]
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        assert names == ["training", "validation", "rolled back"]


def test_mean_average_precision_has_a_line_where_there_is_one(tmp_path, monkeypatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, _: drawn.append(figure))
    several = [row | {"val_map": 0.3 + row["epoch"] / 10} for row in rows(3)]
    curves.draw_curves(several, "run", tmp_path / "x.png", PLAIN)
    assert drawn[0].axes[1].lines[2].get_ydata().tolist() == [row["val_map"] for row in several]


def test_precision_by_recall(tmp_path, monkeypatch):
    """The worst classes are named; one without images has no line."""
    drawn: list[Figure] = []
    monkeypatch.setattr(precision_recall, "save_figure", lambda figure, _: drawn.append(figure))
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, (40, 10))
    labels[:, 4] = 0
    logits = generator.normal(size=(40, 10)) + labels * np.arange(10)
    result = judge_multi_label(logits, labels, tuple("abcdefghij"))
    judged.draw_judged(result, "run", tmp_path / "x.png")
    (axes,) = drawn[0].axes
    assert len(axes.lines) == 9
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names[0].startswith("a: ") and len(names) == 7
    worst = axes.lines[0]
    area = (np.diff(worst.get_xdata()) * worst.get_ydata()[1:]).sum()
    assert area == pytest.approx(result.classes[0].ap)


def test_pictures_are_written_whole(tmp_path):
    curves.draw_curves(rows(1), "run", tmp_path / "one.png", PLAIN)
    curves.draw_curves([], "run", tmp_path / "none.png", PLAIN)
    result = judge(np.eye(3, dtype=np.float32), np.array([0, 1, 0]), ("a", "b", "c"))
    confusion.draw_confusion(result, "run", tmp_path / "confusion.png")
    judged.draw_judged(result, "run", tmp_path / "judged.png")
    names = ["confusion.png", "judged.png", "one.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    for path in tmp_path.iterdir():
        assert min(Image.open(path).size) > 300


def test_a_single_epoch_has_a_single_tick(monkeypatch, tmp_path):
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, _: drawn.append(figure))
    curves.draw_curves(rows(1), "run", tmp_path / "x.png", PLAIN)
    for axes in drawn[0].axes:
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
        shown, (one, two) = axes.get_ylim(), sorted(line.get_ydata()[0] for line in axes.lines)
        assert shown[1] - shown[0] > 2 * (two - one)
