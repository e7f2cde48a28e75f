"""A network that grows while it trains: the same function at the step, resumed in equal bits."""

import json

import pytest
import torch
from tests.training.runs import assert_equal_bits, metrics, stop_and_resume, train

import resnetkit as rk
from resnetkit.training import trainer as trainer_module

GROWING = {"grow_at": (0.3, 0.7), "grow_to": ("resnet14", "resnet20")}
"""Of 30 steps: at steps 9 and 21."""


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    out = tmp_path_factory.mktemp("growth") / "run"
    train(out, **GROWING)
    return out


def test_the_run_ends_with_the_deepest_network_and_says_when_it_grew(grown):
    clf = rk.load(grown)
    assert clf.net.layers == 20
    assert clf.training.model == "resnet20"
    assert [row.get("grown") for row in metrics(grown)] == [
        [{"step": 9, "to": "resnet14"}],
        None,
        [{"step": 21, "to": "resnet20"}],
    ]


def test_a_run_that_has_grown_is_not_extended(tmp_path):
    """Its growths would come at other steps, before which its network is already the deeper one."""
    changes = {"epochs": 1, "schedule": "constant"}
    train(tmp_path / "run", **changes, grow_at=(0.95,), grow_to=("resnet14",))
    clf = rk.load(tmp_path / "run")
    assert (clf.net.layers, clf.training.model) == (14, "resnet14")
    with pytest.raises(rk.UserError, match="grows or is unfrozen is set for that length"):
        rk.train(resume=True, out=str(tmp_path / "run"), epochs=3, threads=1)
    assert rk.load(tmp_path / "run").net.layers == 14


@pytest.mark.parametrize("at", [5, 9, 10, 15, 20, 21, 25])
def test_stopped_and_resumed_ends_in_the_same_bits(grown, tmp_path, monkeypatch, at):
    stop_and_resume(tmp_path / "run", at, monkeypatch, **GROWING)
    assert_equal_bits(grown, tmp_path / "run")


@pytest.mark.parametrize("optimiser", ["sgd", "adamw", "lamb"])
def test_growing_changes_no_output_and_forgets_nothing(tmp_path, monkeypatch, optimiser):
    seen = []

    def watched(trainer):
        x = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        before = {**trainer.optimiser.tensors()}
        nets = (trainer.net, trainer.ema.net.net)
        with torch.no_grad():
            outputs = [net.eval()(x) for net in nets]
        layers = trainer.net.layers
        grow(trainer)
        if trainer.net.layers > layers:
            after = trainer.optimiser.tensors()
            assert all(torch.equal(value, after[name]) for name, value in before.items())
            with torch.no_grad():
                for net, output in zip((trainer.net, trainer.ema.net.net), outputs, strict=True):
                    assert torch.equal(net.eval()(x), output)
            seen.append((trainer.step, layers, trainer.net.layers))
        trainer.replica.train()

    grow = trainer_module.Trainer.grow
    monkeypatch.setattr(trainer_module.Trainer, "grow", watched)
    train(tmp_path / "run", optimiser=optimiser, lr=0.01, drop_path=0.0, **GROWING)
    assert seen == [(9, 8, 14), (21, 14, 20)]


def test_a_rollback_goes_back_to_the_smaller_network(tmp_path, monkeypatch):
    step = trainer_module.Trainer.train_step
    layers = []

    def spoiled(trainer, batch):
        if trainer.step == 12 and not trainer.rollbacks:
            trainer.net.head.bias.data[0] = float("nan")
        layers.append((trainer.step, trainer.net.layers))
        step(trainer, batch)

    monkeypatch.setattr(trainer_module.Trainer, "train_step", spoiled)
    grows = {"grow_at": (0.39,), "grow_to": ("resnet14",)}  # at step 12, in the epoch from 10 on
    train(tmp_path / "run", on_nonfinite="rollback", checkpoint_seconds=0, **grows)
    assert layers.count((10, 8)) == 2
    assert rk.load(tmp_path / "run").net.layers == 14


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"grow_at": (0.5,), "grow_to": ("resnet8",)}, "--grow-to resnet8: .* as deep as"),
        ({"grow_at": (0.5,), "grow_to": ("resnet50",)}, "another kind"),
        ({"grow_at": (0.5, 0.6), "grow_to": ("resnet20", "resnet14")}, "shallower"),
        ({"grow_at": (0.5,)}, "go together: 1 times and 0 networks"),
        ({"grow_at": (0.5, 0.5), "grow_to": ("resnet14", "resnet20")}, "must rise"),
        ({"grow_at": (1.5,), "grow_to": ("resnet14",)}, "grow_at must be"),
    ],
)
def test_growth_that_cannot_be_is_refused(tmp_path, how, reason):
    with pytest.raises(rk.UserError, match=reason):
        train(tmp_path / "run", **how)
    assert not (tmp_path / "run").exists()


def test_a_deepened_classifier_is_trained_on_and_remembered(grown, tmp_path):
    from resnetkit.other_depths import deepen_classifier

    done = deepen_classifier(str(grown), str(tmp_path / "deeper"), depths=(3, 4, 3))
    assert (done.model, done.before, done.layers) == ("resnet20", 20, 22)
    x = torch.randint(0, 256, (4, 28, 28, 1), dtype=torch.uint8)
    assert torch.equal(rk.load(grown)(x), rk.load(tmp_path / "deeper")(x))
    train(tmp_path / "on", model=None, weights=str(tmp_path / "deeper"), epochs=1)
    clf = rk.load(tmp_path / "on")
    assert clf.spec.depths == (3, 4, 3)
    assert [line.split(":")[0] for line in clf.training.ancestors] == [
        str(grown),
        str(tmp_path / "deeper"),
    ]
    assert f"- Descends from {grown}: resnet20" in (
        tmp_path / "on" / "classifier" / "README.md"
    ).read_text(encoding="utf-8")
    record = json.loads((tmp_path / "on" / "data.json").read_text(encoding="utf-8"))
    assert len(record["ancestors"]) == 2
