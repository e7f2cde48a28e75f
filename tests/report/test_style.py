"""Fonts: one that was installed since is found, and none is said. Files of figures."""

import json
from types import SimpleNamespace

import pytest

import resnetkit as rk
from resnetkit.report import style
from resnetkit.training.observer import Observer


@pytest.fixture
def fonts(monkeypatch):
    """No font but DejaVu Sans is known; what is installed is what is put into this list."""
    installed = []
    only = [font for font in style.fontManager.ttflist if font.name == "DejaVu Sans"]
    manager = SimpleNamespace(ttflist=only)
    manager.addfont = lambda file: only.append(SimpleNamespace(name=file, fname=file))
    monkeypatch.setattr(style, "fontManager", manager)
    monkeypatch.setattr(style, "findSystemFonts", lambda: installed)
    style.chinese_fonts.cache_clear()
    yield installed
    style.chinese_fonts.cache_clear()


def test_a_font_that_was_installed_since_is_found(fonts):
    fonts += ["some font", "SimHei"]
    assert style.chinese_fonts() == ("SimHei",)


def test_without_one_the_words_of_figures_are_english_and_it_is_said(fonts, tmp_path):
    said = []

    class Told(Observer):
        def say(self, line):
            said.append(line)

    rk.run_experiment("function-classes", out=tmp_path, seeds=2, observer=Told())
    assert style.NO_CHINESE in said
    english, chinese = (
        (tmp_path / "function-classes" / f"figure{ending}.png").read_bytes()
        for ending in ("", ".zh")
    )
    assert english == chinese
    assert json.loads((tmp_path / "function-classes" / "data.json").read_text())["data"]


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, monkeypatch, kind):
    files = [tmp_path / f"{name}.{kind}" for name in "ab"]
    for file, day in zip(files, ("1", "100000"), strict=True):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", day)
        figure = style.new_figure(2, 2)
        axes = figure.subplots()
        axes.plot([1, 2], label="a")
        axes.scatter([0, 1], [1, 2])
        axes.legend()
        style.save_figure(figure, file)
    assert files[0].read_bytes() == files[1].read_bytes()
