"""Networks of a thousand layers train, in bounded memory."""

from typing import Any

import torch
from torch.nn import functional

from resnetkit.lab.bench import Bench, by_seed, curve
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.lab.pictures import some_pictures
from resnetkit.nets.create import create
from resnetkit.nets.network import Network
from resnetkit.report.style import PALETTE, legend_above, new_figure, plain_axes

NAMES = {
    "resnet1202": Words("resnet1202", "resnet1202"),
    "preresnet1001": Words("preresnet1001", "preresnet1001"),
    "plain1202": Words("1202 layers, no shortcuts", "1202 层，无捷径"),
}
MEMORY = "4GB"
FALLS = 0.02
"""Of the first epoch's loss, that must be gone at the end."""

LARGEST = 1e30
"""What gradients beyond float32 are counted as."""

SPREAD = 1e4
"""Times that the largest gradient of a block may be the smallest of a network that can be trained."""


def measure(bench: Bench, *, seeds: int, images: int, epochs: int, batch: int) -> dict[str, Any]:
    """Losses by epoch within a memory budget, and gradients through depth as networks begin."""
    trained = [name for name in NAMES if not name.startswith("plain")]
    bench.total = seeds * len(trained)
    bench.session = bench.session | {"memory": MEMORY}

    def losses(name: str, seed: int) -> list[float]:
        run = bench.train(
            name, seed, model=name, epochs=epochs, limit=images, batch_size=batch, lr=0.02,
            val_fraction=0.002,
        )  # fmt: skip
        return curve(run, "train_loss")

    found: dict[str, Any] = {"losses": by_seed(seeds, trained, losses)}
    pictures, labels = some_pictures(16, bench.session.get("data_dir"))
    found["gradients"] = {name: gradients(begun(name), pictures, labels) for name in NAMES}
    return found


def begun(name: str) -> Network:
    """A network with its first weights."""
    torch.manual_seed(0)
    return create(name, classes=10, channels=1)


def gradients(net: Network, x: torch.Tensor, labels: torch.Tensor) -> list[float]:
    """Length of the loss's gradient by every block's first weights, from input to output."""
    net.segments = tuple([1] * len(net.blocks))
    functional.cross_entropy(net(x), labels).backward()
    first = (next(block.parameters()) for block in net.blocks)
    lengths = torch.stack([torch.zeros(()) if p.grad is None else p.grad.norm() for p in first])
    return lengths.nan_to_num(LARGEST, LARGEST).clamp(max=LARGEST).tolist()


def judge(data: dict[str, Any]) -> Verdict:
    """Losses fall, and gradients are of a size through all depth."""
    falls = [
        outcome_of([1 - row[-1] / row[0] for row in rows], least=FALLS)
        for rows in data["losses"].values()
    ]
    spread = {name: max(g) / max(min(g), 1e-45) for name, g in data["gradients"].items()}
    even = all(each < SPREAD for name, each in spread.items() if not name.startswith("plain"))
    first, last = (
        {name: sum(row[i] for row in rows) / len(rows) for name, rows in data["losses"].items()}
        for i in (0, -1)
    )
    said = "; ".join(f"{name} {first[name]:.2f} -> {last[name]:.2f}" for name in first)
    sizes = "; ".join(f"{name} {each:.1e}" for name, each in spread.items())
    return Verdict(
        all_of(*falls, "held" if even else "did not hold"),
        Words(
            f"Training loss of the first and the last epoch, within {MEMORY} for a step: {said}. Largest "
            f"over smallest gradient of a block: {sizes}.",
            f"首轮与末轮的训练损失（每步内存不超过 {MEMORY}）：{said}。各块梯度的最大值与最小值之比：{sizes}。",
        ),
    )


def draw(data: dict[str, Any], language: Language):
    """Losses by epoch, and gradients by depth."""
    figure = new_figure(6.8, 3.2)
    left, right = figure.subplots(1, 2)
    for (name, words), colour in zip(NAMES.items(), PALETTE, strict=False):
        for number, row in enumerate(data["losses"].get(name, [])):
            label = words.said(language) if number == 0 else None
            left.plot(range(1, len(row) + 1), row, "o-", color=colour, markersize=3, label=label)
        course = data["gradients"][name]
        share = [(i + 1) / len(course) for i in range(len(course))]
        right.plot(share, course, color=colour, linewidth=1, label=words.said(language))
    right.set_yscale("log")
    left.set_xlabel(Words("epoch", "轮次").said(language))
    left.set_ylabel(Words("training loss", "训练损失").said(language))
    right.set_xlabel(Words("depth, from input to output", "深度，从输入到输出").said(language))
    right.set_ylabel(Words("gradient of a block", "块的梯度").said(language))
    for axes in (left, right):
        legend_above(axes, 2)
        plain_axes(axes)
    return figure


EXPERIMENT = Experiment(
    name="thousand-layers",
    question=Words(
        "Can networks of a thousand layers be trained?",
        "一千层的网络能训练吗？",
    ),
    source="He 2015 (arXiv 1512.03385), section 4.2; He 2016 (arXiv 1603.05027), table 5",
    done=Words(
        f"resnet1202 and preresnet1001 are trained on few pictures within {MEMORY} of memory for a step "
        "(blocks are computed anew in the backward pass). As networks begin, the gradient of every block is "
        "measured, that of 1202 layers without shortcuts beside them.",
        f"在每步 {MEMORY} 内存之内（反向时重新计算各块），用少量图片训练 resnet1202 和 preresnet1001。"
        "在网络的初始状态测量每个块的梯度，并与没有捷径的 1202 层网络对照。",
    ),
    rule=Words(
        f"Held if the training loss of both falls by more than {FALLS:.0%} from the first epoch to the last, "
        f"by more than the spread, and no block's gradient is {SPREAD:,.0f} times another's.",
        f"若两者的训练损失从首轮到末轮都下降超过 {FALLS:.0%}，且超出波动，并且没有哪个块的梯度是另一个的 {SPREAD:,.0f} 倍，则成立。",
    ),
    limits=Words(
        "That they begin to learn; not how good they become, which takes days here.",
        "它说明它们开始学习，而不是最终多好，后者在这里需要好几天。",
    ),
    small={"seeds": 2, "images": 64, "epochs": 3, "batch": 16},
    full={"seeds": 2, "images": 500, "epochs": 5, "batch": 25},
    measure=measure,
    judge=judge,
    draw=draw,
)
