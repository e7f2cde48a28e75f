"""The five orders of norm and ReLU, at moderate and at large depth."""

from typing import Any

from resnetkit.lab.arms import VALIDATION_ERROR, Curves, draw_arms, more_error, told, trained_arms
from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of

ORDERS = {
    "a": Words("(a) original", "(a) 原始"),
    "b": Words("(b) norm after the sum", "(b) 相加后归一化"),
    "c": Words("(c) ReLU before the sum", "(c) 相加前 ReLU"),
    "d": Words("(d) ReLU first", "(d) ReLU 在前"),
    "e": Words("(e) norm and ReLU first", "(e) 归一化和 ReLU 在前"),
}


def measure(
    bench: Bench, *, seeds: int, depths: list[int], images: int, epochs: int, batch: int
) -> dict[str, Any]:
    """Errors by epoch of every order at every depth."""
    arms = {
        f"{layers} {order}": {
            "model": f"resnet{layers}", "order": order, "epochs": epochs, "limit": images,
            "batch_size": batch, "lr_scaling": "linear",
        }
        for layers in depths
        for order in ORDERS
    }  # fmt: skip
    return trained_arms(bench, arms, seeds)


def judge(data: Curves) -> Verdict:
    """At the largest depth (b) and (c) are worse than (a), and (e) is better."""
    deepest = max(int(arm.split()[0]) for arm in data)
    worse = [outcome_of(more_error(data, f"{deepest} {o}", f"{deepest} a")) for o in "bc"]
    better = outcome_of(more_error(data, f"{deepest} a", f"{deepest} e"))
    said = told(data)
    numbers = {order: said[f"{deepest} {order}"] for order in ORDERS}
    return Verdict(
        all_of(*worse, better),
        Words(
            f"Validation error at {deepest} layers: "
            + ", ".join(f"({order}) {number}" for order, number in numbers.items())
            + ".",
            f"{deepest} 层的验证误差："
            + "，".join(f"({order}) {number}" for order, number in numbers.items())
            + "。",
        ),
    )


def draw(data: Curves, language: Language):
    """Validation error by epoch, a panel a depth."""
    depths = list(dict.fromkeys(arm.split()[0] for arm in data))
    panels = [
        (
            Words(f"{layers} layers", f"{layers} 层"),
            {arm: rows for arm, rows in data.items() if arm.split()[0] == layers},
        )
        for layers in depths
    ]
    names = {arm: ORDERS[arm.split()[1]] for arm in data}
    return draw_arms(panels, names, language, VALIDATION_ERROR)


EXPERIMENT = Experiment(
    name="orders",
    question=Words(
        "Where should norm and ReLU stand in a block?",
        "归一化和 ReLU 应该放在块里的什么位置？",
    ),
    source="He 2016 (arXiv 1603.05027), figure 4 and table 2",
    done=Words(
        "The same network with its blocks in each of the five orders is trained on the same images of "
        "Fashion-MNIST in the same order, at moderate and at large depth.",
        "同一个网络的块分别采用五种顺序，以同样的顺序在 Fashion-MNIST 的同一批图片上训练，深度有中等和较大两种。",
    ),
    rule=Words(
        "By the validation error of the last epoch at the largest depth, seed by seed. Held if (b) and "
        "(c) are worse than (a), and (e) is better than (a), all by more than the spread.",
        "以最大深度下最后一轮的验证误差逐种子比较。若 (b) 和 (c) 比 (a) 差，(e) 比 (a) 好，差别都大于波动，则成立。",
    ),
    limits=Words(
        "The paper's gain of (e) grows with depth, to 1001 layers; the small version does not go there.",
        "论文中 (e) 的优势随深度增长，直到 1001 层；小规模版本没有走那么远。",
    ),
    small={"seeds": 2, "depths": [20, 44], "images": 3000, "epochs": 5, "batch": 32},
    full={"seeds": 3, "depths": [20, 56], "images": 10000, "epochs": 10, "batch": 64},
    measure=measure,
    judge=judge,
    draw=draw,
    version=2,
)
