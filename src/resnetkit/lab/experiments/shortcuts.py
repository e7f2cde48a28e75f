"""Shortcuts A, B and C against each other, and against none."""

from typing import Any

from resnetkit.lab.arms import VALIDATION_ERROR, Curves, draw_arms, more_error, told, trained_arms
from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of

NAMES = {
    "none": Words("none (plain)", "无（普通网络）"),
    "A": Words("A: zeros", "A：补零"),
    "B": Words("B: 1x1 where the shape changes", "B：形状改变处用 1x1"),
    "C": Words("C: 1x1 everywhere", "C：处处用 1x1"),
}
NEAR = 0.01
"""Of error, within which A, B and C are said to be near each other: the paper has 1 point."""


def measure(bench: Bench, *, seeds: int, layers: int, images: int, epochs: int) -> dict[str, Any]:
    """Errors by epoch of the same network with every kind of shortcut."""
    common = {"model": f"resnet{layers}", "epochs": epochs, "limit": images}
    return trained_arms(bench, {kind: common | {"shortcut": kind} for kind in NAMES}, seeds)


def judge(data: Curves) -> Verdict:
    """All are better than none; and none of the three is far from the others."""
    better = [outcome_of(more_error(data, "none", kind)) for kind in "ABC"]
    near = [outcome_of([NEAR - d for d in more_error(data, "A", kind)]) for kind in "BC"]
    said = told(data)
    return Verdict(
        all_of(*better, *near),
        Words(
            f"Validation error: A {said['A']}, B {said['B']}, C {said['C']}, none {said['none']}.",
            f"验证误差：A {said['A']}，B {said['B']}，C {said['C']}，无捷径 {said['none']}。",
        ),
    )


def draw(data: Curves, language: Language):
    """Validation error by epoch."""
    title = Words("kind of shortcut", "捷径的种类")
    return draw_arms([(title, data)], NAMES, language, VALIDATION_ERROR)


EXPERIMENT = Experiment(
    name="shortcuts",
    question=Words(
        "Does it matter which kind of shortcut is taken where the shape changes?",
        "形状改变处用哪种捷径，重要吗？",
    ),
    source="He 2015 (arXiv 1512.03385), table 3",
    done=Words(
        "One network with shortcuts A (zeros for new channels), B (1x1 convolutions where the shape "
        "changes), C (1x1 everywhere) and none is trained on the same images of Fashion-MNIST in the "
        "same order.",
        "同一个网络分别用捷径 A（新通道补零）、B（形状改变处用 1x1 卷积）、C（处处用 1x1）以及不用捷径，"
        "以同样的顺序在 Fashion-MNIST 的同一批图片上训练。",
    ),
    rule=Words(
        "By the validation error of the last epoch, seed by seed. Held if A, B and C are each better "
        f"than none, and A is at most {NEAR:.0%} worse than B and than C, all by more than the spread.",
        f"以最后一轮的验证误差逐种子比较。若 A、B、C 都比无捷径好，且 A 比 B、比 C 至多差 {NEAR:.0%}，"
        "差别都大于波动，则成立。",
    ),
    limits=Words(
        "Which of the three is the best by a tenth of a point: that needs ImageNet and many seeds.",
        "三者中谁好十分之一个百分点：那需要 ImageNet 和许多随机种子。",
    ),
    small={"seeds": 2, "layers": 20, "images": 5000, "epochs": 6},
    full={"seeds": 3, "layers": 20, "images": 20000, "epochs": 10},
    measure=measure,
    judge=judge,
    draw=draw,
)
