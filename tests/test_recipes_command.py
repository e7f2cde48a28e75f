"""`resnetkit recipes`: all of them, one explained, two compared."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from resnetkit.cli import main
from resnetkit.report import sheets
from resnetkit.training.recipe_files import about, named_recipes, parse_recipe, read_recipe
from resnetkit.training.settings import flat_fields


def said(capsys, *words: str) -> str:
    assert main(["recipes", *words]) == 0
    return capsys.readouterr().out


def test_all_of_them_with_what_each_is_for(capsys):
    lines = said(capsys).splitlines()[2:]
    assert [line.split()[0] for line in lines] == list(named_recipes())
    assert all(
        purpose in line for line, purpose in zip(lines, named_recipes().values(), strict=True)
    )
    assert json.loads(said(capsys, "--json")) == named_recipes()


@pytest.mark.parametrize("name", list(named_recipes()))
def test_what_is_printed_of_one_is_that_recipe(name, capsys, tmp_path):
    text = said(capsys, name)
    assert text.startswith(f"# {about(name)[0]}\n")
    assert parse_recipe(text, name) == read_recipe(name)
    settings = [line for line in text.splitlines() if ": " in line and not line.startswith("#")]
    assert len(settings) == len(flat_fields())
    assert all("  # " in line for line in settings)
    (tmp_path / "mine.yaml").write_text(text)
    assert read_recipe(str(tmp_path / "mine.yaml")) == read_recipe(name)


def test_where_two_differ(capsys, tmp_path):
    (tmp_path / "mine.yaml").write_text("# mine\noptimiser:\n  lr: 0.3\ndata: {mirror: true}\n")
    words = ["default", str(tmp_path / "mine.yaml")]
    assert json.loads(said(capsys, *words, "--json")) == {"lr": [0.1, 0.3], "mirror": [False, True]}
    rows = [line.split() for line in said(capsys, *words).splitlines()[2:]]
    assert rows == [["mirror", "no", "yes"], ["lr", "0.1", "0.3"]]
    assert said(capsys, "fast", "fast") == "fast and fast are the same\n"


def sheet(monkeypatch, *words: str) -> list[np.ndarray]:
    """The pictures that `--preview` draws: 8 a row."""
    drawn: list[np.ndarray] = []
    monkeypatch.setattr(sheets, "draw_sheet", lambda pictures, *_: drawn.extend(pictures))
    assert main(["recipes", *words]) == 0
    return drawn


def test_a_preview_shows_pictures_as_they_are_and_as_they_become(monkeypatch, tmp_path, fashion):
    (tmp_path / "flips.yaml").write_text("augmentation: {crop: none, erase: 0, flip: true}\n")
    found = sheet(monkeypatch, str(tmp_path / "flips.yaml"), "--preview", "fashion-mnist")
    assert len(found) == 64
    images = fashion.parts["train"].images
    for row in range(8):
        original, *others = found[8 * row : 8 * row + 8]
        assert (images == original[:, :, :1]).all((1, 2, 3)).any()
        flipped = original[:, ::-1]
        assert all(np.array_equal(o, original) or np.array_equal(o, flipped) for o in others)
    assert not all(np.array_equal(found[0], other) for other in found[1:8])


@pytest.mark.parametrize("name", ["a1", "default"])
def test_a_preview_of_files_of_several_sizes(name, pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    damaged = tmp_path / "data"
    shutil.copytree(pictures, damaged)
    first = sorted(damaged.rglob("*.png"))[0]
    first.write_bytes(first.read_bytes()[:60])
    assert main(["recipes", name, "--preview", str(damaged)]) == 0
    assert capsys.readouterr().err == f"wrote recipe-{name}.png\n"
    assert Image.open(f"recipe-{name}.png").width > 500


def test_a_path_is_a_file_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "fast").write_text("epochs: 7\n")
    (tmp_path / "fast.yaml").write_text("epochs: 8\n")
    assert read_recipe(str(tmp_path / "fast")).epochs == 7
    monkeypatch.chdir(tmp_path)
    assert read_recipe("./fast").epochs == 7
    assert read_recipe("fast").epochs == 20


def test_what_cannot_be_printed_is_one_line(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text('model: "\\ud800"\n')
    command = [sys.executable, "-m", "resnetkit", "recipes", str(file), "fast"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "resnetkit: this is no text, and cannot be printed: '\\ud800'\n"


def test_nobody_to_print_to():
    command = f"{sys.executable} -m resnetkit recipes fast >&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
