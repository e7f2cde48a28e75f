"""Runs side by side; and their epochs for TensorBoard, each once."""

import json
import shutil
import sys

import pytest
from PIL import Image

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.training.observer import Observer
from resnetkit.training.run_folder import RunFolder
from resnetkit.training.tensorboard import SCALARS
from tests.training.runs import metrics, stop_and_resume, train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    train(folder / "a", epochs=2)
    train(folder / "b", epochs=2, lr=0.05, model="resnet14")
    shutil.copytree(folder / "a", folder / "unfinished")
    shutil.rmtree(folder / "unfinished" / "classifier")
    RunFolder(folder / "unfinished").rewrite_metrics([])
    return folder


def test_what_differs_and_what_came_of_it(runs, capsys, tmp_path):
    picture = tmp_path / "curves.png"
    paths = [str(runs / name) for name in ("a", "b", "unfinished")]
    assert main(["compare", *paths, "--plot", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "resnet14" in said
    assert "none yet" in said
    assert "no, of 2 epochs" in said
    for name in ("a", "b"):
        parameters = sum(p.numel() for p in rk.load(runs / name).net.parameters())
        assert f"{parameters:,}" in said
    assert "batch_size" not in said
    assert Image.open(picture).width > 800


def test_as_json(runs, capsys):
    assert main(["compare", str(runs / "a"), str(runs / "b"), "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["differences"] == {"model": ["resnet8", "resnet14"], "lr": [0.1, 0.05]}
    assert [run["val_top1"] for run in found["runs"]] == [
        metrics(runs / name)[-1]["val_top1"] for name in ("a", "b")
    ]
    assert not found["warnings"]
    assert not captured.err


def test_other_images_are_warned_of(runs, pictures, tmp_path):
    train(tmp_path / "seed", epochs=1, seed=6)
    (warning,) = rk.compare([runs / "a", tmp_path / "seed"]).warnings
    assert warning.endswith("held out different validation images: accuracies are not comparable")
    rk.train(
        str(pictures), out=str(tmp_path / "p"), model="resnet8", image_size=28, epochs=1,
        threads=1, observer=Observer(),
    )  # fmt: skip
    (warning,) = rk.compare([runs / "a", tmp_path / "p"]).warnings
    assert warning.endswith("have different images: accuracies are not comparable")


def test_a_number_that_the_run_did_not_write_is_found(runs, tmp_path):
    shutil.copytree(runs / "a", tmp_path / "a")
    text = (tmp_path / "a" / "metrics.jsonl").read_text()
    (tmp_path / "a" / "metrics.jsonl").write_text(text.replace('"epoch": 2', '"epoch": 3'))
    with pytest.raises(rk.UserError, match=r"metrics\.jsonl was changed after the run wrote it"):
        rk.compare([runs / "b", tmp_path / "a"])


def test_many_runs_are_all_in_the_table(runs, tmp_path, capsys):
    paths = [tmp_path / f"a-run-with-quite-a-long-name-{number}" for number in range(9)]
    for path in paths:
        shutil.copytree(runs / "a", path)
    assert main(["compare", *map(str, paths)]) == 0
    said = capsys.readouterr().out
    assert all(str(path) in said for path in paths)
    assert "…" not in said


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_ending_of_a_plot_says_its_kind(runs, tmp_path, ending):
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    file = tmp_path / f"x.{ending}"
    assert main(["compare", str(runs / "a"), str(runs / "unfinished"), "--plot", str(file)]) == 0
    assert file.read_bytes().startswith(begins[ending])


def test_a_limit_changes_what_a_fold_holds_out(tmp_path):
    """Folds are made of the limited images; without folds a limit leaves validation alone."""
    for limit in (320, 400):
        rk.train(
            "fashion-mnist", out=str(tmp_path / f"folds-{limit}"), model="resnet8", folds=2,
            epochs=1, limit=limit, threads=1, workers=1, observer=Observer(),
        )  # fmt: skip
        train(tmp_path / f"plain-{limit}", epochs=1, limit=limit)
    (warning,) = rk.compare([tmp_path / f"folds-{n}" / "fold-1" for n in (320, 400)]).warnings
    assert "have held out different validation images" in warning
    assert not rk.compare([tmp_path / f"plain-{n}" for n in (320, 400)]).warnings


def test_mistakes(runs):
    for given, said in (
        ([runs / "a"], "two or more"),
        ([runs / "a", runs / "b" / ".." / "a"], "is given twice"),
        ([runs / "a", runs], "is no run folder"),
    ):
        with pytest.raises(rk.UserError, match=said):
            rk.compare(given)


def events(folder) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def test_every_epoch_is_in_tensorboard_once(tmp_path, monkeypatch):
    stop_and_resume(tmp_path / "run", 15, monkeypatch, tensorboard=True)
    shutil.rmtree(tmp_path / "run" / "classifier")
    rk.train(
        resume=True, out=str(tmp_path / "run"), threads=1, tensorboard=True, observer=Observer()
    )
    found, rows = events(tmp_path / "run" / "tensorboard"), metrics(tmp_path / "run")
    assert len(found) == len(SCALARS) - 1
    assert found["val/top1"] == [(row["step"], pytest.approx(row["val_top1"])) for row in rows]


def test_without_the_package_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["train", "fashion-mnist", "--tensorboard", "--out", str(tmp_path / "x")]) == 2
    assert "pip install 'resnetkit[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
