"""A live bar on a terminal, lines elsewhere."""

import io

import pytest
from rich.console import Console

from resnetkit import terminal
from resnetkit.terminal import TerminalObserver

ROW = {
    "epoch": 1, "train_loss": 0.5, "train_top1": 0.8, "val_loss": 0.4, "val_top1": 0.85,
    "images_per_second": 1234.5,
}  # fmt: skip


def observer(*, live: bool) -> tuple[TerminalObserver, io.StringIO]:
    out = io.StringIO()
    return TerminalObserver(Console(file=out, force_terminal=live, width=100, highlight=False)), out


def beat(to: TerminalObserver, step: int) -> None:
    to.beat(step=step, steps=100, epoch=step / 50, epochs=2, rate=987.0, loss=1.25)


def test_a_live_bar():
    to, out = observer(live=True)
    beat(to, 30)
    beat(to, 60)
    to.epoch_done(ROW, 2)
    to.close()
    said = out.getvalue()
    for part in ("epoch 1.2/2", "loss 1.250", "987 images/s", "60%", "left", "epoch 1/2: training"):
        assert part in said
    assert to.bar is None


def test_mean_average_precision_is_told_where_there_is_one():
    to, out = observer(live=False)
    to.epoch_done(ROW | {"val_map": 0.75}, 2)
    to.epoch_done(ROW | {"val_map": None}, 2)
    assert out.getvalue().count("accuracy 85.00%, mAP 0.7500;") == 1
    assert out.getvalue().count("accuracy 85.00%; ") == 1


def test_a_line_now_and_then_where_there_is_no_terminal(monkeypatch):
    to, out = observer(live=False)
    now = to.last
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    beat(to, 10)
    now += terminal.LINE_EVERY
    beat(to, 20)
    beat(to, 30)
    to.epoch_done(ROW, 2)
    to.say("[not markup]")
    assert out.getvalue().splitlines() == [
        "epoch 0.4/2  loss 1.250  987 images/s  20%",
        "epoch 1/2: training loss 0.5000, accuracy 80.00%; validation loss 0.4000, accuracy 85.00%;"
        " 1,234 images/s",
        "[not markup]",
    ]


@pytest.mark.parametrize("step", [50, 49, 100])
def test_no_line_right_before_the_line_of_the_epoch(monkeypatch, step):
    to, out = observer(live=False)
    now = to.last + terminal.LINE_EVERY
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    beat(to, step)
    assert out.getvalue() == ""


@pytest.mark.parametrize("live", [True, False])
def test_counting_goes_away(live):
    to, out = observer(live=live)
    with to.counting("looking through train", 3) as advance:
        for _ in range(3):
            advance(1)
    assert ("looking through train" in out.getvalue()) == live
