"""Pictures of two things each, from the CSV to the prediction."""

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.multilabel import sigmoid
from resnetkit.training.observer import Observer
from resnetkit.training.run_folder import METRICS

FLAGS = (
    "--model resnet8 --image-size 28 --epochs 6 --batch-size 16 --lr 0.2 --label-smoothing 0.05 "
    "--threads 1 --workers 1"
).split()


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, fashion) -> Path:
    """A CSV of pictures with two things side by side, and of some with nothing on them."""
    folder, generator = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    source = fashion.parts["train"]
    some = np.flatnonzero(np.isin(source.labels, (1, 7, 8)))
    with (folder / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "part"])
        for i in range(400):
            pixels, names = np.zeros((56, 56), np.uint8), set()
            for side in (0, 28) if i % 10 else ():
                index = generator.choice(some)
                pixels[14:42, side : side + 28] = source.image(index)[:, :, 0]
                names.add(fashion.classes[source.labels[index]])
            Image.fromarray(pixels).save(folder / f"{i}.png")
            table.writerow([f"{i}.png", ";".join(names), "test" if i % 4 == 1 else "train"])
    return folder / "pairs.csv"


@pytest.fixture(scope="module")
def trained(pairs) -> Path:
    assert run("train", pairs, *FLAGS, "--out", pairs.parent / "run") == 0
    return pairs.parent / "run"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--class-weights balanced", "class_weights is for images with one class each"),
        ("--sampling balanced", "sampling is for images with one class each"),
        ("--logit-adjust 1", "logit_adjust is for images with one class each"),
    ],
)
def test_what_makes_up_for_rare_classes_is_refused(pairs, capsys, tmp_path, flags, said):
    assert run("train", pairs, *FLAGS, *flags.split(), "--out", tmp_path / "run") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_it_learns_and_says_how_well(trained, pairs, capsys, tmp_path):
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").open()]
    assert list(rows[0]) == [*METRICS, "val_map"]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    plot = tmp_path / "x.png"
    assert run("evaluate", trained, pairs, "--json", "--plot", plot) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"part", "images", "top1", "top5", "loss", "ece", "map"} <= set(found)
    assert (found["part"], found["images"]) == ("test", 100)
    shares = [row["images"] / 100 for row in found["classes"]]
    assert found["map"] > np.mean(shares) + 0.2  # what guessing gives is the share of images
    assert found["map"] == pytest.approx(np.mean([row["ap"] for row in found["classes"]]))
    assert min(Image.open(plot).size) > 300
    assert run("evaluate", trained, pairs) == 0
    said = capsys.readouterr().out
    assert f"mean average precision  {found['map']:.3f}" in said
    assert "Trouser" in said
    assert run("evaluate", trained, pairs, "--part", "val", "--json") == 0
    assert json.loads(capsys.readouterr().out)["map"] == pytest.approx(rows[-1]["val_map"])


def test_the_folder_says_what_it_is(trained):
    classifier = rk.load(trained)
    assert (classifier.task, len(classifier.classes)) == ("multi-label", 3)
    assert json.loads((trained / "classifier" / "config.json").read_text())["task"] == "multi-label"
    card = (trained / "classifier" / "README.md").read_text()
    assert "Mean average precision" in card
    assert "It finds any number of: Bag, Sneaker, Trouser" in card
    assert "multi_label: true" in (trained / "recipe.yaml").read_text()


def test_every_class_has_its_own_probability(trained, pairs, capsys):
    import torch

    classifier, path = rk.load(trained), pairs.parent / "1.png"
    assert run("predict", trained, path, "--json", "--top", 2, "--precision", "fp32") == 0
    (found,) = json.loads(capsys.readouterr().out)
    pixels = classifier.transform.image(np.asarray(Image.open(path))[:, :, None])
    logits = classifier(torch.from_numpy(pixels.copy())[None]).numpy()[0]
    expected = dict(zip(classifier.classes, sigmoid(logits), strict=True))
    best = sorted(expected, key=lambda name: -expected[name])
    assert [entry["class"] for entry in found["top"]] == best[:2]
    for entry in found["top"]:
        assert entry["probability"] == pytest.approx(expected[entry["class"]], abs=1e-6)
    assert found["labels"] == [name for name in best if expected[name] > 0.5]
    assert run("predict", trained, pairs.parent / "0.png", path) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "0.png: none above 50% (below: " in first
    assert second.count("%") == 3


def test_pictures_of_one_thing_count_as_sets_of_one(trained, pictures, tmp_path, capsys):
    for name in ("Bag", "Trouser"):
        (tmp_path / name).symlink_to(pictures / name)
    assert run("evaluate", trained, tmp_path, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert [row["images"] for row in found["classes"]] == [12, 0, 12]
    assert found["classes"][1]["ap"] is None
    assert "no images of 1 classes: Sneaker" in captured.err


class StopAfterOne(Observer):
    def epoch_done(self, row: dict, epochs: int) -> None:
        if row["epoch"] == 1:
            os.kill(os.getpid(), signal.SIGINT)


def test_cross_validation_and_resume(pairs, tmp_path, capsys):
    settings = {"model": "resnet8", "image_size": 28, "epochs": 2, "batch_size": 16, "limit": 90}
    here = {"threads": 1, "workers": 1, "observer": Observer()}
    for name, observer in (("whole", Observer()), ("broken", StopAfterOne())):
        out = str(tmp_path / name)
        rk.train(str(pairs), **settings, folds=2, out=out, **here | {"observer": observer})
    assert not (tmp_path / "broken" / "fold-2").exists()
    rk.train(resume=True, out=str(tmp_path / "broken"), **here)
    whole, broken = ((tmp_path / n / "out_of_fold.npz").read_bytes() for n in ("whole", "broken"))
    assert whole == broken
    found = np.load(tmp_path / "whole" / "out_of_fold.npz")
    assert found["labels"].shape == found["probabilities"].shape == (90, 3)
    assert np.allclose(found["probabilities"], sigmoid(found["logits"]))
    assert sorted(np.bincount(found["fold"])) == [0, 45, 45]
    assert run("train", "--resume", "--out", tmp_path / "whole", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said["mean"]) == {"val_loss", "val_top1", "val_map"}
    assert said["out_of_fold"]["images"] == 90


def test_one_class_alone_may_be_there_or_not(pairs, tmp_path, capsys):
    rows = pairs.read_text().splitlines()
    for i, row in enumerate(rows[1:], 1):
        path, label, part = row.split(",")
        rows[i] = f"{pairs.parent / path},{'Bag' if 'Bag' in label else ''},{part}"
    (tmp_path / "bags.csv").write_text("\n".join(rows))
    flags = [*FLAGS, "--multi-label", "--limit", 60, "--epochs", 1]
    assert run("train", tmp_path / "bags.csv", *flags, "--out", tmp_path / "x") == 0
    assert run("evaluate", tmp_path / "x", tmp_path / "bags.csv", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["classes"]) == 1
