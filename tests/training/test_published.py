"""Published recipes from the first step to the last, on pictures of several sizes."""

import json
from pathlib import Path

import pytest
from tests.training.runs import assert_equal_bits

import resnetkit as rk
from resnetkit.training.observer import Observer
from resnetkit.training.recipe_files import read_recipe
from resnetkit.training.trainer import Trainer

SMALL = {
    "model": "resnet18", "image_size": 24, "eval_size": 32, "batch_size": 12, "epochs": 2,
    "threads": 1, "workers": 1, "seed": 3, "val_fraction": 0.2, "observer": Observer(),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", ["a1", "a2", "a3", "torchvision-v2", "resnet-rs", "bag-of-tricks", "he2015-imagenet"]
)
def test_a_procedure_on_a_folder_of_pictures(name, pictures, tmp_path, monkeypatch):
    seen = []
    step = Trainer.train_step

    def watched(trainer, batch):
        seen.append(batch.images.shape)
        step(trainer, batch)

    monkeypatch.setattr(Trainer, "train_step", watched)
    run = rk.train(str(pictures), recipe=name, out=str(tmp_path / "run"), **SMALL)
    assert {shape[1:] for shape in seen} == {(24, 24, 3)} or {s[1:] for s in seen} == {(24, 24, 1)}
    clf = rk.load(run.run)
    assert clf.transform.size == 32
    asked = read_recipe(name).data
    assert clf.transform.crop == asked.center_crop
    assert clf.transform.interpolation == (asked.interpolation or "bilinear")
    judged = rk.evaluate(clf, str(pictures), part="val")
    rows = [json.loads(line) for line in (Path(run.run) / "metrics.jsonl").open()]
    assert judged.result.top1 == pytest.approx(rows[-1]["val_top1"])
    assert len(rows) == 2


def test_the_warm_up_is_counted_in_epochs(pictures, tmp_path):
    settings = SMALL | {"epochs": 7, "limit": 24, "batch_size": 6, "image_size": 16}
    run = rk.train(str(pictures), recipe="a3", out=str(tmp_path / "run"), **settings)
    rates = [json.loads(line)["lr"] for line in (Path(run.run) / "metrics.jsonl").open()]
    assert rates[4] == max(rates)
    assert rates[0] == pytest.approx(rates[4] / 5, rel=0.06)


def test_without_one_evaluation_sees_what_training_does(pictures, tmp_path):
    settings = SMALL | {"eval_size": None, "epochs": 1, "model": "resnet8"}
    for name in ("one", "two"):
        rk.train(str(pictures), out=str(tmp_path / name), **settings)
        settings["eval_size"] = 24
    assert rk.load(tmp_path / "one").transform.size == 24
    assert_equal_bits(tmp_path / "one", tmp_path / "two")
