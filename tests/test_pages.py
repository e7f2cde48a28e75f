"""The tables of pages in docs/ are those of the results that lie beside the benchmarks."""

import importlib
import json
from pathlib import Path

import pytest

from resnetkit.lab.run import experiment_of

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "target"),
    [("speed", "speed-page"), ("depth", "depth-page"), ("any_depth", "depth-page")],
)
@pytest.mark.parametrize(("language", "ending"), [("en", ".md"), ("zh", ".zh.md")])
def test_the_page_is_drawn_from_the_results(name, target, language, ending, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    script = importlib.import_module(f"{name}_page")
    text = (ROOT / "docs" / f"{name}{ending}").read_text(encoding="utf-8")
    assert script.page(text, language) == text
    assert f"make {target}" in text


@pytest.mark.parametrize(("language", "ending"), [("en", ".md"), ("zh", ".zh.md")])
def test_the_page_of_the_lab_is_made_from_what_was_measured(
    language, ending, monkeypatch, tmp_path
):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    script = importlib.import_module("lab_page")
    file = ROOT / "docs" / f"lab{ending}"
    before = script.sections_of(file)
    assert script.page(tmp_path, language, before) == file.read_text(encoding="utf-8")


def test_the_full_version_goes_before_the_small_one(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    script = importlib.import_module("lab_page")
    experiment = experiment_of("identity")

    def write(folder, sizes, version):
        (tmp_path / folder).mkdir(exist_ok=True)
        found = {"version": version, "sizes": sizes}
        (tmp_path / folder / "data.json").write_text(json.dumps(found))
        return found

    monkeypatch.setattr(script, "DOCS", tmp_path)
    assert script.found_of(experiment, tmp_path) is None
    small = write("identity", experiment.small, experiment.version)
    assert script.found_of(experiment, tmp_path)["sizes"] == json.loads(json.dumps(small["sizes"]))
    write("identity-full", experiment.full, experiment.version)
    assert script.is_full(experiment, script.found_of(experiment, tmp_path))
    write("identity-full", experiment.full, experiment.version + 1)
    assert not script.is_full(experiment, script.found_of(experiment, tmp_path))
