"""Nested and non-nested function classes: the textbook's figure, from functions that are fitted."""

from itertools import pairwise
from typing import Any

import numpy as np

from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Outcome, Verdict, Words
from resnetkit.metrics import wilson_interval
from resnetkit.report.style import BLUE, ORANGE, new_figure, plain_axes

POINTS = 720
"""At which a function is known: every number of pieces up to six divides it."""


def measure(bench: Bench, *, seeds: int, classes: int) -> dict[str, Any]:
    """Distances of the best fit in every class, for some truths."""
    del bench  # nothing is trained
    nested, other = [], []
    for seed in range(seeds):
        truth = draw_truth(seed)
        other.append([distance(truth, equal_pieces(k)) for k in range(1, classes + 1)])
        nested.append(distances_of_nested(truth, classes))
    return {"nested": nested, "not nested": other}


def draw_truth(seed: int) -> np.ndarray:
    """A function on [0, 1): some waves and a jump in a place of its own."""
    rng, x = np.random.default_rng(seed), np.arange(POINTS) / POINTS
    waves = sum(rng.normal() / k * np.sin(2 * np.pi * (k * x + rng.uniform())) for k in range(1, 4))
    return waves + np.where(x < rng.uniform(0.2, 0.8), 0.0, 2.0)


def equal_pieces(count: int) -> list[int]:
    """Where as many equal pieces begin and end."""
    return [round(POINTS * i / count) for i in range(count + 1)]


def distance(truth: np.ndarray, bounds: list[int]) -> float:
    """Root of the mean square between a function and its best fit that is constant on pieces."""
    squares = sum(
        float(np.square(truth[a:b] - truth[a:b].mean()).sum()) for a, b in pairwise(bounds)
    )
    return (squares / len(truth)) ** 0.5


def distances_of_nested(truth: np.ndarray, classes: int) -> list[float]:
    """The largest piece is halved, again and again: every class contains the one before."""
    bounds = [0, POINTS]
    found = [distance(truth, bounds)]
    while len(found) < classes:
        lengths = np.diff(bounds)
        widest = int(lengths.argmax())
        bounds.insert(widest + 1, bounds[widest] + int(lengths[widest]) // 2)
        found.append(distance(truth, bounds))
    return found


def judge(data: dict[str, Any]) -> Verdict:
    """Nested classes never lose; the others do, for most truths."""
    lost = {key: [worst_step(row) for row in rows] for key, rows in data.items()}
    never = max(lost["nested"]) <= 1e-9
    some = [float(step > 0) for step in lost["not nested"]]
    share = sum(some) / len(some)
    low, high = wilson_interval(int(sum(some)), len(some))
    more: Outcome = "held" if low > 0.5 else "did not hold" if high < 0.5 else "undecided"
    outcome = more if never else "did not hold"
    return Verdict(
        outcome,
        Words(
            f"The largest step away from the truth is {max(lost['nested']):.3f} in nested classes; "
            f"in the others {share:.0%} of {len(some)} truths are left further away by some larger "
            f"class, by up to {max(lost['not nested']):.3f}.",
            f"嵌套类中远离真值的最大一步是 {max(lost['nested']):.3f}；非嵌套类中，{len(some)} 个真值里有 "
            f"{share:.0%} 在某个更大的类里反而更远，最多远 {max(lost['not nested']):.3f}。",
        ),
    )


def worst_step(distances: list[float]) -> float:
    """By how much a larger class is further away than the one before, at the most."""
    return max(0.0, float(np.diff(distances).max()))


def draw(data: dict[str, Any], language: Language):
    """Distance by class, a line a truth."""
    figure = new_figure(6.4, 3.2)
    titles = {
        "not nested": Words("not nested: k equal pieces", "非嵌套：k 等分"),
        "nested": Words("nested: pieces are halved", "嵌套：逐次对半分"),
    }
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, key, colour in ((left, "not nested", ORANGE), (right, "nested", BLUE)):
        for row in data[key][:12]:
            axes.plot(range(1, len(row) + 1), row, color=colour, alpha=0.35, linewidth=1)
        axes.plot(range(1, len(data[key][0]) + 1), data[key][0], "o-", color=colour)
        axes.set_title(titles[key].said(language), fontsize=10)
        axes.set_xlabel(Words("size of the class", "函数类的大小").said(language))
        plain_axes(axes)
    left.set_ylabel(Words("distance to the truth", "与真值的距离").said(language))
    return figure


EXPERIMENT = Experiment(
    name="function-classes",
    question=Words(
        "Does a larger function class come closer to the truth?",
        "函数类越大，就离真值越近吗？",
    ),
    source="Zhang et al., Dive into Deep Learning, Residual Networks, the figure of function classes",
    done=Words(
        "A truth of some waves and a jump is approximated by functions that are constant on pieces, "
        "by least squares: on k equal pieces (of which three do not contain two), and on pieces that "
        "come from halving those before, so that every class contains the last.",
        "用分段常数函数以最小二乘逼近由若干正弦波和一个跳变组成的真值：一种是 k 等分（三等分并不包含二等分），"
        "另一种是把已有的段逐次对半分，于是每个类都包含前一个类。",
    ),
    rule=Words(
        "Held if no step to a larger nested class leads away from the truth, and for more than half "
        "of the truths (by the 95% interval) some step to a larger class that is not nested does.",
        "若嵌套类的每一步都不远离真值，且对半数以上的真值（按 95% 区间），非嵌套类中有某一步远离真值，则成立。",
    ),
    limits=Words(
        "Best fits are found exactly here; a network finds its own by gradients, and may miss one "
        "that its class contains.",
        "这里的最优拟合是精确求得的；网络靠梯度寻找，可能错过类中本来就有的解。",
    ),
    small={"seeds": 40, "classes": 6},
    full={"seeds": 400, "classes": 6},
    measure=measure,
    judge=judge,
    draw=draw,
)
