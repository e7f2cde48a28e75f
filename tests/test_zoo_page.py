"""The page of the zoo is what the specs say, in both languages."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def zoo_page():
    file = ROOT / "scripts" / "zoo_page.py"
    spec = importlib.util.spec_from_file_location("zoo_page", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("language", "file"), [("en", "zoo.md"), ("zh", "zoo.zh.md")])
def test_the_page_is_as_make_zoo_page_draws_it(zoo_page, language, file):
    assert (ROOT / "docs" / file).read_text(encoding="utf-8") == zoo_page.page(language)


def test_the_figure_is_drawn(zoo_page, tmp_path):
    zoo_page.draw("zh", tmp_path / "zoo.svg")
    assert (tmp_path / "zoo.svg").stat().st_size > 10_000


def test_every_field_of_a_spec_that_makes_a_variant_is_on_the_page(zoo_page):
    said = "".join(zoo_page.changes(v, "en") for v in zoo_page.TEXT["variants"])
    for name in ("stem", "shortcut_pool", "stem_width", "inner", "groups", "attention",
                 "antialias", "norm", "order", "stem_pool", "se_reduction", "dropout"):  # fmt: skip
        assert f"`{name}`" in said
