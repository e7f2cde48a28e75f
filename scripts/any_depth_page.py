"""The tables and the figure of docs/any_depth.md and docs/any_depth.zh.md, from benchmarks/results.

    python scripts/any_depth_page.py

What is between the marks of a page is replaced; what was not measured yet is left out.
"""

import statistics
from collections.abc import Iterable

from pages import DOCS, fill, machine_of, machines_of, read, table

from resnetkit.exits import loss_text
from resnetkit.report.speed import Point, Slide, draw_speed

LANGUAGES = {"en": "any_depth", "zh": "any_depth.zh"}
"""A language and the name of its page."""

ONE, PLAIN, USUAL = "one file", "plain56, cut", "the smallest and another, by 1 / layers"
WORDS = {
    "en": {
        "none": "Not measured yet.",
        "depths": "| layers | one file | alone | difference | resnet56, cut | plain56, cut |",
        "mean": "mean",
        "time": "Training the one file takes {:.2f} of the time of the five together.",
        "exits": "| | test accuracy | images/s | against the whole | answered early |",
        "depth": "{} layers",
        "exit": "early exit at {}, {} layers first",
        "ways": "| way | {} |",
        "layers": "{} layers",
        "way": {
            "the smallest and another, from labels": "the smallest and another, drawn evenly",
            "the smallest and another, taught": "the same, taught",
        },
        "alone": "networks of these depths alone",
        "latency": "| asked for | layers chosen | p50 | p95 |",
        "kept": "{kept} of {of} within the time that was asked for.",
        "names": ("one file, {} layers", "alone, {} layers", "early exit {}"),
    },
    "zh": {
        "none": "尚未测量。",
        "depths": "| 层数 | 一个文件 | 单独训练 | 差 | resnet56 截短 | plain56 截短 |",
        "mean": "平均",
        "time": "训练这一个文件所用的时间是五个网络之和的 {:.2f}。",
        "exits": "| | 测试准确率 | 每秒图片数 | 相对整个网络 | 提前回答 |",
        "depth": "{} 层",
        "exit": "提前退出 {}，先用 {} 层",
        "ways": "| 方式 | {} |",
        "layers": "{} 层",
        "way": {
            "the smallest and another, by 1 / layers": "每步最小的和另一个，按与层数成反比抽取",
            "the same, inside weighs half": "同上，内部网络的损失只计一半",
            "the same, inside weighs twice": "同上，内部网络的损失加倍",
            "the smallest and another, from labels": "每步最小的和另一个，均匀抽取",
            "the smallest and another, taught": "同上，由整个网络教",
            "one inside, from labels": "每步一个内部网络，只学标签",
            "one inside, taught": "每步一个内部网络，由整个网络教",
            "all of them, from labels": "每步全部，只学标签",
            "the whole alone, then cut": "只训练整个网络，然后截短",
            "the same with stochastic depth": "同上，加随机深度",
        },
        "alone": "各深度单独训练的网络",
        "latency": "| 要求的时间 | 选中的层数 | p50 | p95 |",
        "kept": "{of} 次中 {kept} 次在要求的时间之内。",
        "names": ("一个文件，{} 层", "单独训练，{} 层", "提前退出 {}"),
    },
}


def mean(values: Iterable[float]) -> float:
    """Of accuracies over the seeds."""
    return statistics.mean(values)


def compared() -> dict:
    """The finished comparison; empty where arms are missing."""
    found = read("any_depth")
    return found if "minus_alone" in found else {}


def depths(say: dict) -> list[str]:
    """Every depth of one file, alone, and cut out of networks that were trained as a whole."""
    found = compared()
    if not found:
        return [say["none"]]
    runs, minus = found["runs"], found["minus_alone"]
    rows = []
    for n, difference in minus.items():
        cells = [mean(run["depths"][n] for run in runs[ONE]),
                 mean(run["test_top1"] for run in runs[f"resnet{n}"])]  # fmt: skip
        cuts = [mean(run["depths"][n] for run in runs[arm]) for arm in ("resnet56", PLAIN)]
        rows.append((n, *(f"{cell:.2%}" for cell in cells), f"{100 * difference:+.2f}",
                     *(f"{cell:.2%}" for cell in cuts)))  # fmt: skip
    rows.append((say["mean"], "", "", f"{100 * found['mean_minus_alone']:+.2f}", "", ""))
    one = read("depth_steps").get("one")
    time = ["", say["time"].format(one["ratio"])] if one else []
    return [machines_of(found), "", *table(say["depths"], rows), *time]


def exits(say: dict) -> list[str]:
    """Every depth and every early exit, as they were judged in turn."""
    found = compared()
    if not found:
        return [say["none"]]
    rows = []
    for (layers, loss), seeds in side_by_side(found).items():
        first = "/".join(str(n) for n in sorted({row["layers"] for row in seeds}))
        exit_name = say["exit"].format(loss_text(loss or 0), first)
        name = say["depth"].format(layers) if loss is None else exit_name
        top1, rate = mean(r["top1"] for r in seeds), mean(r["images_per_second"] for r in seeds)
        early = "" if loss is None else f"{mean(r['exited'] for r in seeds):.0%}"
        times = mean(r["times_the_whole"] for r in seeds)
        rows.append((name, f"{top1:.2%}", f"{rate:,.0f}", f"{times:.2f}x", early))
    return table(say["exits"], rows)


def side_by_side(found: dict) -> dict[tuple[int, float | None], list[dict]]:
    """(layers, loss allowed) -> its rows, seed by seed, with images/s over those of the whole.

    Early exits have 0 for layers: which answer first may differ from seed to seed.
    """
    rows: dict[tuple[int, float | None], list[dict]] = {}
    for judged in (run["side_by_side"] for run in found["runs"][ONE]):
        whole = max(judged, key=lambda row: (row["early_exit"] is None, row["layers"]))
        for row in judged:
            times = row["images_per_second"] / whole["images_per_second"]
            loss = row["early_exit"]
            seeds = rows.setdefault((0 if loss is not None else row["layers"], loss), [])
            seeds.append(row | {"times_the_whole": times})
    return rows


def ways(say: dict) -> list[str]:
    """What each way of training gives at every depth, on the validation part."""
    found = read("any_depth_ways")
    if not found:
        return [say["none"]]
    runs = {way: run for way, (run,) in found["runs"].items()}
    if USUAL not in runs:
        return [say["none"]]
    layers, rows = list(runs[USUAL]["depths"]), []
    order = [*WORDS["zh"]["way"], *(f"resnet{n} alone" for n in layers)]
    for way in sorted(runs, key=order.index):
        run, name = runs[way], say["way"].get(way, way)
        if run["depths"]:
            rows.append((name, *(f"{run['depths'][n]:.2%}" for n in layers)))
    alone = [runs.get(f"resnet{n} alone") for n in layers]
    if all(alone):
        rows.append((say["alone"], *(f"{run['val_top1']:.2%}" for run in alone if run)))
    head = say["ways"].format(" | ".join(say["layers"].format(n) for n in layers))
    return [machines_of(found), "", *table(head, rows)]


def latency(say: dict) -> list[str]:
    """What was asked for and what it took."""
    found = read("latency_kept")
    if not found:
        return [say["none"]]
    rows = []
    for row in found["rows"]:
        asked, p50, p95 = (f"{row[key]:.2f} ms" for key in ("asked", "p50", "p95"))
        rows.append((asked, f"{row['layers']}", p50, p95))
    return [machine_of(found), "", *table(say["latency"], rows), "", say["kept"].format(**found)]


def page(text: str, language: str) -> str:
    """The page with its tables made anew."""
    parts = (("depths", depths), ("exits", exits), ("ways", ways), ("latency", latency))
    for name, lines in parts:
        text = fill(text, name, lines(WORDS[language]))
    return text


def draw(found: dict, language: str) -> None:
    """All of it as a chart: the depths of one file, networks alone, and early exit."""
    one, alone, early = WORDS[language]["names"]
    points, machine = [], found["machine"]
    for (n, loss), seeds in side_by_side(found).items():
        rate = mean(row["images_per_second"] for row in seeds)
        top1 = 100 * mean(row["top1"] for row in seeds)
        cost = round(mean(row["parameters"] for row in seeds))
        if loss is not None:
            said = loss_text(loss)
            points.append(Point("exit", said, early.format(said), rate, top1, 0))
            continue
        points.append(Point("one", f"{n}", one.format(n), rate, top1, cost))
        top1 = 100 * mean(run["test_top1"] for run in found["runs"][f"resnet{n}"])
        points.append(Point("alone", f"{n}", alone.format(n), rate, top1, cost))
    slide = Slide(
        machine["hardware"], machine["device"], found["precision"], 1, "judged", 256, (), language
    )
    draw_speed(points, slide, DOCS / f"{LANGUAGES[language]}.svg")


def main() -> None:
    """Both pages and their figures."""
    for language, name in LANGUAGES.items():
        file = DOCS / f"{name}.md"
        file.write_text(page(file.read_text(encoding="utf-8"), language), encoding="utf-8")
        if compared():
            draw(compared(), language)


if __name__ == "__main__":
    main()
