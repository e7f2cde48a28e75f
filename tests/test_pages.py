"""The tables of pages in docs/ are those of the results that lie beside the benchmarks."""

import importlib
from pathlib import Path

import pytest

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
