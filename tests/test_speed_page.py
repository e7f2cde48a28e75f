"""The tables of docs/speed.md are those of the results that lie beside the benchmarks."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("language", "name"), [("en", "speed.md"), ("zh", "speed.zh.md")])
def test_the_page_is_drawn_from_the_results(language, name):
    spec = importlib.util.spec_from_file_location("speed_page", ROOT / "scripts/speed_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert module.page(text, language) == text
    assert "make speed" in text
