"""Larger pictures: accuracy against cost; trained small, tested large."""

import statistics
from dataclasses import replace
from typing import Any

from resnetkit.api import evaluate
from resnetkit.classifier import Classifier
from resnetkit.lab.bench import Bench, by_seed, last
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, outcome_of
from resnetkit.report.style import BLUE, ORANGE, legend_above, new_figure, plain_axes

FACTOR = 8 / 7
"""How much larger than in training the pictures of `train small, test large` are."""


def measure(
    bench: Bench, *, seeds: int, sides: list[int], images: int, epochs: int, batch: int
) -> dict[str, Any]:
    """Validation accuracy and seconds of training by side; the same networks judged larger."""
    bench.total = seeds * len(sides)
    common: dict[str, Any] = {
        "model": "resnet18",
        "epochs": epochs,
        "limit": images,
        "batch_size": batch,
        "lr_scaling": "linear",
    }

    def trained(arm: str, seed: int) -> dict[str, float]:
        side = int(arm)
        run = bench.train(arm, seed, image_size=side, **common)
        large = Classifier.load(run)
        large.transform = replace(large.transform, size=round(side * FACTOR))
        data_dir = bench.session.get("data_dir")
        larger = evaluate(large, "fashion-mnist", part="val", data_dir=data_dir).result.top1
        return {
            "accuracy": last(run, "val_top1"),
            "larger": larger,
            "seconds": last(run, "seconds"),
        }

    return by_seed(seeds, [str(side) for side in sides], trained)


def judge(data: dict[str, Any]) -> Verdict:
    """The largest side against the smallest."""
    small, *_, large = data
    pairs = zip(data[large], data[small], strict=True)
    gain = [a["accuracy"] - b["accuracy"] for a, b in pairs]
    said = "; ".join(
        f"{side} px {mean(rows, 'accuracy'):.1%} ({mean(rows, 'seconds'):.0f} s)"
        for side, rows in data.items()
    )
    judged = "; ".join(f"{side} px {mean(rows, 'larger'):.1%}" for side, rows in data.items())
    return Verdict(
        outcome_of(gain),
        Words(
            f"Validation accuracy (seconds of training): {said}. Judged {FACTOR:.2f} times as large: {judged}.",
            f"验证准确率（训练秒数）：{said}。放大到 {FACTOR:.2f} 倍评判：{judged}。",
        ),
    )


def mean(rows: list[dict[str, float]], key: str) -> float:
    """Over seeds."""
    return statistics.fmean(row[key] for row in rows)


def draw(data: dict[str, Any], language: Language):
    """Accuracy by seconds of training, the side beside each point."""
    figure = new_figure(5.2, 3.3)
    axes = figure.subplots()
    seconds = [mean(rows, "seconds") for rows in data.values()]
    for key, colour, words in (
        ("accuracy", BLUE, Words("judged as trained", "与训练时同样大小")),
        ("larger", ORANGE, Words("judged larger", "放大后评判")),
    ):
        values = [mean(rows, key) for rows in data.values()]
        axes.plot(seconds, values, "o-", color=colour, label=words.said(language))
    for side, x, rows in zip(data, seconds, data.values(), strict=True):
        axes.annotate(f"{side} px", (x, mean(rows, "accuracy")), xytext=(4, -10), textcoords="offset points",
                      fontsize=8)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(seconds, [f"{x:,.0f}" for x in seconds])
    axes.minorticks_off()
    axes.set_xlabel(Words("seconds of training, log scale", "训练秒数（对数刻度）").said(language))
    axes.set_ylabel(Words("validation accuracy", "验证准确率").said(language))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:.1%}")
    legend_above(axes, 2)
    plain_axes(axes)
    return figure


EXPERIMENT = Experiment(
    name="resolution",
    question=Words(
        "96 or 224: do larger pictures make a network more accurate?",
        "96 还是 224：图片放大，网络就更准吗？",
    ),
    source="readers' questions; Touvron 2019 (arXiv 1906.06423)",
    done=Words(
        "resnet18 is trained on pictures of Fashion-MNIST, 28 pixels wide, enlarged to several sizes; each "
        "network is also judged on pictures larger than it was trained on.",
        "把 28 像素的 Fashion-MNIST 图片放大到几种尺寸训练 resnet18；每个网络还在比训练时更大的图片上评判。",
    ),
    rule=Words(
        "Held if the largest size is more accurate than the smallest, by more than the spread over seeds.",
        "若最大尺寸比最小尺寸更准，且差别大于随机种子间的波动，则成立。",
    ),
    limits=Words(
        "Enlarging brings no detail that was not there, only more places to look at; photographs are "
        "another case.",
        "放大并不会带来原本没有的细节，只是多了可看的位置；真实照片另当别论。",
    ),
    small={"seeds": 2, "sides": [28, 56, 96], "images": 2400, "epochs": 3, "batch": 16},
    full={"seeds": 2, "sides": [28, 56, 96, 160, 224], "images": 5000, "epochs": 5, "batch": 32},
    measure=measure,
    judge=judge,
    draw=draw,
    version=2,
)
