"""Residual connections in fully connected networks, with and without a norm."""

import statistics
from typing import Any

from resnetkit.lab.arms import Ends, draw_ends, last_errors
from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.report.style import legend_above, new_figure

ARMS: dict[str, dict[str, Any]] = {
    "plain": {"model": "mlp", "norm": "none"},
    "plain, norm": {"model": "mlp", "norm": "batch"},
    "residual": {"model": "resmlp", "norm": "none"},
    "residual, norm": {"model": "resmlp", "norm": "batch"},
    "residual, zero start": {"model": "resmlp", "norm": "none", "identity_start": True},
}
NAMES = {
    "plain": Words("plain", "普通"),
    "plain, norm": Words("plain, batch norm", "普通，批量归一化"),
    "residual": Words("residual", "残差"),
    "residual, norm": Words("residual, batch norm", "残差，批量归一化"),
    "residual, zero start": Words("residual, branches begin at 0", "残差，分支从 0 开始"),
}
WIDTH, LOSS = 64, 0.02
"""Of every layer; and of training error, by how much the deepest may be above the best depth."""


def measure(
    bench: Bench, *, seeds: int, layers: list[int], images: int, epochs: int
) -> dict[str, Any]:
    """The last training error by arm and depth; and what was said where it was not finite."""
    settings = {
        f"{arm}/{depth}": about
        | {"depths": ((depth - 2) // 2,), "width": WIDTH, "limit": images, "epochs": epochs,
           "lr": 0.02, "precision": "fp32"}
        for depth in layers
        for arm, about in ARMS.items()
    }  # fmt: skip
    return {"layers": list(layers)} | last_errors(bench, settings, seeds, "train")


def by_depth(data: dict[str, Any], arm: str) -> Ends:
    """An arm's errors, a list of seeds for every depth."""
    return [data["errors"][f"{arm}/{depth}"] for depth in data["layers"]]


def judge(data: dict[str, Any]) -> Verdict:
    """At the largest depth: residual is better than plain, and little worse than at its best."""
    plain, residual = by_depth(data, "plain, norm"), by_depth(data, "residual, norm")
    better = outcome_of([p - r for p, r in zip(plain[-1], residual[-1], strict=True)])
    best = min(residual, key=statistics.fmean)
    kept = outcome_of([LOSS - (r - b) for r, b in zip(residual[-1], best, strict=True)])
    deepest = {arm: f"{statistics.fmean(by_depth(data, arm)[-1]):.0%}" for arm in ARMS}
    first = {arm: f"{statistics.fmean(by_depth(data, arm)[0]):.0%}" for arm in ARMS}
    few, many = data["layers"][0], data["layers"][-1]
    lost = [arm.split("/") for arm in data["said"]]
    return Verdict(
        all_of(better, kept),
        Words(
            f"Training error at {few} and at {many} layers: "
            + ", ".join(f"{NAMES[arm].en}: {first[arm]} and {deepest[arm]}" for arm in ARMS)
            + f". No longer finite: {'; '.join(f'{NAMES[arm].en}, {n} layers' for arm, n in lost) or 'none'}.",
            f"{few} 层与 {many} 层的训练误差："
            + "，".join(f"{NAMES[arm].zh}：{first[arm]} 与 {deepest[arm]}" for arm in ARMS)
            + f"。出现非有限数的：{'；'.join(f'{NAMES[arm].zh}，{n} 层' for arm, n in lost) or '无'}。",
        ),
    )


def draw(data: dict[str, Any], language: Language):
    """Training error by depth, a line an arm."""
    figure = new_figure(5.6, 3.4)
    axes = figure.subplots()
    lines = {name.said(language): by_depth(data, arm) for arm, name in NAMES.items()}
    draw_ends(axes, data["layers"], lines)
    axes.set_xlabel(Words("layers", "层数").said(language))
    axes.set_ylabel(Words("training error", "训练误差").said(language))
    legend_above(axes, 2)
    return figure


EXPERIMENT = Experiment(
    name="fully-connected",
    question=Words(
        "Do residual connections help fully connected networks too?",
        "残差连接对全连接网络也有用吗？",
    ),
    source="readers' questions; He 2016 (arXiv 1603.05027); De 2020 (arXiv 2002.10444) on norms",
    done=Words(
        f"Networks of layers {WIDTH} wide, plain and residual, with batch norm and without, learn from "
        "the same images of Fashion-MNIST in the same order, from 4 to 200 layers; residual ones without "
        "norm also with branches that begin at exactly 0.",
        f"每层宽 {WIDTH} 的普通与残差全连接网络，有或没有批量归一化，以同样的顺序学习 Fashion-MNIST 的同一批图片，"
        "从 4 层到 200 层；没有归一化的残差网络还有一种：分支恰好从 0 开始。",
    ),
    rule=Words(
        "By the training error of the last epoch of the networks with norm, seed by seed; a run whose "
        "numbers are no longer finite counts as 100%. Held if at the largest depth the residual one is "
        f"better than the plain one, and at most {LOSS:.0%} worse than at its best depth, both by more "
        "than the spread.",
        "以带归一化的网络最后一轮的训练误差逐种子比较；出现非有限数的运行按 100% 计。若在最大深度，残差网络优于普通网络，"
        f"且比它自己最好的深度至多差 {LOSS:.0%}，两者都大于波动，则成立。",
    ),
    limits=Words(
        "That depth does no harm is not that it helps: on pixels without convolutions more layers say "
        "little more. All learn at one rate, 0.02; networks without norm are drawn and told, and have no "
        "part in the verdict.",
        "深度无害并不等于有益：没有卷积而直接读像素时，更多的层并不能多说出什么。所有网络用同一个学习率 0.02；"
        "没有归一化的网络一并画出和报告，但不参与判定。",
    ),
    small={"seeds": 2, "layers": [4, 20, 60, 200], "images": 4000, "epochs": 5},
    full={"seeds": 3, "layers": [4, 8, 20, 60, 200], "images": 20000, "epochs": 10},
    measure=measure,
    judge=judge,
    draw=draw,
)
