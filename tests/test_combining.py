"""Ensembles and averages of trained networks."""

from pathlib import Path

import numpy as np
import pytest
import torch

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.ensemble import mean_logits
from resnetkit.training.observer import Observer

TINY = {"model": "resnet8", "limit": 400, "threads": 1, "workers": 1, "batch_size": 50}


def trained(out: Path, **settings) -> str:
    run = rk.train("fashion-mnist", out=str(out), observer=Observer(), **(TINY | settings))
    return run.run


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[str]:
    place = tmp_path_factory.mktemp("members")
    return [trained(place / f"{seed}", epochs=3, seed=seed, val_fraction=0.01) for seed in (0, 1)]


@pytest.fixture(scope="module")
def ensemble(runs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("ensemble") / "both"
    rk.combine(runs, str(out))
    return out


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_the_mean_is_that_of_probabilities(task):
    logits = [torch.randn(5, 4) * 3 for _ in range(3)]
    to_probabilities = torch.sigmoid if task == "multi-label" else lambda x: x.softmax(1)
    mean = sum(to_probabilities(each) for each in logits) / 3
    torch.testing.assert_close(to_probabilities(mean_logits(logits, task)), mean)


def test_an_ensemble_answers_with_the_mean_and_is_no_worse(runs, ensemble, fashion):
    both, single = rk.load(ensemble), [rk.load(run) for run in runs]
    batch = torch.from_numpy(fashion.parts["test"].images[:64].copy())
    mean = sum(clf(batch).softmax(1) for clf in single) / 2
    torch.testing.assert_close(both(batch).softmax(1), mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(both.engine("fp32")(batch).softmax(1), mean, rtol=1e-4, atol=1e-5)
    loss = [rk.evaluate(clf, "fashion-mnist").result.loss for clf in (*single, both)]
    assert loss[2] < np.mean(loss[:2])  # -log is convex


def test_an_ensemble_is_judged_used_and_learned_from(ensemble, tmp_path, pictures, capsys):
    assert main(["evaluate", str(ensemble), "fashion-mnist"]) == 0
    picture = next(p for p in pictures.rglob("*.png"))
    assert main(["predict", str(ensemble), str(picture)]) == 0
    assert picture.name in capsys.readouterr().out
    run = trained(tmp_path / "run", epochs=1, teacher=str(ensemble), val_fraction=0.01)
    assert rk.load(run).training.teachers == (str(ensemble),)


@pytest.mark.parametrize(
    "words",
    ["deepen {e} --to resnet14 --out {t}/x", "shrink {e} --depth 8 --out {t}/x",
     "bench {e} --quick", "combine {e} {e} --out {t}/x",
     "convert {e} --to timm --out {t}/x.safetensors",
     "train fashion-mnist --weights {e} --out {t}/x"],
)  # fmt: skip
def test_what_wants_one_network_says_so(words, ensemble, tmp_path, capsys):
    assert main(words.format(e=ensemble, t=tmp_path).split()) == 2
    assert "is an ensemble: name one of its networks, such as" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_embeddings_are_those_of_one_network(ensemble, pictures, tmp_path):
    with pytest.raises(rk.UserError, match="name one of the ensemble"):
        rk.predict(rk.load(ensemble), str(pictures), embeddings=str(tmp_path / "e.npz"))


def test_an_average_needs_a_common_start_and_measures_its_norms(runs, tmp_path, fashion):
    with pytest.raises(rk.UserError, match="did not begin with the same weights"):
        rk.average(runs, str(tmp_path / "x"), "fashion-mnist")
    on = {"epochs": 1, "lr": 0.02, "weights": runs[0], "val_fraction": 0.01}
    parts = [trained(tmp_path / f"{seed}", seed=seed, **on) for seed in (2, 3)]
    rk.average(parts, str(tmp_path / "soup"), "fashion-mnist")
    soup, members = rk.load(tmp_path / "soup"), [rk.load(part) for part in parts]
    weights = [m.net.stem.conv.weight for m in members]
    torch.testing.assert_close(soup.net.stem.conv.weight, sum(weights) / 2)
    norm = members[0].net.stem.norm.running_mean
    assert not torch.equal(soup.net.stem.norm.running_mean, norm)
    accuracy = [rk.evaluate(clf, "fashion-mnist").result.top1 for clf in (*members, soup)]
    assert accuracy[2] > min(accuracy[:2]) - 0.01
    assert len(soup.training.ancestors) == 2


def test_members_must_go_together(runs, tmp_path, pictures):
    other = rk.train(str(pictures), model="resnet8", epochs=1, image_size=28, channels=1,
                     out=str(tmp_path / "other"), observer=Observer()).run  # fmt: skip
    with pytest.raises(rk.UserError, match="network 2 is for other classes"):
        rk.combine([runs[0], other], str(tmp_path / "x"))
    with pytest.raises(rk.UserError, match="two runs at the least"):
        rk.combine([runs[0]], str(tmp_path / "x"))
    larger = trained(tmp_path / "larger", epochs=1, image_size=32)
    with pytest.raises(rk.UserError, match="sees other images than the first: size 32, not 28"):
        rk.combine([runs[0], larger], str(tmp_path / "x"))


def test_a_damaged_ensemble_is_named(ensemble, tmp_path):
    for text in (
        "{",
        '{"format": 9, "members": ["1", "2"]}',
        '{"format": 1, "members": ["../x", "1"]}',
    ):
        (tmp_path / "ensemble.json").write_text(text)
        with pytest.raises(rk.UserError, match="ensemble.json"):
            rk.load(tmp_path)
