"""A plain and a residual block asked to fit the identity plus a ripple."""

import statistics
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.nets.blocks import make_block
from resnetkit.nets.spec import ResNetSpec
from resnetkit.report.style import BLUE, ORANGE, legend_above, new_figure, plain_axes

CHANNELS, SIDE, BATCH, CLOSE = 16, 8, 64, 0.05
SHORTCUTS = {"plain": "none", "residual": "A"}


def measure(bench: Bench, *, seeds: int, steps: int, ripples: list[float]) -> dict[str, Any]:
    """Error by step of both blocks, and how large the residual block's branch becomes."""
    del bench  # blocks alone are trained, in seconds
    found: dict[str, Any] = {"errors": {}, "branch": {}, "ripples": list(ripples)}
    for kind in SHORTCUTS:
        rows = [[fitted(kind, seed, ripple, steps) for ripple in ripples] for seed in range(seeds)]
        found["errors"][kind] = [[one[0] for one in row] for row in rows]
        found["branch"][kind] = [[one[1] for one in row] for row in rows]
    return found


def fitted(kind: str, seed: int, ripple: float, steps: int) -> tuple[list[float], float]:
    """Relative error of a block after every step, and the length of g(x) over that of x.

    Args:
        kind: plain or residual; both begin with the same weights.
        seed: of weights, of inputs, and of what the ripple is.
        ripple: its length over that of x.
        steps: of Adam.
    """
    torch.manual_seed(seed)
    spec = ResNetSpec(
        depths=(1,), widths=(CHANNELS,), strides=(1,), stem_width=CHANNELS, order="e",
        shortcut="A", activates_first=False,
    )  # fmt: skip
    waves = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
    start = make_block(spec, CHANNELS, CHANNELS, 1, first=False).state_dict()
    block = make_block(replace(spec, shortcut=SHORTCUTS[kind]), CHANNELS, CHANNELS, 1, first=False)
    block.load_state_dict(start)
    optimiser = torch.optim.Adam(block.parameters(), lr=3e-3)
    errors, branch = [], 0.0
    for _ in range(steps):
        x = torch.randn(BATCH, CHANNELS, SIDE, SIDE)
        with torch.no_grad():
            wave = torch.sin(waves(x))
            wanted = x + wave * (ripple * x.norm() / wave.norm())
        out = block(x.clone())
        loss = (out - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(float(loss.detach() / wanted.square().mean()))
        branch = float((out.detach() - x).norm() / x.norm()) if kind == "residual" else 0.0
    return errors, branch


def judge(data: dict[str, Any]) -> Verdict:
    """Sooner at every ripple, and the branch is as large as the ripple."""
    plain, residual = (data["errors"][kind] for kind in ("plain", "residual"))
    sooner = [
        outcome_of(
            [first_below(p[i]) - first_below(r[i]) for p, r in zip(plain, residual, strict=True)]
        )
        for i in range(len(data["ripples"]))
    ]
    sizes = [statistics.fmean(column) for column in zip(*data["branch"]["residual"], strict=True)]
    rising = "held" if sizes == sorted(sizes) else "did not hold"
    middle = len(sizes) // 2
    steps = {kind: [first_below(row[middle]) for row in data["errors"][kind]] for kind in SHORTCUTS}
    every = len(plain[0][middle])
    ripple, told = data["ripples"][middle], ", ".join(f"{size:.2f}" for size in sizes)
    asked = ", ".join(f"{r:g}" for r in data["ripples"])
    return Verdict(
        all_of(*sooner, rising),
        Words(
            f"At a ripple of {ripple:g} the error falls below {CLOSE:.0%} with the shortcut "
            f"{when(steps['residual'], every).en}, without it {when(steps['plain'], every).en}. For "
            f"ripples of {asked} the residual's length becomes {told} of x.",
            f"波纹为 {ripple:g} 时，误差降到 {CLOSE:.0%} 以下：有捷径{when(steps['residual'], every).zh}，"
            f"没有捷径{when(steps['plain'], every).zh}。波纹为 {asked} 时，残差的长度分别是 x 的 {told}。",
        ),
    )


def when(steps: list[int], every: int) -> Words:
    """In words, over seeds."""
    if min(steps) == every:
        return Words(f"not within {every} steps", f"在 {every} 步内做不到")
    mean = statistics.fmean(steps)
    return Words(f"after {mean:.0f} steps", f"需 {mean:.0f} 步")


def first_below(errors: list[float]) -> int:
    """The step after which the error is small; as many as there are where it never is."""
    return next((i for i, error in enumerate(errors) if error < CLOSE), len(errors))


def draw(data: dict[str, Any], language: Language):
    """Error by step, and the length of the residual by that of the ripple."""
    figure = new_figure(6.8, 3.2)
    left, right = figure.subplots(1, 2)
    names = {"plain": Words("plain", "普通块"), "residual": Words("residual", "残差块")}
    middle = len(data["ripples"]) // 2
    for kind, colour in (("plain", ORANGE), ("residual", BLUE)):
        for number, row in enumerate(data["errors"][kind]):
            label = names[kind].said(language) if number == 0 else None
            left.plot(row[middle], color=colour, alpha=0.7, linewidth=1, label=label)
    left.set_yscale("log")
    left.set_xlabel(Words("step", "步").said(language))
    left.set_ylabel(Words("relative error", "相对误差").said(language))
    legend_above(left, 2)
    for row in data["branch"]["residual"]:
        right.plot(data["ripples"], row, "o-", color=BLUE, alpha=0.7, linewidth=1, markersize=4)
    ends = [0, max(data["ripples"])]
    right.plot(ends, ends, "--", color="#888888", linewidth=1)
    right.set_xlabel(Words("length of the ripple / x", "波纹长度 / x").said(language))
    right.set_ylabel(Words("length of g(x) / x", "g(x) 的长度 / x").said(language))
    for axes in (left, right):
        plain_axes(axes)
    return figure


EXPERIMENT = Experiment(
    name="identity",
    question=Words(
        "Is the identity plus a little easier to learn for a block that begins with x?",
        "从 x 出发的块，是否更容易学会“恒等映射加一点波纹”？",
    ),
    source="Zhang et al., Dive into Deep Learning, Residual Networks; He 2015 (arXiv 1512.03385), section 3.1",
    done=Words(
        "Two blocks of two 3x3 convolutions with norms (order e) begin with the same weights; one adds "
        "its input to its output. Both are trained by Adam to give x + ripple, where the ripple is a "
        "fixed nonlinear function of x of a given length.",
        "两个块各有两个 3x3 卷积和归一化（顺序 e），初始权重相同，其中一个把输入加到输出上。两者都用 Adam "
        "学习 x + 波纹，波纹是 x 的一个固定的非线性函数，长度给定。",
    ),
    rule=Words(
        f"Held if, at every length of the ripple, the residual block's error falls below {CLOSE:.0%} in "
        "fewer steps than the plain one's, by more than the spread over seeds, and its branch grows "
        "with the ripple.",
        f"若在每个波纹长度下，残差块的误差降到 {CLOSE:.0%} 以下所需步数都比普通块少，且差别大于随机种子间的波动，"
        "并且分支随波纹增大，则成立。",
    ),
    limits=Words(
        "At ripples below a fifth the residual block is as near once its branch has become short: that "
        "x is the better start is what is shown, less how the ripple is learned. A single block and a "
        "made-up task: it says what is easy to begin with, not how deep networks generalise.",
        "波纹小于五分之一时，残差块只要把分支缩短就已足够接近：这里主要说明从 x 出发更好，而不太说明波纹如何被学会。"
        "只有一个块和一个人造任务：它说明起步时什么容易，而不是深层网络如何泛化。",
    ),
    small={"seeds": 3, "steps": 300, "ripples": [0.03, 0.1, 0.3]},
    full={"seeds": 8, "steps": 1000, "ripples": [0.01, 0.03, 0.1, 0.3, 1.0]},
    measure=measure,
    judge=judge,
    draw=draw,
)
