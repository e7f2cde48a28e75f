"""Constant, step, cosine and one-cycle at the same cost, each with its own best learning rate."""

import statistics
from typing import Any

from resnetkit.lab.arms import VALIDATION_ERROR, Curves, draw_arms, ends, trained_arms
from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, outcome_of

NAMES = {
    "constant": Words("constant", "恒定"),
    "step": Words("step", "阶梯"),
    "cosine": Words("cosine", "余弦"),
    "one-cycle": Words("one-cycle", "单周期"),
}
NEAR = 0.005
"""Of error, within which cosine and step are said to be equal."""


def measure(
    bench: Bench, *, seeds: int, rates: list[float], images: int, epochs: int
) -> dict[str, Any]:
    """Errors by epoch of every schedule at every learning rate."""
    common = {"model": "resnet14", "epochs": epochs, "limit": images}
    arms = {
        f"{schedule} {rate:g}": common | {"schedule": schedule, "lr": rate}
        for schedule in NAMES
        for rate in rates
    }
    return trained_arms(bench, arms, seeds)


def best(data: Curves) -> dict[str, str]:
    """Every schedule's arm with the least mean error."""
    return {
        schedule: min(
            (arm for arm in data if arm.split()[0] == schedule),
            key=lambda arm: statistics.fmean(ends(data, arm)),
        )
        for schedule in NAMES
    }


def judge(data: Curves) -> Verdict:
    """Cosine against step, both at their best rate."""
    arms = best(data)
    step, cosine = (ends(data, arms[schedule]) for schedule in ("step", "cosine"))
    outcome = outcome_of([s - c + NEAR for s, c in zip(step, cosine, strict=True)])
    said = {s: f"{statistics.fmean(ends(data, arm)):.1%}" for s, arm in arms.items()}
    rates = {schedule: arm.split()[1] for schedule, arm in arms.items()}
    return Verdict(
        outcome,
        Words(
            "Validation error at the best learning rate: "
            + ", ".join(f"{s} {said[s]} (at {rates[s]})" for s in NAMES)
            + ".",
            "最佳学习率下的验证误差："
            + "，".join(f"{NAMES[s].zh} {said[s]}（{rates[s]}）" for s in NAMES)
            + "。",
        ),
    )


def draw(data: Curves, language: Language):
    """Validation error by epoch, each schedule at its best rate."""
    arms = {schedule: data[arm] for schedule, arm in best(data).items()}
    title = Words("each at its best learning rate", "各取最佳学习率")
    return draw_arms([(title, arms)], NAMES, language, VALIDATION_ERROR)


EXPERIMENT = Experiment(
    name="schedules",
    question=Words(
        "Cosine or step: which schedule of the learning rate is better?",
        "余弦还是阶梯：哪种学习率调度更好？",
    ),
    source="readers' questions; Loshchilov 2016 (arXiv 1608.03983); Smith 2018 (arXiv 1708.07120)",
    done=Words(
        "A network is trained on the same images for the same number of steps with four schedules, each "
        "at several highest learning rates; a schedule is judged at the rate that suits it best.",
        "同一个网络用四种调度训练同样多的步数，看同样的图片，每种调度试几个最高学习率，取最适合它的那个来比较。",
    ),
    rule=Words(
        f"By the validation error of the last epoch. Held (cosine is as good) if cosine is at most {NEAR:.1%} "
        "worse than step, by more than the spread over seeds.",
        f"以最后一轮的验证误差比较。若余弦至多比阶梯差 {NEAR:.1%}，且超出随机种子间的波动，则成立（余弦不逊于阶梯）。",
    ),
    limits=Words(
        "Steps at half and three quarters, as the paper has them, with ten times less each; other places "
        "may suit better. The best rate is chosen by the same images that judge.",
        "阶梯按论文设在一半和四分之三处，每次降为十分之一；别的位置可能更好。最佳学习率由用来评判的同一批图片选出。",
    ),
    small={"seeds": 2, "rates": [0.03, 0.1, 0.3], "images": 3000, "epochs": 6},
    full={"seeds": 3, "rates": [0.03, 0.1, 0.3], "images": 10000, "epochs": 10},
    measure=measure,
    judge=judge,
    draw=draw,
)
