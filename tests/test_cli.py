"""What a person types: results, JSON, and one line for every mistake."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import resnetkit as rk
from resnetkit import inference
from resnetkit.classifier import CHECKED
from resnetkit.cli import main
from resnetkit.flags import make_parser
from resnetkit.sums import SUMS, sums_text
from resnetkit.training.folds import FoldsFolder
from resnetkit.training.recipe import Recipe
from resnetkit.training.recipe_files import parse_recipe
from resnetkit.training.run_folder import DataRecord
from resnetkit.training.settings import override
from tests.conftest import TINY
from tests.mistakes import MISTAKES


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def test_help_is_quick_and_does_not_import_torch():
    code = (
        "import sys; from resnetkit.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    fastest = 9.0
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        fastest = min(fastest, time.perf_counter() - began)
    assert fastest < 0.5
    flags = (
        "--model --recipe --epochs --batch-size --lr --image-size --seed --weights --precision "
        "--workers --threads --device --data-dir --limit --strict --checkpoint-seconds --resume "
        "--out --json"
    )
    for flag in flags.split():
        assert flag in done.stdout
    sample = done.stdout[done.stdout.index("  model: resnet34") :]
    assert parse_recipe(sample, "--help").optimiser.lr == 0.05


def test_without_a_command_there_is_help(capsys):
    assert run() == 0
    assert "predict" in capsys.readouterr().out


def test_train_json(tmp_path, capsys):
    flags = [*TINY, "--epochs", 1, "--out", tmp_path / "x", "--json"]
    assert run("train", "fashion-mnist", *flags) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert list(result) == [
        "run",
        "steps",
        "epochs",
        "seconds",
        "val_top1",
        "resumed_at",
        "waiting",
    ]
    assert (result["run"], result["steps"], result["resumed_at"]) == (str(tmp_path / "x"), 10, 0)
    assert f"resnetkit evaluate {tmp_path / 'x'} fashion-mnist" in captured.err


def test_default_run_folders_are_numbered(tmp_path, monkeypatch, pictures):
    monkeypatch.chdir(tmp_path)
    flags = ["--epochs", 1, "--batch-size", 16, "--threads", 1, "--image-size", 28, "--limit", 12]
    for _ in range(2):
        assert run("train", pictures, *flags) == 0
    names = sorted(p.name for p in Path("runs").iterdir())
    assert names == [f"{pictures.name}-resnet20-{i}" for i in (1, 2)]


def test_finished_and_resumed_again(finished_run, capsys):
    assert run("train", "--resume", "--out", finished_run) == 0
    assert "is finished already: 2 epochs" in capsys.readouterr().err


def test_evaluate(finished_run, capsys, tmp_path):
    flags = ["--threads", 1, "--plot", tmp_path / "confusion.png"]
    assert run("evaluate", finished_run, "fashion-mnist", *flags) == 0
    said = capsys.readouterr().out
    assert "10,000 images, part test" in said
    assert "95% interval" in said
    assert "Ankle boot" in said
    assert Image.open(tmp_path / "confusion.png").size[0] > 500


def test_evaluate_json_counts_every_image_once(finished_run, capsys):
    assert run("evaluate", finished_run, "fashion-mnist", "--json", "--threads", 1) == 0
    result = json.loads(capsys.readouterr().out)
    assert {"part", "images", "top1", "top5", "loss", "ece"} <= set(result)
    assert result["images"] == np.sum(result["confusion"]) == 10_000
    assert result["interval"][0] < result["top1"] < result["interval"][1]
    assert result["top1"] > 0.2


def test_the_held_out_part_is_found_again(finished_run, capsys):
    assert run("evaluate", finished_run, "fashion-mnist", "--part", "val", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    rows = (finished_run / "metrics.jsonl").read_text().splitlines()
    assert result["images"] == 600
    assert result["top1"] == pytest.approx(json.loads(rows[-1])["val_top1"])
    assert result["loss"] == pytest.approx(json.loads(rows[-1])["val_loss"], rel=1e-4)


def test_a_flat_folder_it_was_trained_on_is_warned_of(pictures, tmp_path, capsys):
    out = tmp_path / "x"
    flags = ["--model", "resnet8", "--image-size", 28, "--epochs", 1, "--threads", 1]
    assert run("train", pictures, *flags, "--out", out) == 0
    capsys.readouterr()
    assert run("evaluate", out, pictures, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["images"] == 36
    assert "warning: it holds images that the network was trained on" in captured.err
    assert run("evaluate", out / "classifier", pictures, "--part", "val", "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"] == 3
    shutil.copytree(pictures / "Bag", tmp_path / "other" / "Bag")
    assert run("evaluate", out, tmp_path / "other", "--json") == 0
    captured = capsys.readouterr()
    assert "no images of 2 classes: Sandal, Trouser" in captured.err
    assert json.loads(captured.out)["images"] == 12


def test_predict(finished_run, pictures, tmp_path, capsys):
    good = sorted((pictures / "Bag").glob("*.png"))
    (tmp_path / "bad.png").write_bytes(b"no")
    paths = [good[0], tmp_path / "bad.png", pictures / "Sandal", f"{pictures}/Trouser/*.jpg"]
    assert run("predict", finished_run, *paths, "--json", "--threads", 1) == 1
    result = json.loads(capsys.readouterr().out)
    assert len(result) == 2 + 12 + 4
    assert result[0]["path"] == str(good[0])
    assert len(result[0]["top"]) == 3
    assert set(result[0]["top"][0]) == {"class", "probability"}
    assert result[1] == {
        "path": str(tmp_path / "bad.png"),
        "error": "not an image that can be read",
    }
    assert run("predict", finished_run, good[0]) == 0
    assert f"{good[0]}: " in capsys.readouterr().out


def test_predict_when_no_picture_can_be_read(finished_run, classifier, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no")
    assert run("predict", finished_run, bad, "--json") == 1
    reason = "not an image that can be read"
    assert json.loads(capsys.readouterr().out) == [{"path": str(bad), "error": reason}]
    assert run("predict", finished_run, bad, "--embeddings", tmp_path / "x.npz") == 1
    assert classifier.predict([str(bad)])[0].error == reason


def test_predict_agrees_with_the_network(classifier, pictures):
    import torch

    path = str(next((pictures / "Bag").glob("*.png")))
    pixels = torch.from_numpy(np.asarray(Image.open(path)).copy())[None, :, :, None]
    expected = classifier(pixels).softmax(1)[0]
    top = classifier.predict([path], top=10, precision="fp32")[0].top
    assert [name for name, _ in top] == [
        classifier.classes[i] for i in expected.argsort(descending=True)
    ]
    assert [p for _, p in top] == pytest.approx(sorted(expected.tolist(), reverse=True), abs=1e-6)


def test_embeddings(finished_run, classifier, pictures, tmp_path, capsys):
    out = tmp_path / "out.npz"
    (tmp_path / "bad.png").write_bytes(b"no")
    paths = [tmp_path / "bad.png", pictures]
    assert run("predict", finished_run, *paths, "--embeddings", out, "--json") == 1
    told = [entry for entry in json.loads(capsys.readouterr().out) if "top" in entry]
    saved = np.load(out)
    assert saved["features"].shape == (36, classifier.spec.features)
    assert saved["paths"].tolist() == [entry["path"] for entry in told]
    logits = classifier.logits(saved["features"])
    assert [classifier.classes[i] for i in logits.argmax(1)] == [e["top"][0]["class"] for e in told]


def test_models(capsys):
    assert run("models", "resnet*", "--json") == 0
    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert found["resnet18"]["parameters"] == 11_689_512
    assert found["resnet1202"]["layers"] == 1202
    assert run("models", "resnet18", "--image-size", 96, "--channels", 1, "--classes", 10) == 0
    assert "128 x 12 x 12" in capsys.readouterr().out
    assert run("models") == 0
    assert "preplain1001" in capsys.readouterr().out


def test_csv_from_beginning_to_end(pictures, tmp_path, capsys):
    with (tmp_path / "all.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "part"])
        for i, path in enumerate(sorted(pictures.rglob("*.*g"))):
            part = ("train", "train", "val", "test")[i % 4]
            table.writerow([os.path.relpath(path, tmp_path), path.parent.name, part])
        table.writerow(["missing.png", "Bag", "train"])
    flags = ["--model", "resnet8", "--image-size", 28, "--epochs", 1, "--threads", 1]
    assert run("train", tmp_path / "all.csv", *flags, "--out", tmp_path / "x") == 0
    assert "left out of train: " in capsys.readouterr().err
    assert run("evaluate", tmp_path / "x", tmp_path / "all.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"] == 9


@pytest.fixture(scope="module")
def places(tmp_path_factory, pictures, finished_run) -> dict[str, Path]:
    """The folder of things that are wrong."""
    tmp = tmp_path_factory.mktemp("wrong")
    (tmp / "empty").mkdir()
    (tmp / "no-images" / "a").mkdir(parents=True)
    (tmp / "no-images" / "a" / "notes.txt").write_text("no image")
    for name in ("one-class", "dogs"):
        folder = tmp / name / ("dog" if name == "dogs" else "Bag")
        shutil.copytree(pictures / "Bag", folder)
    for name in ("a", "b"):
        (tmp / "bad" / name).mkdir(parents=True)
        (tmp / "bad" / name / "x.png").write_bytes(b"no")
        (tmp / "one-each" / name).mkdir(parents=True)
        shutil.copy(min((pictures / "Bag").iterdir()), tmp / "one-each" / name)
    for picture in (pictures / "Bag").iterdir():
        shutil.copy(picture, tmp / "bad" / "a")
    for name, text in {
        "columns.csv": "path,name\na.png,b\n",
        "absent.csv": "path,label\na.png,b\nc.png,d\n",
        "keys.yaml": "learning_rate: 0.1\n",
        "tags.yaml": "epochs: !!python/object/apply:os.getpid []\n",
    }.items():
        (tmp / name).write_text(text)
    (tmp / "several.csv").write_text(f"path,label\n{picture},Bag;Coat\n{picture},\n")
    (tmp / "several-val.csv").write_text(f"path,label,part\n{picture},a;b,\n{picture},eel,val\n")
    (tmp / "several-empty.csv").write_text(f"path,label\n{picture},;\n{picture},\n")
    (tmp / "one-empty.csv").write_text(f"path,label\n{picture},a\n{picture},\n")
    shutil.copytree(pictures / "Bag", tmp / "few" / "many")
    (tmp / "few" / "one").mkdir()
    shutil.copy(picture, tmp / "few" / "one")
    recipe = override(Recipe(), {"data": "fashion-mnist", "folds": 2})
    for name in ("folds", "folds-damaged"):
        FoldsFolder.start(tmp / name, recipe, DataRecord(("a", "b"), {"train": "0"}, {}, ()))
    (tmp / "folds-damaged" / "folds.json").write_text("[]")
    shutil.copytree(finished_run, tmp / "unfinished")
    shutil.rmtree(tmp / "unfinished" / "classifier")
    for name in ("damaged", "other"):
        shutil.copytree(finished_run / "classifier", tmp / name)
    (tmp / "damaged" / "config.json").write_text("{")
    config = json.loads((tmp / "other" / "config.json").read_text())
    config["spec"]["depths"] = [2, 1, 1]
    (tmp / "other" / "config.json").write_text(json.dumps(config))
    (tmp / "other" / SUMS).write_text(sums_text(tmp / "other", CHECKED))
    shutil.copytree(tmp / "unfinished", tmp / "edited")
    recipe = (tmp / "edited" / "recipe.yaml").read_text()
    (tmp / "edited" / "recipe.yaml").write_text(recipe.replace("seed: 0", "seed: 1"))
    (tmp / "flat.yaml").write_text("model: resnet8\nlr: 0.05\n")
    (tmp / "nested.yaml").write_text("optimiser: {epochs: 5}\n")
    (tmp / "broken.yaml").write_text("model: resnet8\nepochs: [1, 2\nseed: 3\n")
    (tmp / "type.yaml").write_text("epochs: many\n")
    (tmp / "pickle.pt").write_bytes(b"\x80\x04cos\nsystem\n.")
    (tmp / "lie.safetensors").write_bytes(b"\xff" * 64)
    torch.save({"epoch": 3, "best": 0.5}, tmp / "numbers.pt")
    net = rk.create("resnet18", classes=4)
    safetensors.torch.save_file(rk.state_dict(net, "timm"), tmp / "timm18.safetensors")
    whole = (tmp / "timm18.safetensors").read_bytes()
    (tmp / "short.safetensors").write_bytes(whole[: len(whole) // 2])
    torch.save(rk.state_dict(net, "torchvision"), tmp / "tv18.pth")
    (tmp / "short.pth").write_bytes((tmp / "tv18.pth").read_bytes()[:5000])
    safetensors.torch.save_file({"a.weight": torch.ones(2)}, tmp / "strange.safetensors")
    return {"tmp": tmp, "run": finished_run, "pictures": pictures}


def everything_in(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(p), p.stat().st_size) for p in folder.rglob("*"))


@pytest.mark.parametrize(("command", "said"), MISTAKES, ids=[command for command, _ in MISTAKES])
def test_a_mistake_is_one_line_exit_2_and_leaves_nothing(
    command, said, places, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = [word.format(**places) for word in command.split()]
    before = {name: everything_in(path) for name, path in places.items()}
    assert main(arguments) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert lines[-1].startswith("resnetkit: ")
    assert said.format(**places) in lines[-1]
    assert all(line.startswith("left out of") for line in lines[:-1])
    assert captured.out == ""
    assert {name: everything_in(path) for name, path in places.items()} == before
    assert not list(tmp_path.iterdir())


def test_a_read_only_folder(tmp_path):
    """As a user who may write nothing there: root would be let through."""
    tmp_path.chmod(0o555)
    for parent in tmp_path.parents:
        if parent.name.startswith("pytest-") or parent.parent.name.startswith("pytest-"):
            parent.chmod(0o755)
    code = (
        "import os; from pathlib import Path; from resnetkit.files import check_can_create\n"
        "os.geteuid() or os.setuid(65534)\n"
        f"check_can_create(Path({str(tmp_path)!r}) / 'x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "UserError: cannot write" in done.stderr
    assert "Permission denied" in done.stderr


def test_words_for_people(finished_run, classifier, pictures, tmp_path, capsys):
    """What was written, counted and left out; numbers that say something only."""
    data = tmp_path / "photos with spaces"
    shutil.copytree(pictures, data)
    (data / "Bag" / "bad.png").write_bytes(b"no")
    flags = ["--model", "resnet8", "--image-size", 28, "--threads", 1, "--limit", 30]
    out = tmp_path / "x"
    assert run("train", data, *flags, "--epochs", 1, "--out", out) == 0
    said = capsys.readouterr().err
    assert "1 epoch, 1 step of 128 images" in said
    assert "only 1 step in the whole run: lower --batch-size or raise --epochs" in said
    assert "only 3 validation images" in said
    assert f"resnetkit evaluate {out} '{data}' --plot" in said
    shutil.rmtree(out / "classifier")
    assert run("train", "--resume", "--out", out, "--threads", 1) == 0
    assert f"resnetkit evaluate {out} '{data}' --plot" in capsys.readouterr().err
    assert run("evaluate", out, data) == 0
    captured = capsys.readouterr()
    assert "36 images, all that there are: no part was chosen" in captured.out
    assert "top-5" not in captured.out
    assert "\n\n\n" not in captured.out
    assert "1 of 37 images left out" in captured.err
    assert run("evaluate", out, data, "--part", "test") == 2
    assert "--part val has the images held out in training" in capsys.readouterr().err
    features = tmp_path / "feats"
    assert run("predict", out, data / "Sandal", "--embeddings", features, "--batch-size", 5) == 0
    assert f"wrote 12 x 64 features to {features}.npz" in capsys.readouterr().err
    assert np.load(f"{features}.npz")["features"].shape == (12, 64)


def test_one_picture_or_several_and_the_same_default_everywhere(finished_run, classifier, pictures):
    path = next((pictures / "Bag").glob("*.png"))
    told = classifier.predict([str(path)])
    assert told == classifier.predict(path) == classifier.predict(str(path))
    assert told == rk.predict(classifier, path) == rk.predict(classifier, [path])
    parser = make_parser(defaultdict(lambda: lambda _: 0))
    options = parser.parse_args(["predict", str(finished_run), str(path)])
    assert (options.top, options.batch_size) == (inference.TOP, inference.BATCH_SIZE)
    assert len(told[0].top) == options.top
    assert rk.Observer.__name__ == "Observer"
