"""Wrong labels planted among real ones: how many are found, by networks that have not seen them."""

import statistics
from pathlib import Path
from typing import Any

import numpy as np

from resnetkit import inference
from resnetkit.classifier import Classifier
from resnetkit.data.sources import open_dataset
from resnetkit.judged_images import images_to_judge
from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.lab.pictures import write_labels
from resnetkit.label_scores import right_probability
from resnetkit.report.style import BLUE, ORANGE, legend_above, new_figure, plain_axes

SHARE, FOLDS, CUT, BINS = 0.1, 3, 0.5, 20
ENOUGH = 0.8
"""Of the planted labels, that must be listed; and of the list, that must be planted."""


def measure(bench: Bench, *, seeds: int, images: int, epochs: int) -> dict[str, Any]:
    """Recall, precision, and how scores are spread, of planted labels and of the others."""
    bench.total = seeds * FOLDS
    return {"runs": [_found(bench, seed, images, epochs) for seed in range(seeds)]}


def _found(bench: Bench, seed: int, images: int, epochs: int) -> dict[str, Any]:
    data_dir = bench.session.get("data_dir")
    file = bench.folder / f"planted-{seed}.csv"
    planted = plant(file, seed, data_dir)
    logits, labels, names = [], [], []
    for fold in range(1, FOLDS + 1):
        run = bench.train(
            f"fold{fold}", seed, "fast", epochs=epochs, limit=images, folds=FOLDS, fold=fold,
            labels=str(file.absolute()),
        )  # fmt: skip
        clf = Classifier.load(run)
        _, held, _ = images_to_judge(clf, "fashion-mnist", "val", data_dir)
        found = inference.run(clf.engine(), held, clf.transform)
        logits.append(found.outputs)
        labels.append(found.labels)
        names += [held.name(index) for index in found.indices]
    right = right_probability(np.concatenate(logits), np.concatenate(labels)).right
    wrong, listed = np.array([name in planted for name in names]), right < CUT
    edges = np.linspace(0, 1, BINS + 1)
    return {
        "recall": float((listed & wrong).sum() / wrong.sum()),
        "precision": float((listed & wrong).sum() / max(1, listed.sum())),
        "planted": np.histogram(right[wrong], edges)[0].tolist(),
        "others": np.histogram(right[~wrong], edges)[0].tolist(),
    }


def plant(file: Path, seed: int, data_dir: str | None) -> set[str]:
    """Write a CSV that gives a tenth of the training images another label; their names."""
    dataset, rng = open_dataset("fashion-mnist", data_dir), np.random.default_rng(seed)
    train, classes = dataset.parts["train"], len(dataset.classes)
    chosen = np.sort(rng.permutation(len(train))[: round(SHARE * len(train))])
    labels = (train.labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    write_labels(file, dataset, chosen.tolist(), labels.tolist())
    return {train.name(index) for index in chosen}


def judge(data: dict[str, Any]) -> Verdict:
    """Enough of them are found, and most of what is listed is one."""
    recall, precision = ([row[key] for row in data["runs"]] for key in ("recall", "precision"))
    found, sure = (statistics.fmean(values) for values in (recall, precision))
    return Verdict(
        all_of(outcome_of(recall, least=ENOUGH), outcome_of(precision, least=ENOUGH)),
        Words(
            f"{found:.1%} of the planted labels are listed, and {sure:.1%} of the list was planted.",
            f"列出了 {found:.1%} 的植入错误标签；列表中有 {sure:.1%} 是植入的。",
        ),
    )


def draw(data: dict[str, Any], language: Language):
    """How likely labels are right, planted ones and the others, log scale."""
    figure = new_figure(5.2, 3.2)
    axes = figure.subplots()
    edges = np.linspace(0, 1, BINS + 1)
    for key, colour, words in (
        ("planted", ORANGE, Words("planted", "植入的")),
        ("others", BLUE, Words("the others", "其余的")),
    ):
        counts = np.sum([row[key] for row in data["runs"]], axis=0) + 0.5
        axes.stairs(counts, edges, color=colour, label=words.said(language), linewidth=1.6)
    axes.axvline(CUT, color="#888888", linestyle="--", linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel(Words("chance that the label is right", "标签正确的可能性").said(language))
    axes.set_ylabel(Words("images, log scale", "图片数（对数刻度）").said(language))
    legend_above(axes, 2)
    plain_axes(axes)
    return figure


EXPERIMENT = Experiment(
    name="labels",
    question=Words(
        "Can wrong labels in a data set be found by training on it?",
        "能不能靠训练本身，找出数据集里的错误标签？",
    ),
    source="readers' questions; Northcutt 2021 (arXiv 1911.00068)",
    done=Words(
        "A tenth of the labels is replaced by other classes, drawn at random. Three networks each learn from "
        "two thirds of the images and predict the last; `resnetkit labels` lists what looks wrong, by a cut "
        "that knows nothing of what was planted.",
        "随机把十分之一的标签换成其他类别。三个网络各学习三分之二的图片，预测剩下的三分之一；"
        "`resnetkit labels` 列出看起来错误的标签，其阈值对植入情况一无所知。",
    ),
    rule=Words(
        f"Held if more than {ENOUGH:.0%} of the planted labels are listed, and more than {ENOUGH:.0%} of the "
        "list was planted, both by more than the spread over seeds.",
        f"若列出了 {ENOUGH:.0%} 以上的植入标签，且列表中 {ENOUGH:.0%} 以上是植入的，两者都超出随机种子间的波动，则成立。",
    ),
    limits=Words(
        "People's mistakes are not drawn at random: they gather where classes are alike, and are harder to "
        "find there.",
        "人的错误并非随机：它们集中在相似的类别之间，也更难发现。",
    ),
    small={"seeds": 2, "images": 12000, "epochs": 4},
    full={"seeds": 3, "images": 60000, "epochs": 8},
    measure=measure,
    judge=judge,
    draw=draw,
)
