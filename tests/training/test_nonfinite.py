"""What is no number is known before it is applied, named, and may be rolled back."""

import json

import numpy as np
import pytest
import torch
from tests.training.runs import assert_equal_bits, metrics, stop_and_resume, train

import resnetkit as rk
from resnetkit.training.nonfinite import ForwardWatch, first_bad_gradient
from resnetkit.training.observer import Observer
from resnetkit.training.trainer import Trainer

ROLLBACK = {"on_nonfinite": "rollback", "checkpoint_seconds": 0}


@pytest.fixture
def bad_at(monkeypatch):
    """Make the gradient of a step infinite, so many times."""

    def spoil(step: int, times: int) -> None:
        whole = Trainer.optimiser_step

        def spoiled(trainer, finite):
            if trainer.step == step and len(trainer.rollbacks) < times:
                trainer.net.head.bias.grad[0] = float("inf")
            whole(trainer, finite)

        monkeypatch.setattr(Trainer, "optimiser_step", spoiled)

    return spoil


def test_a_rollback_goes_to_the_start_of_the_epoch_with_half_the_rate(tmp_path, bad_at):
    train(tmp_path / "good", schedule="constant", warmup_steps=0)
    bad_at(13, times=1)
    train(tmp_path / "run", schedule="constant", warmup_steps=0, **ROLLBACK)
    good, rows = metrics(tmp_path / "good"), metrics(tmp_path / "run")
    assert rows[0] == good[0]
    assert [row["lr"] for row in rows] == [0.1, 0.05, 0.05]
    (back,) = rows[1]["rollbacks"]
    assert (back["step"], back["back_to"], len(back["indices"])) == (13, 10, 32)
    assert "rollbacks" not in rows[2]
    assert rows[1]["train_loss"] != good[1]["train_loss"]


def test_dynamics_forget_what_was_rolled_back(tmp_path, bad_at):
    """With a rate of 0 nothing changes, however often a part of the run is taken anew."""
    still = {"dynamics": True, "model": "resmlp", "norm": "none", "dropout": 0.0, "lr": 0.0}
    train(tmp_path / "good", **still)
    bad_at(13, times=2)
    train(tmp_path / "run", **still, **ROLLBACK)
    assert len(metrics(tmp_path / "run")[1]["rollbacks"]) == 2
    with (
        np.load(tmp_path / "good/dynamics.npz") as good,
        np.load(tmp_path / "run/dynamics.npz") as run,
    ):
        assert {*good} == {*run} >= {"logits", "indices"}
        assert all((good[name] == run[name]).all() for name in good)


@pytest.mark.parametrize("at", [12, 17, 25])
def test_a_run_with_a_rollback_is_stopped_and_resumed_in_the_same_bits(
    tmp_path, bad_at, monkeypatch, at
):
    bad_at(13, times=2)
    train(tmp_path / "whole", **ROLLBACK)
    assert len(metrics(tmp_path / "whole")[1]["rollbacks"]) == 2
    with monkeypatch.context() as inner:
        stop_and_resume(tmp_path / "broken", at, inner, **ROLLBACK)
    assert_equal_bits(tmp_path / "whole", tmp_path / "broken")


def test_the_fourth_time_it_gives_up(tmp_path, bad_at):
    bad_at(5, times=9)
    with pytest.raises(rk.UserError, match=r"^step 5: .* after 3 rollbacks: start anew"):
        train(tmp_path / "run", **ROLLBACK)


def test_the_first_tensor_that_is_not_finite_is_named(tmp_path):
    with pytest.raises(
        rk.UserError, match=r"^step \d+: the output of \S+ is not finite \(batch of"
    ):
        train(tmp_path / "run", lr=1e30, clip=None, precision="fp32", nesterov=False)
    net = rk.create("resnet8", channels=1)
    with torch.no_grad():
        net.stages[1][0].conv2.weight[0] = float("nan")
    with ForwardWatch(net) as watch:
        net(torch.zeros(2, 1, 28, 28)).sum().backward()
    assert watch.first == "the output of stages.1.0.conv2"
    assert first_bad_gradient(net) == "the gradient of head.weight"
    net(torch.zeros(2, 1, 28, 28))
    assert watch.first == "the output of stages.1.0.conv2"


def test_what_happened_is_told(tmp_path, bad_at):
    said = []

    class Listener(Observer):
        def say(self, text: str) -> None:
            said.append(text)

    bad_at(3, times=1)
    settings = {"model": "resnet8", "limit": 100, "epochs": 1, "batch_size": 16, "threads": 1}
    out = tmp_path / "run"
    rk.train(
        "fashion-mnist", observer=Listener(), out=str(out), on_nonfinite="rollback",
        val_fraction=0.01, **settings,
    )  # fmt: skip
    assert any("back to step 0 with half the learning rate, 1 of 3 times" in text for text in said)
    assert json.loads((out / "metrics.jsonl").read_text())["rollbacks"][0]["step"] == 3
