"""The loss around a trained network: with shortcuts, and without."""

import copy
import statistics
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from resnetkit.classifier import Classifier
from resnetkit.lab.bench import Bench, by_seed
from resnetkit.lab.experiment import KINDS, Experiment, Language, Verdict, Words, outcome_of
from resnetkit.lab.pictures import some_pictures
from resnetkit.report.style import new_figure

REACH = 1.0
"""As far as the trained weights are long, filter by filter, to each side."""

CEILING = 100.0
"""Losses above are counted as this: beyond it all are equally lost."""


def measure(
    bench: Bench, *, seeds: int, layers: int, images: int, epochs: int, side: int, judged: int
) -> dict[str, Any]:
    """Losses on a grid of two random directions around every trained network."""
    bench.total = seeds * len(KINDS)
    data_dir = bench.session.get("data_dir")

    def surface(kind: str, seed: int) -> list[list[float]]:
        model = f"plain{layers}" if kind == "plain" else f"resnet{layers}"
        run = bench.train(kind, seed, model=model, epochs=epochs, limit=images)
        clf = Classifier.load(run)
        return losses_around(
            clf.net, *some_pictures(judged, data_dir, transform=clf.transform), side
        )

    return by_seed(seeds, list(KINDS), surface)


@torch.no_grad()
def losses_around(
    net: nn.Module, x: torch.Tensor, labels: torch.Tensor, side: int
) -> list[list[float]]:
    """Cross-entropy at `side` x `side` points of a plane through the network's weights.

    Norms take the statistics of the pictures at every point; each direction is scaled to the length
    of every filter (Li 2018, arXiv 1712.09913, section 4), and norms and biases stay.
    """
    moved, start = copy.deepcopy(net).train(), net.state_dict()
    generator = torch.Generator().manual_seed(0)
    first, second = (direction(net, generator) for _ in range(2))
    steps = torch.linspace(-REACH, REACH, side).tolist()
    rows = []
    for a in steps:
        row = []
        for b in steps:
            weights = {n: start[n] + a * first[n] + b * second[n] for n in first}
            moved.load_state_dict(start | weights)
            loss = functional.cross_entropy(moved(x), labels)
            row.append(min(float(loss.nan_to_num(CEILING)), CEILING))
        rows.append(row)
    return rows


def direction(net: nn.Module, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """A random one, every filter as long as the network's own."""
    found = {}
    for name, parameter in net.named_parameters():
        if parameter.ndim > 1:
            drawn = torch.randn(parameter.shape, generator=generator)
            own = parameter.detach().flatten(1).norm(dim=1)
            lengths = (own / drawn.flatten(1).norm(dim=1)).view(-1, *[1] * (parameter.ndim - 1))
            found[name] = drawn * lengths
    return found


def hollows(rows: list[list[float]]) -> float:
    """Part of the grid where the loss bends down between its neighbours, along either axis."""
    bent, count = 0, 0
    for lines in (rows, [list(column) for column in zip(*rows, strict=True)]):
        for line in lines:
            for left, here, right in zip(line, line[1:], line[2:], strict=False):
                bent += here > (left + right) / 2 + 0.01 * here
                count += 1
    return bent / count


def judge(data: dict[str, Any]) -> Verdict:
    """The plain network's surface bends down in more places."""
    bent = {kind: [hollows(rows) for rows in data[kind]] for kind in KINDS}
    outcome = outcome_of([p - r for p, r in zip(bent["plain"], bent["residual"], strict=True)])
    means = {kind: statistics.fmean(values) for kind, values in bent.items()}
    centre = {
        kind: statistics.fmean(r[len(r) // 2][len(r) // 2] for r in data[kind]) for kind in KINDS
    }
    return Verdict(
        outcome,
        Words(
            f"Places where the surface is not convex: plain {means['plain']:.0%}, residual "
            f"{means['residual']:.0%}. Loss in the middle: {centre['plain']:.2f} and {centre['residual']:.2f}.",
            f"曲面非凸之处：普通网络 {means['plain']:.0%}，残差网络 {means['residual']:.0%}。"
            f"中心的损失：{centre['plain']:.2f} 与 {centre['residual']:.2f}。",
        ),
    )


def draw(data: dict[str, Any], language: Language):
    """Contours of both surfaces, of the first seed."""
    figure = new_figure(6.8, 3.3)
    every = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, (kind, words) in zip(every, KINDS.items(), strict=True):
        rows = data[kind][0]
        steps = torch.linspace(-REACH, REACH, len(rows)).tolist()
        losses = [[max(value, 1e-3) for value in row] for row in rows]
        levels = [0.1, 0.2, 0.4, 0.8, 1.6, 2.3, 4, 8, 16, 32, 64]
        lines = axes.contour(steps, steps, losses, levels=levels, cmap="viridis", linewidths=1)
        axes.clabel(lines, fontsize=6)
        axes.plot(0, 0, "k+")
        axes.set_title(words.said(language), fontsize=10)
        axes.set_aspect("equal")
    every[0].set_ylabel(Words("second direction", "第二方向").said(language))
    every[0].set_xlabel(Words("first direction", "第一方向").said(language))
    return figure


EXPERIMENT = Experiment(
    name="landscape",
    question=Words(
        "Do shortcuts make the surface of the loss smoother?",
        "捷径是否使损失曲面更平滑？",
    ),
    source="Li 2018 (arXiv 1712.09913), figures 1 and 5",
    done=Words(
        "A plain and a residual network are trained alike; then the loss on some training images is "
        "computed on a grid around each, along two random directions scaled to the filters' lengths.",
        "以同样的方式训练一个普通网络和一个残差网络；然后沿两个按滤波器长度缩放的随机方向，在各自周围的网格上计算若干训练图片的损失。",
    ),
    rule=Words(
        "Held if the plain network's surface bends down between neighbouring points of the grid in more "
        "places than the residual one's, by more than the spread over seeds.",
        "若普通网络的曲面在网格相邻点之间向下弯（非凸）之处比残差网络多，且差别大于随机种子间的波动，则成立。",
    ),
    limits=Words(
        "Two directions out of hundreds of thousands, and a plain network that has learned less is at "
        "another height of its surface.",
        "几十万个方向中只看了两个；而且学得较少的普通网络处在其曲面的另一高度。",
    ),
    small={"seeds": 2, "layers": 44, "images": 3000, "epochs": 5, "side": 9, "judged": 256},
    full={"seeds": 3, "layers": 56, "images": 10000, "epochs": 10, "side": 21, "judged": 1024},
    measure=measure,
    judge=judge,
    draw=draw,
)
