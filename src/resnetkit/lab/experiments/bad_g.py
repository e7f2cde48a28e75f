"""x + g(x) when g is bad: blocks taken out, turned round and swapped after training."""

import copy
import statistics
from typing import Any

import torch
from torch import nn

from resnetkit.classifier import Classifier
from resnetkit.lab.bench import Bench, by_seed
from resnetkit.lab.experiment import KINDS, Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.lab.pictures import accuracy, some_pictures
from resnetkit.nets.network import Network
from resnetkit.report.style import BLUE, ORANGE, legend_above, new_figure, plain_axes

HARMS = {
    "deleted": Words("one block deleted", "删去一个块"),
    "negated": Words("one branch negated", "一个分支取负"),
    "noise": Words("noise on one branch", "一个分支加噪声"),
    "swapped": Words("neighbours swapped", "相邻块互换"),
}
HARM = 0.1
"""Of error, in the mean over blocks, from which on a deletion is said to harm."""


class Negated(nn.Module):
    """A block whose branch points the other way: x - g(x); without shortcut -g(x)."""

    def __init__(self, block: nn.Module, *, residual: bool):
        super().__init__()
        self.block, self.residual = block, residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape."""
        out = self.block(x.clone())
        return 2 * x - out if self.residual else -out


class Noisy(nn.Module):
    """A block with noise on what it adds, as strong as that itself."""

    def __init__(self, block: nn.Module, *, residual: bool):
        super().__init__()
        self.block, self.residual = block, residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape."""
        out = self.block(x.clone())
        own = out - x if self.residual else out
        return out + torch.randn_like(out) * own.std()


def measure(bench: Bench, *, seeds: int, images: int, epochs: int, judged: int) -> dict[str, Any]:
    """The whole networks' errors, and those after every harm to every block that keeps its shape."""
    bench.total = seeds * len(KINDS)
    data_dir = bench.session.get("data_dir")

    def harmed(kind: str, seed: int) -> dict[str, Any]:
        model = "resnet20" if kind == "residual" else "plain20"
        run = bench.train(kind, seed, model=model, order="e", epochs=epochs, limit=images)
        clf = Classifier.load(run)
        pictures, labels = some_pictures(judged, data_dir, "test", clf.transform)
        rows: dict[str, Any] = {"whole": 1 - accuracy(clf.net, pictures, labels)}
        for harm in HARMS:
            nets = harmed_networks(clf.net, harm, residual=kind == "residual")
            rows[harm] = [1 - accuracy(net, pictures, labels) for net in nets]
        return rows

    return by_seed(seeds, list(KINDS), harmed)


def harmed_networks(net: Network, harm: str, *, residual: bool) -> list[Network]:
    """A copy a block that keeps the shape of what it gets, harmed there."""
    found = []
    for number, stage in enumerate(net.stages):
        blocks = list(stage.children())
        for place in range(1, len(blocks)):
            other = copy.deepcopy(net)
            mine = list(other.stages[number].children())
            if harm == "deleted":
                mine[place] = nn.Identity()
            elif harm == "negated":
                mine[place] = Negated(mine[place], residual=residual)
            elif harm == "noise":
                mine[place] = Noisy(mine[place], residual=residual)
            elif place + 1 == len(blocks):
                continue
            else:
                mine[place], mine[place + 1] = mine[place + 1], mine[place]
            other.stages[number] = nn.Sequential(*mine)
            found.append(other)
    return found


def judge(data: dict[str, Any]) -> Verdict:
    """A deleted block harms a plain network and hardly a residual one."""
    lost = {kind: [lost_by(row, "deleted") for row in data[kind]] for kind in KINDS}
    harms = outcome_of(lost["plain"], least=HARM)
    hardly = outcome_of([HARM - each for each in lost["residual"]])
    means = {
        harm: {k: statistics.fmean(lost_by(r, harm) for r in data[k]) for k in KINDS}
        for harm in HARMS
    }
    return Verdict(
        all_of(harms, hardly),
        Words(
            "Error added, in the mean over blocks, residual and plain: "
            + "; ".join(
                f"{HARMS[harm].en} {row['residual']:.1%} and {row['plain']:.1%}"
                for harm, row in means.items()
            )
            + ".",
            "误差平均增加（残差网络与普通网络）："
            + "；".join(
                f"{HARMS[harm].zh} {row['residual']:.1%} 与 {row['plain']:.1%}"
                for harm, row in means.items()
            )
            + "。",
        ),
    )


def lost_by(row: dict[str, Any], harm: str) -> float:
    """Error added by a harm, in the mean over blocks."""
    return statistics.fmean(row[harm]) - row["whole"]


def draw(data: dict[str, Any], language: Language):
    """Error after every harm, a dot a block and seed."""
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    for place, harm in enumerate(HARMS):
        for side, (kind, colour) in enumerate((("plain", ORANGE), ("residual", BLUE))):
            values = [value for row in data[kind] for value in row[harm]]
            x = [place + (side - 0.5) * 0.3 + 0.08 * ((i % 5) - 2) / 2 for i in range(len(values))]
            label = KINDS[kind].said(language) if place == 0 else None
            axes.plot(x, values, "o", color=colour, markersize=4, alpha=0.6, label=label)
    for kind, colour in (("plain", ORANGE), ("residual", BLUE)):
        whole = statistics.fmean(row["whole"] for row in data[kind])
        axes.axhline(whole, color=colour, linestyle="--", linewidth=1)
    axes.set_xticks(
        range(len(HARMS)), [words.said(language) for words in HARMS.values()], fontsize=8
    )
    axes.set_ylabel(Words("test error; dashed: whole", "测试误差；虚线：完整网络").said(language))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
    legend_above(axes, 2)
    plain_axes(axes)
    return figure


EXPERIMENT = Experiment(
    name="bad-g",
    question=Words(
        "Can x + g(x) become worse when g is bad?",
        "g 不好时，x + g(x) 会变差吗？",
    ),
    source="readers' questions; Veit 2016 (arXiv 1605.06431), figures 3 and 5",
    done=Words(
        "A residual network and its plain twin of 20 layers are trained, then harmed one block at a time, "
        "without training on: the block is deleted, its branch points the other way, noise as strong as "
        "itself is added to it, or it is swapped with the next.",
        "训练一个 20 层的残差网络和对应的普通网络，然后每次损坏一个块，不再训练：删去它，把分支取负，"
        "加上与分支同样强的噪声，或与下一个块互换。",
    ),
    rule=Words(
        f"Held if deleting a block adds more than {HARM:.0%} of error to the plain network and less to the "
        "residual one, in the mean over blocks, both by more than the spread over seeds.",
        f"删去一个块后，若普通网络的误差平均增加超过 {HARM:.0%}，而残差网络低于此值，两者都超出随机种子间的波动，则成立。",
    ),
    limits=Words(
        "One bad block among good ones, after training: what training makes of a branch that is bad from "
        "the beginning is another question.",
        "这是训练之后、好块当中的一个坏块；若分支从一开始就坏，训练会怎样对待它，是另一个问题。",
    ),
    small={"seeds": 2, "images": 6000, "epochs": 6, "judged": 1000},
    full={"seeds": 3, "images": 20000, "epochs": 12, "judged": 10000},
    measure=measure,
    judge=judge,
    draw=draw,
)
