"""Cross-validation: who was held out by whom, and the same bits however often it is stopped."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.data.decode import decode
from resnetkit.terminal import TerminalObserver
from resnetkit.training.folds import FoldsFolder
from resnetkit.training.images import choose_images, open_images
from resnetkit.training.observer import Observer
from resnetkit.training.settings import override

SETTINGS = {
    "model": "resnet8", "image_size": 28, "epochs": 2, "batch_size": 8, "folds": 3, "seed": 3,
    "ema": 0.9, "threads": 1, "workers": 1, "precision": "fp32",
}  # fmt: skip


def train(data: Path, out: Path, observer: Observer | None = None, **changes):
    settings = SETTINGS | {"out": str(out)} | changes
    return rk.train(str(data), observer=observer or Observer(), **settings)


def resume(out: Path, **settings):
    return rk.train(
        resume=True, out=str(out), threads=1, workers=1, observer=Observer(), **settings
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory, pictures) -> Path:
    """36 pictures of three classes and one that cannot be read."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    shutil.copytree(pictures, folder)
    (folder / "Bag" / "bad.png").write_bytes(b"no")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data) -> Path:
    out = tmp_path_factory.mktemp("folds") / "r"
    train(data, out)
    return out


def assert_equal_bits(a: Path, b: Path) -> None:
    """Two runs have the same weights and the same lines of metrics.jsonl."""
    weights = [(run / "classifier" / "model.safetensors").read_bytes() for run in (a, b)]
    assert weights[0] == weights[1]
    rows = [[json.loads(line) for line in (run / "metrics.jsonl").open()] for run in (a, b)]
    for row in (*rows[0], *rows[1]):
        del row["seconds"], row["images_per_second"]
    assert rows[0] == rows[1]


def contents(out: Path) -> tuple:
    summary = json.loads((out / "folds.json").read_text())
    for row in summary["results"]:
        row.pop("seconds")
    return summary, (out / "out_of_fold.npz").read_bytes()


def assert_same(a: Path, b: Path) -> None:
    for i in (1, 2, 3):
        assert_equal_bits(a / f"fold-{i}", b / f"fold-{i}")
    assert contents(a) == contents(b)


def test_every_image_is_predicted_by_the_network_that_has_not_seen_it(whole, data):
    with np.load(whole / "out_of_fold.npz", allow_pickle=False) as file:
        found = dict(file)
    paths = [Path(path) for path in found["paths"]]
    assert sorted(paths) == sorted(p for p in data.rglob("*.*g") if p.name != "bad.png")
    assert found["classes"].tolist() == ["Bag", "Sandal", "Trouser"]
    assert [found["classes"][i] for i in found["labels"]] == [path.parent.name for path in paths]
    assert sorted(np.bincount(found["fold"])) == [0, 11, 12, 13]  # 37, one cannot be read
    assert str(found["task"]) == "single-label"
    assert np.allclose(found["probabilities"].sum(axis=1), 1)
    for i, path in enumerate(paths):
        own = rk.load(whole / f"fold-{found['fold'][i]}")
        pixels = own.transform.image(decode(path.read_bytes(), str(path), 1))
        logits = own(torch.from_numpy(pixels.copy())[None]).numpy()[0]
        assert np.allclose(found["logits"][i], logits, atol=1e-5)
        assert found["logits"][i].argmax() == logits.argmax()
    for i in (1, 2, 3):
        rows = [json.loads(x) for x in (whole / f"fold-{i}" / "metrics.jsonl").open()]
        own = found["fold"] == i
        right = found["logits"][own].argmax(1) == found["labels"][own]
        assert right.mean() == pytest.approx(rows[-1]["val_top1"])


def test_mean_and_deviation(whole):
    summary = json.loads((whole / "folds.json").read_text())
    for key in ("val_loss", "val_top1"):
        values = [row[key] for row in summary["results"]]
        assert summary["mean"][key] == pytest.approx(np.mean(values))
        assert summary["deviation"][key] == pytest.approx(np.std(values, ddof=1))
    assert [row["run"] for row in summary["results"]] == ["fold-1", "fold-2", "fold-3"]
    assert sum(row["val_images"] for row in summary["results"]) == 36
    assert summary["out_of_fold"]["images"] == 36
    assert sorted(p.name for p in whole.iterdir()) == [
        "data.json", "fold-1", "fold-2", "fold-3", "folds.json", "out_of_fold.npz", "recipe.yaml",
    ]  # fmt: skip
    assert (whole / "fold-3" / "curves.png").is_file()


class StopAfter(Observer):
    """A Ctrl-C at the end of the n-th epoch of all folds together."""

    def __init__(self, epochs: int):
        self.left = epochs

    def epoch_done(self, row: dict, epochs: int) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGINT)


def test_interrupted_and_resumed_ends_in_the_same_bits(whole, data, tmp_path):
    out = tmp_path / "r"
    result = train(data, out, StopAfter(3))
    assert result.interrupted == signal.SIGINT
    assert [fold.interrupted for fold in result.folds] == [None, signal.SIGINT]
    assert not (out / "out_of_fold.npz").exists()
    before = (out / "fold-1" / "metrics.jsonl").read_text()
    result = resume(out)
    assert [fold.resumed_at for fold in result.folds] == [6, 3, 0]
    assert (out / "fold-1" / "metrics.jsonl").read_text() == before
    assert_same(whole, out)
    again = resume(out)
    assert again.already_finished
    assert again.to_dict()["val_top1"] == result.to_dict()["val_top1"]


class Breaks(Observer):
    """Ctrl-C between two folds, where no run catches it."""

    def say(self, text: str) -> None:
        if text == "fold 1 of 3 is done":
            raise KeyboardInterrupt


def test_interrupted_between_folds_and_what_a_kill_leaves(whole, data, tmp_path):
    out = tmp_path / "r"
    result = train(data, out, Breaks())
    assert (result.interrupted, len(result.folds)) == (signal.SIGINT, 1)
    shutil.copytree(out / "fold-1", out / ".unfinished-fold-2-x")
    resume(out, folds=3)
    assert_same(whole, out)
    assert not list(out.glob(".unfinished*"))


def test_a_lost_fold_is_trained_anew(whole, data, tmp_path):
    out = tmp_path / "r"
    shutil.copytree(whole, out)
    shutil.rmtree(out / "fold-2")
    assert not resume(out).already_finished
    assert_same(whole, out)


def test_a_fold_alone_is_the_fold_of_all(whole, data, tmp_path):
    train(data, tmp_path / "x", fold=2)
    assert_equal_bits(whole / "fold-2", tmp_path / "x")


def test_a_fold_knows_what_it_held_out(whole, data):
    result = rk.evaluate(rk.load(whole / "fold-2"), str(data), part="val").result
    row = json.loads((whole / "fold-2" / "metrics.jsonl").read_text().splitlines()[-1])
    held = (np.load(whole / "out_of_fold.npz")["fold"] == 2).sum()
    assert (result.images, result.top1) == (held, pytest.approx(row["val_top1"]))
    rest = rk.evaluate(rk.load(whole / "fold-2"), str(data), part="train").result
    assert rest.images == 36 - held


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda out, data: (data / "Bag" / "new.png").write_bytes(b"x"), "are not those it began"),
        (lambda out, data: (out / "folds.json").write_text("{"), "folds.json is damaged"),
        (lambda out, data: replace_in(out / "fold-1" / "recipe.yaml", "epochs: 2", "epochs: 3"),
         "fold-1/recipe.yaml was changed after the run began"),
    ],
    ids=["other images", "damaged", "another recipe"],
)  # fmt: skip
def test_what_is_refused_on_resume(data, tmp_path, spoil, said):
    shutil.copytree(data, tmp_path / "data")
    train(tmp_path / "data", tmp_path / "r", StopAfter(1))
    spoil(tmp_path / "r", tmp_path / "data")
    with pytest.raises(rk.UserError, match=said):
        resume(tmp_path / "r")


def replace_in(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_val_part_is_left_alone(pictures, tmp_path):
    for part in ("train", "val", "test"):
        shutil.copytree(pictures, tmp_path / part)
    recipe = override(rk.Recipe(), {"data": str(tmp_path), "folds": 3, "fold": 1})
    dataset = open_images(recipe, None)
    assert list(dataset.parts) == ["train", "test"]
    held = choose_images(dataset, recipe, ())["val"]
    assert {Path(held.name(i)).parts[-3] for i in range(len(held))} == {"train"}
    assert list(open_images(override(recipe, {"folds": None, "fold": None}), None).parts) == [
        "train", "val", "test",
    ]  # fmt: skip


def test_two_at_work_on_one_folder(whole):
    with FoldsFolder(whole).locked(), pytest.raises(rk.UserError, match="another training"):
        resume(whole)


def test_the_command_says_how_to_go_on(data, tmp_path, capsys, monkeypatch):
    def ctrl_c(observer, row, epochs):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(TerminalObserver, "epoch_done", ctrl_c)
    out = tmp_path / "r"
    flags = "--model resnet8 --image-size 28 --epochs 2 --batch-size 16 --folds 2 --threads 1"
    assert main(["train", str(data), *flags.split(), "--out", str(out), "--json"]) == 130
    captured = capsys.readouterr()
    again = f"resnetkit train --resume --out {out} --threads 1"
    assert captured.err.endswith(f"go on with:\n  {again}\n")
    said = json.loads(captured.out)
    assert (said["steps"], said["val_top1"], said["results"]) == (1, None, [])


def test_the_command(whole, data, tmp_path, capsys):
    assert main(["train", "--resume", "--out", str(whole)]) == 0
    captured = capsys.readouterr()
    assert f"{whole} is finished already: 3 folds" in captured.err
    assert "deviation" in captured.out
    assert main(["train", "--resume", "--out", str(whole), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["steps"] == said["resumed_at"] == 18
    assert set(said["mean"]) == {"val_loss", "val_top1"}
    assert said["mean"]["val_top1"] == said["val_top1"]
