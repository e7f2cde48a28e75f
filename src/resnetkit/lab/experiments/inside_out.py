"""Is the small network inside trained first? Prefixes and branches, epoch by epoch."""

import json
import statistics
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from resnetkit.files import write_whole
from resnetkit.lab.bench import Bench, by_seed
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, outcome_of
from resnetkit.lab.pictures import accuracy, some_pictures
from resnetkit.nets.create import create
from resnetkit.nets.nested import inner_network, inner_spec
from resnetkit.nets.network import Network
from resnetkit.nets.norms import measure_statistics
from resnetkit.report.style import PALETTE, legend_above, new_figure, plain_axes
from resnetkit.training.checkpoint import checkpoints
from resnetkit.training.observer import Observer

INSIDE = (8, 14, 20)
MODEL = "resnet20"


class Watch(Observer):
    """Looks at the network after every epoch, as its checkpoint holds it."""

    def __init__(self, out: Path, seen: torch.Tensor, pictures: torch.Tensor, labels: torch.Tensor):
        self.out, self.seen, self.pictures, self.labels = out, seen, pictures, labels
        self.rows: list[dict[str, Any]] = []

    def epoch_done(self, row: dict, epochs: int) -> None:
        """An epoch has ended; its checkpoint is there."""
        del row, epochs
        file = checkpoints(self.out / "checkpoints")[-1]
        state = safetensors.torch.load_file(file)
        net = create(MODEL, classes=10, channels=1)
        net.load_state_dict(
            {k.removeprefix("net/"): t for k, t in state.items() if k.startswith("net/")}
        )
        net.eval()
        self.rows.append({
            "prefixes": [accuracy(prefix(net, n, self.seen), self.pictures, self.labels) for n in INSIDE],
            "branches": branch_lengths(net, self.pictures[:256]),
        })  # fmt: skip


def prefix(net: Network, layers: int, pictures: torch.Tensor) -> Network:
    """The first blocks of every stage under the same head, its norms measured anew."""
    if layers == net.layers:
        return net
    inner = inner_network(net, inner_spec(net.spec, layers))
    own = create(inner.spec)
    own.load_state_dict(inner.state_dict())
    measure_statistics(own, pictures.split(256))
    return own.eval()


@torch.inference_mode()
def branch_lengths(net: Network, x: torch.Tensor) -> list[float]:
    """Length of what every block that keeps the shape adds, over that of what it gets."""
    found, x = [], net.stem(x)
    for stage in net.stages:
        for place, block in enumerate(stage.children()):
            out = block(x.clone())
            if place:
                found.append(float((out - x).norm() / x.norm()))
            x = out
    return found


MEASURED_ON = 1024
"""Training pictures, on which the norms of the networks inside are measured."""


def measure(bench: Bench, *, seeds: int, images: int, epochs: int, judged: int) -> dict[str, Any]:
    """Accuracy of the networks inside, and the branches' lengths, after every epoch."""
    bench.total = seeds
    data_dir = bench.session.get("data_dir")
    pictures, labels = some_pictures(judged, data_dir, "test")
    seen, _ = some_pictures(MEASURED_ON, data_dir)

    def watched(arm: str, seed: int) -> list[dict[str, Any]]:
        run = bench.folder / f"{arm}-{seed}"
        watch, kept = Watch(run, seen, pictures, labels), run / "inside.json"
        settings: dict[str, Any] = {"model": MODEL, "epochs": epochs, "limit": images}
        bench.train(arm, seed, observer=watch, anew=not kept.exists(), **settings)
        if watch.rows:
            write_whole(kept, json.dumps(watch.rows))
        return json.loads(kept.read_text(encoding="utf-8"))

    return by_seed(seeds, [MODEL], watched)


def reached(rows: list[dict[str, Any]], inside: int) -> float:
    """Part of its own best that a network inside has after half of the epochs."""
    course = [row["prefixes"][inside] for row in rows]
    return course[(len(course) - 1) // 2] / max(course)


def judge(data: dict[str, Any]) -> Verdict:
    """Half-way the smallest inside is nearer to its best than the whole is to its own."""
    runs = data[MODEL]
    ahead = [reached(rows, 0) - reached(rows, len(INSIDE) - 1) for rows in runs]
    small, whole = (
        statistics.fmean(reached(rows, i) for rows in runs) for i in (0, len(INSIDE) - 1)
    )
    ends = [statistics.fmean(rows[-1]["prefixes"][i] for rows in runs) for i in range(len(INSIDE))]
    said = ", ".join(f"{n}: {a:.1%}" for n, a in zip(INSIDE, ends, strict=True))
    return Verdict(
        outcome_of(ahead),
        Words(
            f"After half of the epochs the network of {INSIDE[0]} layers inside has {small:.0%} of its best "
            f"accuracy, the whole {whole:.0%} of its own. At the end, by layers: {said}.",
            f"训练过半时，内部的 {INSIDE[0]} 层网络达到自身最好准确率的 {small:.0%}，整个网络达到 {whole:.0%}。"
            f"训练结束时，按层数：{said}。",
        ),
    )


def draw(data: dict[str, Any], language: Language):
    """Accuracy of prefixes, and lengths of branches, by epoch."""
    figure = new_figure(6.8, 3.2)
    left, right = figure.subplots(1, 2)
    for rows in data[MODEL]:
        epochs = range(1, len(rows) + 1)
        for i, (layers, colour) in enumerate(zip(INSIDE, PALETTE, strict=False)):
            label = Words(f"{layers} layers", f"{layers} 层").said(language)
            first = label if rows is data[MODEL][0] else None
            left.plot(epochs, [row["prefixes"][i] for row in rows], color=colour, label=first)
    rows = data[MODEL][0]
    for i in range(len(rows[0]["branches"])):
        label = Words(f"block {i + 1}", f"第 {i + 1} 块").said(language)
        course = [row["branches"][i] for row in rows]
        right.plot(range(1, len(rows) + 1), course, color=PALETTE[i % len(PALETTE)], label=label)
    left.set_ylabel(Words("accuracy", "准确率").said(language))
    left.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
    right.set_ylabel(Words("length of g(x) / x", "g(x) 的长度 / x").said(language))
    for axes in (left, right):
        axes.set_xlabel(Words("epoch", "轮次").said(language))
        legend_above(axes, 3)
        plain_axes(axes)
    return figure


EXPERIMENT = Experiment(
    name="inside-out",
    question=Words(
        "Is the small network inside a residual network trained first?",
        "残差网络里面的小网络，是不是先被训练好的？",
    ),
    source="Zhang et al., Dive into Deep Learning, Residual Networks (a remark of the lecture)",
    done=Words(
        "resnet20 is trained; after every epoch the first blocks of its stages are cut out under the same "
        "head (8 and 14 layers), the norms' statistics measured anew, and judged on test images. Beside it: "
        "how long what each block adds is against what it gets.",
        "训练 resnet20；每一轮之后，取出各阶段开头的若干块，配上同一个分类头（8 层和 14 层），重新测定归一化统计量，"
        "在测试图片上评判。旁边是每个块所加之物相对其输入的长度。",
    ),
    rule=Words(
        "Held if after half of the epochs the network of 8 layers inside has a larger part of its own best "
        "accuracy than the whole network has of its, by more than the spread over seeds.",
        "若训练过半时，内部 8 层网络达到自身最好准确率的比例高于整个网络，且差别大于随机种子间的波动，则成立。",
    ),
    limits=Words(
        "The networks inside were never asked to answer: `train --any-depth` is the way to have them do so.",
        "内部的网络从未被要求作答：要让它们能够作答，应使用 `train --any-depth`。",
    ),
    small={"seeds": 2, "images": 6000, "epochs": 8, "judged": 1000},
    full={"seeds": 3, "images": 20000, "epochs": 12, "judged": 10000},
    measure=measure,
    judge=judge,
    draw=draw,
)
