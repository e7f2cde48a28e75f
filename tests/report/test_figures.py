"""Figures are drawn from the run's own numbers."""

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from resnetkit.metrics import judge
from resnetkit.report import confusion, curves


def rows(epochs: int) -> list[dict]:
    return [
        {"epoch": i + 1, "train_loss": 1 / (i + 1), "val_loss": 1.2 / (i + 1),
         "train_top1": 0.5 + i / 10, "val_top1": 0.45 + i / 10}
        for i in range(epochs)
    ]  # fmt: skip


def test_curves_show_every_epoch(tmp_path, monkeypatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, _: drawn.append(figure))
    curves.draw_curves(rows(4), "run", tmp_path / "x.png")
    loss, accuracy = drawn[0].axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert loss.lines[0].get_ydata().tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert accuracy.lines[1].get_ydata()[-1] == rows(4)[-1]["val_top1"]


def test_pictures_are_written_whole(tmp_path):
    curves.draw_curves(rows(1), "run", tmp_path / "one.png")
    curves.draw_curves([], "run", tmp_path / "none.png")
    result = judge(np.eye(3, dtype=np.float32), np.array([0, 1, 0]), ("a", "b", "c"))
    confusion.draw_confusion(result, "run", tmp_path / "confusion.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["confusion.png", "one.png"]
    for path in tmp_path.iterdir():
        assert min(Image.open(path).size) > 300
