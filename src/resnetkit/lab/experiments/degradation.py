"""Deeper plain networks are worse on the training images; residual ones are not."""

import statistics
from typing import Any

from resnetkit.lab.bench import Bench, by_seed, curve
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.report.style import BLUE, ORANGE, new_figure, plain_axes

ARMS = ("plain20", "plain56", "resnet20", "resnet56")
LOST = 0.01
"""Of training accuracy, that a deeper residual network may have less: a hundredth."""


def measure(bench: Bench, *, seeds: int, images: int, epochs: int) -> dict[str, Any]:
    """Training and validation error by epoch, arm by arm, seed by seed."""
    bench.total = seeds * len(ARMS)

    def trained(arm: str, seed: int) -> dict[str, list[float]]:
        run = bench.train(
            arm, seed, "he2015-cifar", model=arm, epochs=epochs, limit=images, val_fraction=1 / 60,
        )  # fmt: skip
        return {key: [1 - value for value in curve(run, f"{key}_top1")] for key in ("train", "val")}

    return by_seed(seeds, ARMS, trained)


def judge(data: dict[str, Any]) -> Verdict:
    """By the training error of the last epoch."""
    ends = {arm: [row["train"][-1] for row in data[arm]] for arm in ARMS}
    worse = outcome_of([b - a for a, b in zip(ends["plain20"], ends["plain56"], strict=True)])
    kept = outcome_of(
        [a + LOST - b for a, b in zip(ends["resnet20"], ends["resnet56"], strict=True)]
    )
    told = {arm: f"{statistics.fmean(rows):.1%}" for arm, rows in ends.items()}
    return Verdict(
        all_of(worse, kept),
        Words(
            f"Training error at 20 and 56 layers: plain {told['plain20']} and {told['plain56']}, "
            f"residual {told['resnet20']} and {told['resnet56']}.",
            f"20 层与 56 层的训练误差：普通网络 {told['plain20']} 与 {told['plain56']}，"
            f"残差网络 {told['resnet20']} 与 {told['resnet56']}。",
        ),
    )


def draw(data: dict[str, Any], language: Language):
    """Training error by epoch; the validation error dashed."""
    figure = new_figure(6.8, 3.2)
    titles = (Words("plain", "普通网络"), Words("residual", "残差网络"))
    for axes, title, arms in zip(
        figure.subplots(1, 2, sharey=True), titles, (ARMS[:2], ARMS[2:]), strict=True
    ):
        for arm, colour in zip(arms, (BLUE, ORANGE), strict=True):
            layers = arm.removeprefix("plain").removeprefix("resnet")
            label = Words(f"{layers} layers", f"{layers} 层").said(language)
            for number, row in enumerate(data[arm]):
                epochs = range(1, len(row["train"]) + 1)
                axes.plot(epochs, row["train"], color=colour, label=None if number else label)
                axes.plot(epochs, row["val"], color=colour, linestyle=":", linewidth=1)
        axes.set_title(title.said(language), fontsize=10)
        axes.set_xlabel(Words("epoch", "轮次").said(language))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
        plain_axes(axes)
        axes.legend(frameon=False)
    figure.axes[0].set_ylabel(
        Words("error: training, validation dotted", "误差：训练（实线），验证（点线）").said(
            language
        )
    )
    return figure


EXPERIMENT = Experiment(
    name="degradation",
    question=Words(
        "Are deeper networks worse even on the images that they learn from?",
        "更深的网络，是否连训练图片都学得更差？",
    ),
    source="He 2015 (arXiv 1512.03385), figures 1 and 6",
    done=Words(
        "Plain and residual networks of 20 and 56 layers learn from the same images of Fashion-MNIST in "
        "the same order, by the paper's recipe for small images (SGD, steps at half and three quarters).",
        "20 层和 56 层的普通网络与残差网络，按论文针对小图片的配方（SGD，在一半和四分之三处降低学习率），"
        "以同样的顺序学习 Fashion-MNIST 的同一批图片。",
    ),
    rule=Words(
        "By the training error of the last epoch, seed by seed. Held if plain 56 is above plain 20, and "
        f"residual 56 is not more than {LOST:.0%} above residual 20, both by more than the spread.",
        f"以最后一轮的训练误差逐种子比较。若普通 56 层高于普通 20 层，且残差 56 层比残差 20 层至多高 {LOST:.0%}，"
        "两者的差别都大于波动，则成立。",
    ),
    limits=Words(
        "The small version trains for few epochs: what it shows is slowness at least as much as a limit. "
        "Fashion-MNIST is easier than the paper's CIFAR-10.",
        "小规模版本只训练很少几轮：它显示的至少同样是“慢”，而不只是“上限”。Fashion-MNIST 比论文的 CIFAR-10 容易。",
    ),
    small={"seeds": 2, "images": 5000, "epochs": 6},
    full={"seeds": 3, "images": 50000, "epochs": 40},
    measure=measure,
    judge=judge,
    draw=draw,
)
