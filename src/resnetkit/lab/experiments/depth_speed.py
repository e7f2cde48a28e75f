"""Fewer layers are faster and less accurate: ResNet-18 to 152 at equal images seen."""

import statistics
import time
from typing import Any

import torch
from matplotlib.ticker import FixedLocator, NullLocator

from resnetkit.classifier import Classifier
from resnetkit.lab.bench import Bench, by_seed, curve
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.machine import choose_device
from resnetkit.report.style import PALETTE, new_figure, plain_axes

BATCH, ROUNDS = 64, 5
"""Images at a time, and turns, of the prediction that is timed."""


def measure(
    bench: Bench, *, seeds: int, models: list[str], side: int, images: int, epochs: int, batch: int
) -> dict[str, Any]:
    """The last validation accuracy of every network, and images/s of prediction, in turns."""
    bench.total = seeds * len(models)

    def accuracy(model: str, seed: int) -> float:
        run = bench.train(
            model, seed, model=model, epochs=epochs, limit=images, image_size=side,
            batch_size=batch, lr_scaling="linear",
        )  # fmt: skip
        return curve(run, "val_top1")[-1]

    found: dict[str, Any] = {"models": list(models), "side": side}
    found["accuracy"] = by_seed(seeds, models, accuracy)
    device = choose_device(bench.session.get("device", "auto"))
    runs = {model: bench.folder / f"{model}-0" for model in models}
    engines = {m: Classifier.load(run).to(device).engine() for m, run in runs.items()}
    found["rates"] = in_turns(engines, torch.zeros(BATCH, side, side, 1, dtype=torch.uint8))
    return found


def in_turns(engines: dict[str, Any], batch: torch.Tensor) -> dict[str, list[float]]:
    """Images/s of every network, round by round, one after the other: the machine is shared."""
    rates: dict[str, list[float]] = {model: [] for model in engines}
    for number in range(ROUNDS + 1):
        for model, engine in engines.items():
            began = time.perf_counter()
            engine(batch).sum().item()
            if number:  # the first finds memory and packs weights
                rates[model].append(len(batch) / (time.perf_counter() - began))
    return rates


def judge(data: dict[str, Any]) -> Verdict:
    """The shallowest against the deepest."""
    shallow, deep = data["models"][0], data["models"][-1]
    faster = outcome_of(
        [s / d - 1 for s, d in zip(data["rates"][shallow], data["rates"][deep], strict=True)]
    )
    pairs = zip(data["accuracy"][deep], data["accuracy"][shallow], strict=True)
    better = outcome_of([d - s for d, s in pairs])
    said = "; ".join(
        f"{model} {statistics.fmean(data['accuracy'][model]):.1%}, "
        f"{statistics.median(data['rates'][model]):,.0f}/s"
        for model in data["models"]
    )
    return Verdict(
        all_of(faster, better),
        Words(f"Accuracy and images/s: {said}.", f"准确率与每秒图片数：{said}。"),
    )


def draw(data: dict[str, Any], language: Language):
    """Accuracy by images/s, a colour a network, a dot a seed."""
    figure = new_figure(5.2, 3.4)
    axes = figure.subplots()
    rates = [statistics.median(data["rates"][model]) for model in data["models"]]
    for model, rate, colour in zip(data["models"], rates, PALETTE, strict=False):
        values = data["accuracy"][model]
        axes.plot([rate] * len(values), values, "o", color=colour, alpha=0.8)
        axes.annotate(
            model, (rate, max(values)), (0, 6), textcoords="offset points", ha="center", fontsize=8
        )
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 1.15, max(rates) * 1.15)
    axes.xaxis.set_major_locator(FixedLocator(rates))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.15)
    axes.set_xlabel(Words("images/s, log scale", "每秒图片数（对数刻度）").said(language))
    axes.set_ylabel(Words("validation accuracy", "验证准确率").said(language))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
    plain_axes(axes)
    return figure


EXPERIMENT = Experiment(
    name="depth-speed",
    question=Words(
        "Are networks of fewer layers faster and less accurate?",
        "层数少的网络，是不是更快但更不准？",
    ),
    source="Zhang et al., Dive into Deep Learning, Residual Networks (the ResNet-152 slide); He 2015, table 4",
    done=Words(
        "ResNet-18 and deeper ones see the same images of Fashion-MNIST equally often; then their images/s "
        "of prediction are measured in turns.",
        "ResNet-18 及更深的网络看 Fashion-MNIST 的同一批图片、次数相同；然后轮流测量它们预测时的每秒图片数。",
    ),
    rule=Words(
        "Held if the shallowest is faster than the deepest, and the deepest more accurate than the "
        "shallowest, each by more than the spread.",
        "若最浅的比最深的快，且最深的比最浅的准，差别都大于波动，则成立。",
    ),
    limits=Words(
        "Depth pays where there is enough to learn: on ImageNet, after many epochs. On few small grey images "
        "the shallow network has learned more by then, and the verdict may well be against the claim.",
        "深度要在有足够多可学时才有回报：ImageNet、许多轮。在少量小灰度图上，浅网络此时学得更多，判定很可能与论断相反。",
    ),
    small={
        "seeds": 2,
        "models": ["resnet18", "resnet34", "resnet50"],
        "side": 32,
        "images": 3000,
        "epochs": 4,
        "batch": 16,
    },
    full={
        "seeds": 2,
        "models": ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"],
        "side": 32,
        "images": 10000,
        "epochs": 6,
        "batch": 64,
    },
    measure=measure,
    judge=judge,
    draw=draw,
    version=2,
)
