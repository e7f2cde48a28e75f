"""Does input travel forward faster through the shortcut, and at what cost?"""

import statistics
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional

from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import KINDS, Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.lab.pictures import some_pictures
from resnetkit.nets.create import create
from resnetkit.nets.network import Network
from resnetkit.nets.summary import summarise
from resnetkit.nets.zoo import spec_of
from resnetkit.report.style import BLUE, ORANGE, legend_of_all, new_figure, plain_axes

SHORTCUTS = {"plain": "none", "residual": "A"}


def measure(bench: Bench, *, seeds: int, layers: int, images: int) -> dict[str, Any]:
    """Of networks as they begin: what every block still knows of the input, and its gradient."""
    pictures, labels = some_pictures(images, bench.session.get("data_dir"))
    found: dict[str, Any] = {"layers": layers, "likeness": {}, "gradient": {}, "costs": {}}
    for kind, shortcut in SHORTCUTS.items():
        spec = replace(spec_of(f"resnet{layers}"), shortcut=shortcut, channels=1)
        costs = summarise(spec, 28, 28)
        found["costs"][kind] = [costs.parameters, costs.multiply_adds]
        rows = [through_depth(_begun(spec, seed), pictures, labels) for seed in range(seeds)]
        found["likeness"][kind] = [likeness for likeness, _ in rows]
        found["gradient"][kind] = [gradient for _, gradient in rows]
    return found


def _begun(spec, seed: int) -> Network:
    torch.manual_seed(seed)
    return create(spec)


def through_depth(
    net: Network, x: torch.Tensor, labels: torch.Tensor
) -> tuple[list[float], list[float]]:
    """Block by block: how alike pictures still are to what they were, and the gradient's length.

    Args:
        net: in training mode.
        x: float (N, channels, H, W).
        labels: int64 (N,).
    """
    maps = [net.stem(x)]
    for block in net.blocks:
        maps.append(block(maps[-1].clone()))
        maps[-1].retain_grad()
    functional.cross_entropy(net.head(net.pooled(maps[-1])), labels).backward()
    likeness = [alike(maps[0], each) for each in maps[1:]]
    gradients = [
        float(each.grad.norm() / each.numel() ** 0.5) for each in maps[1:] if each.grad is not None
    ]
    return likeness, [each / gradients[-1] for each in gradients]


@torch.no_grad()
def alike(one: torch.Tensor, other: torch.Tensor) -> float:
    """Linear CKA of two sets of features of the same pictures (Kornblith 2019, arXiv 1905.00414)."""
    grams = []
    for features in (one, other):
        flat = features.flatten(1)
        flat = flat - flat.mean(0)
        grams.append(flat @ flat.T)
    a, b = grams
    return float((a * b).sum() / (a.norm() * b.norm()))


def judge(data: dict[str, Any]) -> Verdict:
    """The last block knows more of the input with shortcuts, which cost nothing."""
    plain, residual = (data["likeness"][kind] for kind in ("plain", "residual"))
    further = outcome_of([r[-1] - p[-1] for p, r in zip(plain, residual, strict=True)])
    same = data["costs"]["plain"] == data["costs"]["residual"]
    ends = {k: statistics.fmean(row[-1] for row in data["likeness"][k]) for k in SHORTCUTS}
    parameters, products = data["costs"]["residual"]
    return Verdict(
        all_of(further, "held" if same else "did not hold"),
        Words(
            f"After {data['layers']} layers likeness with the input is {ends['residual']:.2f} with "
            f"shortcuts and {ends['plain']:.2f} without; both have {parameters:,} parameters and "
            f"{products:,} multiply-adds.",
            f"经过 {data['layers']} 层后，与输入的相似度：有捷径 {ends['residual']:.2f}，没有 {ends['plain']:.2f}；"
            f"两者都有 {parameters:,} 个参数和 {products:,} 次乘加。",
        ),
    )


def draw(data: dict[str, Any], language: Language):
    """Likeness and gradient by block."""
    figure = new_figure(6.8, 3.2)
    titles = {
        "likeness": Words("likeness with the input (CKA)", "与输入的相似度（CKA）"),
        "gradient": Words("gradient / that of the last block", "梯度 / 最后一块的梯度"),
    }
    for axes, what in zip(figure.subplots(1, 2), titles, strict=True):
        for kind, colour in (("plain", ORANGE), ("residual", BLUE)):
            for number, row in enumerate(data[what][kind]):
                label = KINDS[kind].said(language) if number == 0 else None
                axes.plot(range(1, len(row) + 1), row, color=colour, alpha=0.7, label=label)
        axes.set_title(titles[what].said(language), fontsize=10)
        axes.set_xlabel(Words("block", "块").said(language))
        plain_axes(axes)
    figure.axes[0].set_ylim(0, 1.02)
    legend_of_all(figure, figure.axes[0], 2)
    figure.axes[1].set_yscale("log")
    return figure


EXPERIMENT = Experiment(
    name="propagation",
    question=Words(
        "Does input travel forward faster through the shortcut, at no extra complexity?",
        "输入是否经由捷径更快地向前传播，而不增加复杂度？",
    ),
    source="Zhang et al., Dive into Deep Learning, Residual Networks; He 2015 (arXiv 1512.03385), section 3.3",
    done=Words(
        "A network and its plain twin with the same initial weights see pictures of Fashion-MNIST once, "
        "before any training. After every block: how alike are the pictures' features to those of the "
        "stem (linear CKA), and how long is the loss's gradient.",
        "一个残差网络和与它初始权重相同的普通网络，在训练之前看一遍 Fashion-MNIST 的图片。在每个块之后测量："
        "特征与网络起始处特征的相似度（线性 CKA），以及损失梯度的长度。",
    ),
    rule=Words(
        "Held if after the last block likeness with the input is larger with shortcuts than without, "
        "by more than the spread over seeds, and both networks have equal parameters and multiply-adds.",
        "若在最后一块之后，有捷径的网络与输入更相似，差别大于随机种子间的波动，且两者的参数量和乘加次数相等，则成立。",
    ),
    limits=Words(
        "Networks as they begin; training changes both. Likeness is no measure of use: a network must "
        "forget most of its input in the end.",
        "这里是初始状态的网络，训练会改变两者。相似并不等于有用：网络最终必须忘掉输入中的大部分内容。",
    ),
    small={"seeds": 3, "layers": 56, "images": 256},
    full={"seeds": 10, "layers": 110, "images": 1024},
    measure=measure,
    judge=judge,
    draw=draw,
)
