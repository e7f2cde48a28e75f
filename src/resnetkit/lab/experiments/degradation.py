"""Deeper plain networks are worse on the training images; residual ones are not."""

from typing import Any

from resnetkit.lab.arms import Curves, draw_arms, more_error, told, trained_arms
from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of

ARMS = ("plain20", "plain56", "resnet20", "resnet56")
RECIPE, MAY_LOSE = "he2015-cifar", 0.01
"""The paper's recipe for small images; and of training accuracy, that a deeper residual network may have less: a hundredth."""


def measure(bench: Bench, *, seeds: int, images: int, epochs: int, batch: int) -> dict[str, Any]:
    """Training and validation error by epoch, arm by arm, seed by seed."""
    common = {"epochs": epochs, "limit": images, "batch_size": batch, "lr_scaling": "linear"}
    return trained_arms(bench, {arm: common | {"model": arm} for arm in ARMS}, seeds, RECIPE)


def judge(data: Curves) -> Verdict:
    """By the training error of the last epoch."""
    worse = outcome_of(more_error(data, "plain56", "plain20", "train"))
    kept = outcome_of([MAY_LOSE - d for d in more_error(data, "resnet56", "resnet20", "train")])
    said = told(data, "train")
    return Verdict(
        all_of(worse, kept),
        Words(
            f"Training error at 20 and 56 layers: plain {said['plain20']} and {said['plain56']}, "
            f"residual {said['resnet20']} and {said['resnet56']}.",
            f"20 层与 56 层的训练误差：普通网络 {said['plain20']} 与 {said['plain56']}，"
            f"残差网络 {said['resnet20']} 与 {said['resnet56']}。",
        ),
    )


def draw(data: Curves, language: Language):
    """Training error by epoch."""
    titles = (Words("plain", "普通网络"), Words("residual", "残差网络"))
    panels = [
        (title, {arm: data[arm] for arm in arms})
        for title, arms in zip(titles, (ARMS[:2], ARMS[2:]), strict=True)
    ]
    names = {arm: Words(f"{arm[-2:]} layers", f"{arm[-2:]} 层") for arm in ARMS}
    return draw_arms(panels, names, language, Words("training error", "训练误差"), "train")


EXPERIMENT = Experiment(
    name="degradation",
    question=Words(
        "Are deeper networks worse even on the images that they learn from?",
        "更深的网络，是否连训练图片都学得更差？",
    ),
    source="He 2015 (arXiv 1512.03385), figures 1 and 6",
    done=Words(
        "Plain and residual networks of 20 and 56 layers learn from the same images of Fashion-MNIST in "
        "the same order, by the paper's recipe for small images (SGD, steps at half and three quarters) "
        "in smaller batches, at a learning rate in proportion, for enough steps.",
        "20 层和 56 层的普通网络与残差网络，按论文针对小图片的配方（SGD，在一半和四分之三处降低学习率），"
        "以同样的顺序学习 Fashion-MNIST 的同一批图片；批量更小，学习率成比例，使步数够用。",
    ),
    rule=Words(
        "By the training error of the last epoch, seed by seed. Held if plain 56 is above plain 20, and "
        f"residual 56 is not more than {MAY_LOSE:.0%} above residual 20, both by more than the spread.",
        f"以最后一轮的训练误差逐种子比较。若普通 56 层高于普通 20 层，且残差 56 层比残差 20 层至多高 {MAY_LOSE:.0%}，"
        "两者的差别都大于波动，则成立。",
    ),
    limits=Words(
        "The small version trains for few epochs: what it shows is slowness at least as much as a limit. "
        "Fashion-MNIST is easier than the paper's CIFAR-10.",
        "小规模版本只训练很少几轮：它显示的至少同样是“慢”，而不只是“上限”。Fashion-MNIST 比论文的 CIFAR-10 容易。",
    ),
    small={"seeds": 2, "images": 5000, "epochs": 6, "batch": 32},
    full={"seeds": 3, "images": 20000, "epochs": 10, "batch": 64},
    measure=measure,
    judge=judge,
    draw=draw,
)
