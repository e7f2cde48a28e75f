"""One run trains every depth: what a step does, in equal bits after a stop, and what it leaves."""

import json
import shutil

import pytest
import safetensors.torch
import torch
from tests.training.runs import assert_equal_bits, metrics, stop_and_resume, train
from torch.nn import functional

import resnetkit as rk
from resnetkit.benching import chart
from resnetkit.cli import main
from resnetkit.inference import BATCH_SIZE
from resnetkit.nets.nested import Nested
from resnetkit.report import depths as depths_report
from resnetkit.training import running
from resnetkit.training import trainer as trainer_module
from resnetkit.training.depths import inner_at, inner_loss
from resnetkit.training.loss import Loss
from resnetkit.training.recipe import Recipe
from resnetkit.training.settings import override

ANY = {"model": "resnet20", "any_depth": True, "limit": 160}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("any-depth") / "run"
    train(out, **ANY)
    return out


def test_the_classifier_has_every_depth(trained):
    clf = rk.load(trained)
    assert clf.depths == (8, 14, 20)
    row = metrics(trained)[-1]
    assert row["inner_top1"] == clf.training.inner_top1
    assert set(row["inner_top1"]) == {"8", "14"}
    for layers in clf.depths:
        one = clf.at(layers)
        score = row["val_top1"] if layers == 20 else row["inner_top1"][str(layers)]
        assert (one.net.layers, one.training.val_top1) == (layers, score)
        judged = rk.evaluate(one, "fashion-mnist", part="val")
        assert judged.result.top1 == pytest.approx(score, abs=0.01)
    with pytest.raises(rk.UserError, match="no depth of 10 layers, but 8, 14, 20"):
        clf.at(10)


def test_every_depth_is_judged_in_a_table_and_a_picture(trained, tmp_path, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr(depths_report, "draw_speed", lambda *drawing: drawn.extend(drawing))
    words = ["evaluate", str(trained), "fashion-mnist", "--part", "val", "--depth", "all"]
    assert main([*words, "--plot", str(tmp_path / "x.svg")]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    points, slide, _ = drawn
    for layers, point in zip((8, 14, 20), points[:3], strict=True):
        alone = rk.evaluate(rk.load(trained).at(layers), "fashion-mnist", part="val").result
        assert point.top1 == pytest.approx(100 * alone.top1)
        (row,) = [row for row in rows if row[:1] == [f"{layers}"] and "for" not in row]
        assert f"{alone.top1:.2%}" in row
    exits = rk.load(trained).calibration.exits
    assert len(points[3:]) == len({(each.layers, each.threshold) for each in exits})
    assert all("early exit" in point.name for point in points[3:])
    assert (slide.batch, slide.accuracy) == (BATCH_SIZE, "judged")
    monkeypatch.undo()
    assert main([*words, "--json", "--plot", str(tmp_path / "x.svg")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [depth["layers"] for depth in found["depths"][:3]] == [8, 14, 20]
    assert found["machine"]["device"] == "cpu"
    assert (tmp_path / "x.svg").read_bytes().startswith(b"<?xml")


def test_every_depth_is_benched(trained, tmp_path):
    found = rk.bench([trained, trained], quick=True, threads=1, train=False, batch_size=8)
    clf = rk.load(trained)
    assert [row.name for row in found.rows] == [f"{trained} at {n}" for n in clf.depths]
    for row in found.rows:
        one = clf.at(row.layers)
        assert row.model == f"resnet{row.layers}"
        assert row.parameters == sum(p.numel() for p in one.net.parameters())
        assert row.accuracy.top1 == pytest.approx(100 * one.training.val_top1)
    found.plot(tmp_path / "chart.svg")
    point = chart._point(found.rows[1])
    assert (point.family, point.short, point.name) == (str(trained), "14", "run at 14")


def test_the_whole_is_the_same_with_and_without_the_others(trained, tmp_path):
    clf = rk.load(trained)
    clf.at(20).save(tmp_path / "alone")
    alone = rk.load(tmp_path / "alone")
    assert alone.depths == (20,)
    batch = torch.randint(0, 256, (5, 28, 28, 1), dtype=torch.uint8)
    assert torch.equal(alone(batch), clf(batch))
    tensors = safetensors.torch.load_file(trained / "classifier" / "model.safetensors")
    assert set(clf.net.state_dict()) == {name for name in tensors if "inside/" not in name}
    fresh = rk.create("resnet20", classes=10, channels=1)
    rk.load_weights(fresh, trained / "classifier" / "model.safetensors")
    for name, tensor in fresh.state_dict().items():
        assert torch.equal(tensor, clf.net.state_dict()[name])


def test_depths_survive_saving(trained, tmp_path):
    clf = rk.load(trained)
    clf.save(tmp_path / "again")
    again = rk.load(tmp_path / "again")
    batch = torch.randint(0, 256, (5, 28, 28, 1), dtype=torch.uint8)
    answers = [clf.at(layers)(batch) for layers in clf.depths]
    assert all(torch.equal(again.at(n)(batch), a) for n, a in zip(clf.depths, answers, strict=True))
    assert not torch.equal(answers[0], answers[1])


def test_compiled_it_is_the_same_run(trained, tmp_path, monkeypatch):
    """As torch traces it, with torch's own operators: no compiler is needed."""
    whole = torch.compile
    monkeypatch.setattr(torch, "compile", lambda net, **how: whole(net, backend="eager", **how))
    monkeypatch.setattr(running, "check_compiler", lambda *_: None)
    train(tmp_path / "plain", **ANY, epochs=1)
    train(tmp_path / "compiled", **ANY, epochs=1, compile=True)
    kept = [tmp_path / name / "classifier" / "model.safetensors" for name in ("plain", "compiled")]
    assert kept[0].read_bytes() == kept[1].read_bytes()


def test_depths_of_an_earlier_way_are_refused(trained, tmp_path):
    shutil.copytree(trained / "classifier", tmp_path / "old")
    (tmp_path / "old" / "SHA256SUMS").unlink()
    file = tmp_path / "old" / "config.json"
    file.write_text(file.read_text().replace('"format": 4', '"format": 3'))
    with pytest.raises(rk.UserError, match="several depths, in a way .* no more: train anew"):
        rk.load(tmp_path / "old")


@pytest.mark.parametrize("at", [3, 5, 12])
def test_stopped_and_resumed_ends_in_the_same_bits(trained, tmp_path, monkeypatch, at):
    stop_and_resume(tmp_path / "run", at, monkeypatch, **ANY)
    assert_equal_bits(trained, tmp_path / "run")


@pytest.mark.parametrize("taught", [0.0, 0.7])
def test_a_step_has_the_gradients_of_all_losses(taught, tmp_path, monkeypatch):
    """Against autograd on the same nets by hand, in one backward."""
    found = {}

    def watched(trainer, piece, whole):
        layers, labels = inner_at(trainer.recipe, trainer.step), piece.labels
        if trainer.step == 3:
            x = trainer.transform.normalise(piece.images)
            nested = Nested(trainer.net, layers)
            nested.train()
            _, own, *inside = nested(x, *layers)
            sums = {"label_smoothing": 0.1, "reduction": "sum"}
            loss = functional.cross_entropy(own, labels, **sums)
            soft = (own.detach().log_softmax(1)).exp()
            for inner in inside:
                loss = loss - taught * (soft * inner.log_softmax(1)).sum()
                loss = loss + (1 - taught) * functional.cross_entropy(inner, labels, **sums)
            by_hand = torch.autograd.grad(loss / whole, list(trainer.net.parameters()))
            finite = step(trainer, piece, whole)
            for gradient, parameter in zip(by_hand, trainer.net.parameters(), strict=True):
                torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
            found[layers] = True
            return finite
        return step(trainer, piece, whole)

    step = trainer_module.Trainer.backward
    monkeypatch.setattr(trainer_module.Trainer, "backward", watched)
    how = {"epochs": 1, "precision": "fp32", "dropout": 0.0, "drop_path": 0.0, "taught": taught}
    train(tmp_path / "run", **ANY, **how)
    assert found


def test_every_depth_has_its_turn_and_the_fewer_its_layers_the_oftener():
    recipe = override(Recipe(), {"any_depth": True, "inner_layers": [8, 14, 20, 32]})
    drawn = [inner_at(recipe, step) for step in range(1000)]
    weights = {layers: 1 / layers for layers in (14, 20, 32)}
    for layers, weight in weights.items():
        share = weight / sum(weights.values())
        assert (
            abs(drawn.count((8, layers)) / 1000 - share) < 4 * (share * (1 - share) / 1000) ** 0.5
        )
    assert inner_at(override(recipe, {"inner_layers": [14]}), 0) == (14,)
    assert inner_at(Recipe(), 0) == ()


@pytest.mark.parametrize("labels", [torch.tensor([1, 0]), torch.tensor([[1, 1], [0, 1]])])
def test_what_is_taught_is_what_the_whole_says(labels):
    """Where the whole network is sure of the labels, being taught and learning are one."""
    several = labels.ndim == 2
    sure = 100 * (functional.one_hot(labels, 2) if labels.ndim == 1 else labels).float() - 50
    logits = torch.randn(2, 2)
    loss = Loss("several" if several else "choice")
    labels = labels.to(torch.uint8) if several else labels
    taught, learned = (inner_loss(loss, logits, sure, labels, share) for share in (1, 0))
    torch.testing.assert_close(taught, learned)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"model": "plain20"}, "--any-depth plain20: .* a plain network has no shortcut"),
        ({"model": "resnet8"}, "no network inside"),
        ({"model": "resnet20", "inner_layers": (9,)}, "holds none of 9: it has every 2nd from 8"),
        ({"model": "resnet20", "inner_layers": (20,)}, "is the whole network"),
        ({"model": "resnet20", "inner_layers": (8, 8)}, "names a depth twice"),
        ({"any_depth": False, "inner_layers": (8,)}, "give both"),
        ({"grow_at": (0.5,), "grow_to": ("resnet56",)}, "cannot grow"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, how, reason):
    with pytest.raises(rk.UserError, match=reason):
        train(tmp_path / "run", **ANY | how)
    assert not (tmp_path / "run").exists()
