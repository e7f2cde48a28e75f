"""Large batches: who diverges, where, and what repairs it."""

import statistics
from typing import Any

from resnetkit.lab.arms import LOST, Ends, draw_ends, last_errors
from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.lab.lenet import LeNetSpec, train_lenet
from resnetkit.lab.pictures import some_pictures
from resnetkit.lab.told import markdown_table
from resnetkit.report.style import legend_of_all, new_figure
from resnetkit.training.recipe_files import read_recipe
from resnetkit.training.settings import override

BASE, RATE = 64, 0.05
"""The batch that the rates are scaled from, and its learning rate."""

JUDGED = 2000
"""Pictures that LeNet is judged by, from the training part."""

RULES = {
    "same": Words("the same rate", "学习率不变"),
    "linear, cold": Words("linear, no warm-up", "线性，无预热"),
    "linear": Words("linear, warm-up", "线性，有预热"),
    "sqrt": Words("square root, warm-up", "平方根，有预热"),
    "lars": Words("LARS, warm-up", "LARS，有预热"),
}


def rule_settings(rule: str, batch: int) -> dict[str, Any]:
    """What a rule makes of a batch size."""
    factor = batch / BASE
    rate = {"same": RATE, "sqrt": RATE * factor**0.5}.get(rule, RATE * factor)
    if rule == "lars":
        return {"optimiser": "lars", "lr": 5 * factor**0.5, "nesterov": False}
    warm = {"warmup_steps": 0} if rule == "linear, cold" else {}
    return {"lr": rate, **warm}


def measure(
    bench: Bench, *, seeds: int, batches: list[int], images: int, epochs: int
) -> dict[str, Any]:
    """The last validation error by network, rule, batch size; what was said where it diverged."""
    common = {"model": "resnet8", "epochs": epochs, "limit": images, "precision": "fp32"}
    settings = {
        f"{rule}/{batch}": common | rule_settings(rule, batch) | {"batch_size": batch}
        for rule in RULES
        for batch in batches
    }
    bench.total = seeds * len(settings)  # LeNet's; the others are counted where they are trained
    found = last_errors(bench, settings, seeds)
    table = {rule: [found["errors"][f"{rule}/{b}"] for b in batches] for rule in RULES}
    of_lenet, lenet_said = lenet_errors(bench, seeds, batches, images, epochs)
    said = found["said"] | lenet_said
    return {"batches": list(batches), "errors": table, "lenet": of_lenet, "said": said}


def lenet_errors(
    bench: Bench, seeds: int, batches: list[int], images: int, epochs: int
) -> tuple[dict[str, Ends], dict[str, str]]:
    """The same of LeNet, a network without norms, on the same number of pictures."""
    pictures, labels = some_pictures(images + JUDGED, bench.session.get("data_dir"))
    train, val = (pictures[:images], labels[:images]), (pictures[images:], labels[images:])
    said: dict[str, str] = {}

    def run(rule: str, batch: int, seed: int) -> dict[str, Any]:
        settings = rule_settings(rule, batch) | {"batch_size": batch, "epochs": epochs}
        recipe = override(read_recipe("default"), settings)
        try:
            return {"error": train_lenet(LeNetSpec(), recipe, seed, train, val)}
        except FloatingPointError as stopped:
            return {"error": LOST, "said": str(stopped)}

    def error(rule: str, batch: int, seed: int) -> float:
        key = f"LeNet {rule}/{batch}"
        found = bench.kept(f"{key}, {images} x {epochs}, {seed}", lambda: run(rule, batch, seed))
        if "said" in found:
            said[key] = found["said"]
        return found["error"]

    found = {r: [[error(r, b, seed) for seed in range(seeds)] for b in batches] for r in RULES}
    return found, said


def judge(data: dict[str, Any]) -> Verdict:
    """At the largest batch: an unscaled rate is worse than at the smallest, a repair is better."""
    same = data["errors"]["same"]
    harm = outcome_of([large - small for small, large in zip(same[0], same[-1], strict=True)])
    repairs = {rule: data["errors"][rule][-1] for rule in ("linear", "sqrt", "lars")}
    best = min(repairs, key=lambda rule: statistics.fmean(repairs[rule]))
    repaired = outcome_of([s - r for s, r in zip(same[-1], repairs[best], strict=True)])
    largest, lost = data["batches"][-1], [_named(arm) for arm in data["said"]]
    lenet = {r: statistics.fmean(data["lenet"][r][-1]) for r in RULES}
    lenet_best = min(lenet, key=lambda rule: lenet[rule])
    before, after, mended = (
        f"{statistics.fmean(rows):.1%}" for rows in (same[0], same[-1], repairs[best])
    )
    return Verdict(
        all_of(harm, repaired),
        Words(
            f"Validation error of the unscaled rate: {before} in batches of {data['batches'][0]}, {after} "
            f"of {largest}; there the best repair ({RULES[best].en}) has {mended}. LeNet there: "
            f"{lenet['same']:.1%} unscaled, {lenet[lenet_best]:.1%} at best ({RULES[lenet_best].en}). "
            f"No longer finite: {', '.join(each.en for each in lost) or 'none'}.",
            f"学习率不变时的验证误差：批量 {data['batches'][0]} 为 {before}，批量 {largest} 为 {after}；"
            f"此时最好的补救（{RULES[best].zh}）为 {mended}。此时的 LeNet：不变为 {lenet['same']:.1%}，"
            f"最好为 {lenet[lenet_best]:.1%}（{RULES[lenet_best].zh}）。出现非有限数的：{'，'.join(each.zh for each in lost) or '无'}。",
        ),
    )


def _named(arm: str) -> Words:
    """An arm of `said` as a person reads it."""
    rule, batch = arm.removeprefix("LeNet ").split("/")
    network = "LeNet" if arm.startswith("LeNet ") else "ResNet-8"
    name = RULES[rule]
    return Words(f"{network}, {name.en}, at {batch}", f"{network}，{name.zh}，批量 {batch}")


def draw(data: dict[str, Any], language: Language):
    """Validation error by batch size, a panel a network, a line a rule."""
    figure = new_figure(7.2, 3.4)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name, key in zip(panels, ("ResNet-8", "LeNet"), ("errors", "lenet"), strict=True):
        lines = {RULES[rule].said(language): rows for rule, rows in data[key].items()}
        draw_ends(axes, data["batches"], lines)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(Words("images in a batch", "批量大小").said(language))
    panels[0].set_ylabel(Words("validation error", "验证误差").said(language))
    legend_of_all(figure, panels[0], 3)
    return figure


def table(data: dict[str, Any], language: Language) -> str:
    """Mean errors; of runs whose numbers were no longer finite, how many, and where it began."""
    rows = [[Words("network", "网络").said(language), Words("rule", "规则").said(language),
             *map(str, data["batches"])]]  # fmt: skip
    for network, key, prefix in (("ResNet-8", "errors", ""), ("LeNet", "lenet", "LeNet ")):
        for rule, name in RULES.items():
            cells = [
                _cell(errors, data["said"].get(f"{prefix}{rule}/{batch}"))
                for batch, errors in zip(data["batches"], data[key][rule], strict=True)
            ]
            rows.append([network, name.said(language), *cells])
    return markdown_table(rows)


def _cell(errors: list[float], said: str | None) -> str:
    if said is None:
        return f"{statistics.fmean(errors):.1%}"
    return f"{errors.count(LOST)}/{len(errors)} nan: {said.split(' (')[0]}"


EXPERIMENT = Experiment(
    name="batch-size",
    question=Words(
        "Does training with large batches end in nan, and what repairs it?",
        "大批量训练会变成 nan 吗？怎样补救？",
    ),
    source="readers' questions; Goyal 2017 (arXiv 1706.02677); You 2017 (arXiv 1708.03888)",
    done=Words(
        "ResNet-8 and LeNet, which has no norms, are trained on the same number of images in batches of "
        "growing size, in fp32: with the small batch's learning rate, with it scaled by the factor or its "
        "square root, with and without warm-up, and with LARS.",
        "用 fp32、以逐渐增大的批量让 ResNet-8 和没有归一化的 LeNet 训练同样多的图片：学习率不变，按倍数或其平方根缩放，"
        "有或没有预热，以及使用 LARS。",
    ),
    rule=Words(
        "By the last validation error of ResNet-8, seed by seed; a run whose numbers are no longer finite "
        "counts as 100%. Held if at the unscaled rate the largest batch is worse than the smallest, and the best of "
        "linear, square root and LARS is better there, both by more than the spread.",
        "以 ResNet-8 最后的验证误差逐种子比较；出现非有限数的运行按 100% 计。若学习率不变时最大批量比最小批量差，而线性、平方根、"
        "LARS 中最好的一种在此处更好，两者都大于波动，则成立。",
    ),
    limits=Words(
        "The best of three repairs is chosen by the seeds that judge it. LeNet is drawn and told beside it, "
        "and has no part in the verdict. How far batch norm keeps a "
        "network finite depends on the network.",
        "三种补救中最好的一种，是用评判它的同一批种子选出的。LeNet 一并画出和报告，但不参与判定。批量归一化能让网络在多大批量下保持有限，取决于网络。",
    ),
    small={"seeds": 2, "batches": [64, 512, 2048], "images": 16384, "epochs": 4},
    full={"seeds": 3, "batches": [64, 256, 1024, 4096, 8192], "images": 32768, "epochs": 6},
    measure=measure,
    judge=judge,
    draw=draw,
    table=table,
    version=2,
)
