"""Large batches: who diverges, where, and what repairs it."""

import math
import statistics
from typing import Any

from resnetkit.errors import UserError
from resnetkit.lab.bench import Bench, by_seed, curve
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.report.style import PALETTE, new_figure, plain_axes

BASE, RATE = 64, 0.05
"""The batch that the rates are scaled from, and its learning rate."""

RULES = {
    "same": Words("the same rate", "学习率不变"),
    "linear, cold": Words("linear, no warm-up", "线性，无预热"),
    "linear": Words("linear, warm-up", "线性，有预热"),
    "sqrt": Words("square root, warm-up", "平方根，有预热"),
    "lars": Words("LARS, warm-up", "LARS，有预热"),
}
LOST = 1.0
"""Error of a run whose numbers were no longer finite."""


def settings_of(rule: str, batch: int) -> dict[str, Any]:
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
    """The last validation error by rule and batch size; and what was said where it diverged."""
    arms = [f"{rule}/{batch}" for rule in RULES for batch in batches]
    bench.total = seeds * len(arms)
    said: dict[str, str] = {}

    def error(arm: str, seed: int) -> float:
        rule, batch = arm.split("/")
        asked = settings_of(rule, int(batch)) | {"batch_size": int(batch)}
        common: dict[str, Any] = {
            "model": "resnet8",
            "epochs": epochs,
            "limit": images,
            "precision": "fp32",
        }
        try:
            folder = arm.replace("/", "-").replace(", ", "-")
            run = bench.train(folder, seed, **common, **asked)
        except UserError as stopped:
            if "not finite" not in str(stopped):
                raise
            said[arm] = str(stopped)
            return LOST
        return 1 - curve(run, "val_top1")[-1]

    errors = by_seed(seeds, arms, error)
    table = {rule: [errors[f"{rule}/{b}"] for b in batches] for rule in RULES}
    return {"batches": list(batches), "errors": table, "said": said}


def judge(data: dict[str, Any]) -> Verdict:
    """At the largest batch: an unscaled rate is worse than at the smallest, a repair is better."""
    same = data["errors"]["same"]
    harm = outcome_of([large - small for small, large in zip(same[0], same[-1], strict=True)])
    repairs = {rule: data["errors"][rule][-1] for rule in ("linear", "sqrt", "lars")}
    best = min(repairs, key=lambda rule: statistics.fmean(repairs[rule]))
    repaired = outcome_of([s - r for s, r in zip(same[-1], repairs[best], strict=True)])
    largest, lost = data["batches"][-1], [arm.replace("/", " at ") for arm in data["said"]]
    before, after, mended = (
        f"{statistics.fmean(rows):.1%}" for rows in (same[0], same[-1], repairs[best])
    )
    return Verdict(
        all_of(harm, repaired),
        Words(
            f"Validation error of the unscaled rate: {before} in batches of {data['batches'][0]}, {after} "
            f"of {largest}; there the best repair ({RULES[best].en}) has {mended}. No longer finite: "
            f"{', '.join(lost) or 'none'}.",
            f"学习率不变时的验证误差：批量 {data['batches'][0]} 为 {before}，批量 {largest} 为 {after}；"
            f"此时最好的补救（{RULES[best].zh}）为 {mended}。出现非有限数的：{', '.join(lost) or '无'}。",
        ),
    )


def draw(data: dict[str, Any], language: Language):
    """Validation error by batch size, a line a rule."""
    figure = new_figure(5.6, 3.4)
    axes = figure.subplots()
    for (rule, name), colour in zip(RULES.items(), PALETTE, strict=False):
        means = [statistics.fmean(rows) for rows in data["errors"][rule]]
        axes.plot(
            data["batches"], means, "o-", color=colour, label=name.said(language), linewidth=1.2
        )
        for batch, rows in zip(data["batches"], data["errors"][rule], strict=True):
            axes.plot([batch, batch], [min(rows), max(rows)], color=colour, linewidth=3, alpha=0.3)
    axes.set_xscale("log", base=2)
    axes.set_xticks(data["batches"], [str(batch) for batch in data["batches"]])
    axes.set_xlabel(Words("images in a batch", "批量大小").said(language))
    axes.set_ylabel(Words("validation error", "验证误差").said(language))
    axes.yaxis.set_major_formatter(lambda y, _: "" if math.isnan(y) else f"{y:.0%}")
    axes.legend(frameon=False, fontsize=8)
    plain_axes(axes)
    return figure


EXPERIMENT = Experiment(
    name="batch-size",
    question=Words(
        "Does training with large batches end in nan, and what repairs it?",
        "大批量训练会变成 nan 吗？怎样补救？",
    ),
    source="readers' questions; Goyal 2017 (arXiv 1706.02677); You 2017 (arXiv 1708.03888)",
    done=Words(
        "A network is trained on the same number of images in batches of growing size, in fp32: with the "
        "small batch's learning rate, with it scaled by the factor or its square root, with and without "
        "warm-up, and with LARS.",
        "用 fp32、以逐渐增大的批量训练同样多的图片：学习率不变，按倍数或其平方根缩放，有或没有预热，以及使用 LARS。",
    ),
    rule=Words(
        "By the last validation error, seed by seed; a run whose numbers are no longer finite counts as "
        "100%. Held if at the unscaled rate the largest batch is worse than the smallest, and the best of "
        "linear, square root and LARS is better there, both by more than the spread.",
        "以最后的验证误差逐种子比较；出现非有限数的运行按 100% 计。若学习率不变时最大批量比最小批量差，而线性、平方根、"
        "LARS 中最好的一种在此处更好，两者都大于波动，则成立。",
    ),
    limits=Words(
        "Batch norm keeps residual networks finite where networks without norms are not; how far it goes "
        "depends on the network.",
        "批量归一化使残差网络保持有限，没有归一化的网络则未必；能到多大，取决于网络。",
    ),
    small={"seeds": 2, "batches": [64, 512, 4096], "images": 8192, "epochs": 4},
    full={"seeds": 3, "batches": [64, 256, 1024, 4096, 8192], "images": 49152, "epochs": 12},
    measure=measure,
    judge=judge,
    draw=draw,
)
