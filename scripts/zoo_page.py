"""Draws docs/zoo.md, docs/zoo.zh.md and their figures from the specs: `make zoo-page`.

Words, papers and what they gained are in zoo_page.yaml; what a variant changes and costs is told
from the specs of its `example` and its `base`.
"""

from dataclasses import fields
from pathlib import Path

import yaml

from resnetkit.columns import giga
from resnetkit.nets.spec import ResNetSpec
from resnetkit.nets.summary import summarise
from resnetkit.nets.zoo import ZOO, usual
from resnetkit.published import SOURCES, best_published, hub_names, published
from resnetkit.report.style import PALETTE, new_figure, plain_axes, save_figure

DOCS = Path(__file__).parents[1] / "docs"
TEXT = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
LANGUAGES = {"en": "zoo", "zh": "zoo.zh"}
"""A language and the name of its page."""

PAPER_RESNET = ResNetSpec(block="bottleneck", stride_on="1x1")
"""What a variant without a base is compared with."""


def changes(variant: dict, language: str) -> str:
    """The fields in which the example differs from its base, but for depth."""
    base, example = ZOO.get(variant["base"], PAPER_RESNET), ZOO[variant["example"]]
    found = [
        f"`{f.name}`: {_value(getattr(base, f.name))} -> {_value(getattr(example, f.name))}"
        for f in fields(ResNetSpec)
        if getattr(base, f.name) != getattr(example, f.name) and f.name not in ("depths", "block")
    ]
    return "<br>".join(found) or TEXT["words"]["nothing"][language]


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def cost(variant: dict) -> str:
    """Parameters and multiply-adds of the example, as parts of its base's."""
    if variant["base"] not in ZOO:
        return ""
    size = usual(variant["base"]).size
    example, base = (summarise(ZOO[variant[which]], size, size) for which in ("example", "base"))
    return (
        f"{example.parameters / base.parameters:.2f}, "
        f"{example.multiply_adds / base.multiply_adds:.2f}"
    )


def variant_row(variant: dict, language: str) -> tuple[str, ...]:
    """What a part of a name stands for."""
    return (
        variant["part"], variant["meaning"][language], f"`{variant['example']}`",
        changes(variant, language), cost(variant), variant["paper"], variant["gained"][language],
    )  # fmt: skip


def network_row(name: str) -> tuple[str, ...]:
    """A network, what it costs, and the best that was published of it."""
    size, best = usual(name).size, best_published(name)
    found = summarise(ZOO[name], size, size)
    said = f"{best.top1:.2f}% ({best.source} {best.tag}, {best.image_size} px)" if best else ""
    adds = giga(found.multiply_adds)
    return f"`{name}`", f"{found.layers}", f"{found.parameters:,}", adds, f"{size} px", said


def page(language: str) -> str:
    """The page in one language."""
    words = {key: said[language] for key, said in TEXT["words"].items()}
    variants = [variant_row(variant, language) for variant in TEXT["variants"]]
    parts = [
        f"# {words['title']}",
        words["intro"].format(count=len(ZOO), hub=len(hub_names())),
        f"![{words['title']}]({LANGUAGES[language]}.svg)",
        words["caption"],
        f"## {words['variants']}",
        _table(words["variants_heading"], "---|" * 7, variants),
        f"## {words['networks']}",
        _table(words["networks_heading"], "---|" + "---:|" * 4 + "---|", map(network_row, ZOO)),
        f"## {words['sources']}",
        "\n".join(f"- {source}: {where}" for source, where in SOURCES.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _table(heading: str, rule: str, rows) -> str:
    return "\n".join([f"| {heading} |", f"|{rule}", *(f"| {' | '.join(row)} |" for row in rows)])


def family_points(family: dict) -> list[tuple[float, float, str]]:
    """(billions of multiply-adds, top-1, network) at the smallest images that were judged."""
    points = []
    for model in family["networks"]:
        wanted = (model, family["source"], family["tag"])
        rows = [p for p in published() if (p.model, p.source, p.tag) == wanted and p.top1]
        row = min(rows, key=lambda p: p.image_size)
        billions = summarise(ZOO[model], row.image_size, row.image_size).multiply_adds / 1e9
        points.append((billions, row.top1, model))
    return points


def draw(language: str, path: Path) -> None:
    """Accuracy against multiply-adds, a line a family."""
    figure = new_figure(8, 5)
    axes = figure.subplots()
    for colour, family in zip(PALETTE, TEXT["families"], strict=True):
        points = family_points(family)
        giga, top1, _ = zip(*points, strict=True)
        axes.plot(giga, top1, "o-", color=colour, markersize=4, label=family["name"][language])
        above = family["tag"] == "IMAGENET1K_V2" and "wide" not in family["networks"][0]
        for x, y, model in points:
            axes.annotate(
                model.replace("wide_", "").removeprefix("resnet").removeprefix("resnext"),
                (x, y), (0, 5) if above else (3, -9), textcoords="offset points", fontsize=7,
                color=colour, ha="center" if above else "left",
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks((2, 5, 10, 20, 50, 100), ("2", "5", "10", "20", "50", "100"))
    axes.margins(x=0.08, y=0.08)
    axes.set_xlabel(TEXT["words"]["x"][language])
    axes.set_ylabel(TEXT["words"]["y"][language])
    plain_axes(axes)
    axes.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def main() -> None:
    """Write both pages and both figures."""
    for language, name in LANGUAGES.items():
        (DOCS / f"{name}.md").write_text(page(language), encoding="utf-8")
        draw(language, DOCS / f"{name}.svg")


if __name__ == "__main__":
    main()
