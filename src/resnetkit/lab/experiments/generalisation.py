"""Training accuracy below that on other images, and above."""

from typing import Any

import numpy as np

from resnetkit.data.sources import open_dataset
from resnetkit.lab.arms import Curves, draw_arms, ends, told, trained_arms
from resnetkit.lab.bench import Bench
from resnetkit.lab.experiment import Experiment, Language, Verdict, Words, all_of, outcome_of
from resnetkit.lab.pictures import write_labels

NAMES = {
    "changed": Words("pictures changed at random, many images", "随机增强，图片多"),
    "unchanged": Words("unchanged, few images", "不增强，图片少"),
    "random": Words("unchanged, random labels", "不增强，标签随机"),
}
UNCHANGED = {"crop": "none", "flip": False, "erase": 0.0, "label_smoothing": 0.0}
CHANGED = {"policy": "trivial", "erase": 0.5}
CHANCE = 0.1


def measure(
    bench: Bench, *, seeds: int, many: int, few: int, epochs: int, long: int
) -> dict[str, Any]:
    """Errors by epoch with augmentation, without, and on labels that mean nothing."""
    labels = bench.folder / "random-labels.csv"
    _write_random_labels(labels, bench.session.get("data_dir"))
    short = {"model": "resnet14x2h", "epochs": long, "limit": few, **UNCHANGED}
    arms = {
        "changed": {"model": "resnet8", "epochs": epochs, "limit": many, **CHANGED},
        "unchanged": short,
        "random": short | {"labels": str(labels.absolute()), "weight_decay": 0.0},
    }
    return trained_arms(bench, arms, seeds)


def _write_random_labels(file, data_dir: str | None) -> None:
    """A label for every training image, drawn without a look at it; always the same ones."""
    dataset = open_dataset("fashion-mnist", data_dir)
    train, rng = dataset.parts["train"], np.random.default_rng(0)
    drawn = rng.integers(0, len(dataset.classes), len(train))
    write_labels(file, dataset, range(len(train)), drawn.tolist())


def judge(data: Curves) -> Verdict:
    """Training error above validation error with augmentation, below without."""

    def gap(arm: str) -> list[float]:
        pairs = zip(ends(data, arm, "train"), ends(data, arm, "val"), strict=True)
        return [train - val for train, val in pairs]

    above, below = outcome_of(gap("changed")), outcome_of([-d for d in gap("unchanged")])
    learned = outcome_of([1 - CHANCE - 0.2 - e for e in ends(data, "random", "train")])
    nothing = outcome_of([e - (1 - CHANCE - 0.1) for e in ends(data, "random", "val")])
    train, val = told(data, "train"), told(data, "val")
    return Verdict(
        all_of(above, below, learned, nothing),
        Words(
            f"Error on training and on other images: {train['changed']} and {val['changed']} with "
            f"changed pictures, {train['unchanged']} and {val['unchanged']} without, "
            f"{train['random']} and {val['random']} on random labels.",
            f"训练图片与其他图片上的误差：增强时 {train['changed']} 与 {val['changed']}，不增强时 "
            f"{train['unchanged']} 与 {val['unchanged']}，标签随机时 {train['random']} 与 {val['random']}。",
        ),
    )


def draw(data: Curves, language: Language):
    """Both errors by epoch, a panel an arm."""
    both = {"train": Words("training", "训练"), "val": Words("validation", "验证")}
    panels = [
        (NAMES[arm], {key: [{"val": row[key]} for row in data[arm]] for key in both})
        for arm in NAMES
    ]
    return draw_arms(panels, both, language, Words("error", "误差"))


EXPERIMENT = Experiment(
    name="generalisation",
    question=Words(
        "Is training accuracy always above that on other images, and can it reach 100%?",
        "训练精度总是高于测试精度吗？能到 100% 吗？",
    ),
    source="readers' questions; Zhang 2016 (arXiv 1611.03530), figure 1",
    done=Words(
        "A small network sees many images, changed at random each time; a larger one sees few images as "
        "they are; and the same with labels drawn at random. Training accuracy is counted as training "
        "goes, on the pictures as they are shown.",
        "小网络看许多每次都随机增强的图片；较大的网络看少量不加改变的图片；再让后者学习随机的标签。"
        "训练精度在训练过程中、就所展示的图片统计。",
    ),
    rule=Words(
        "By the errors of the last epoch, seed by seed. Held if with changed pictures the training error "
        "is above the validation error, without it is below, random labels are learned (training error "
        "below 70%) and nothing is learned from them (validation error above 80%).",
        "以最后一轮的误差逐种子比较。若增强时训练误差高于验证误差，不增强时低于；随机标签能被记住（训练误差低于 "
        "70%），却学不到东西（验证误差高于 80%），则成立。",
    ),
    limits=Words(
        "Where the one turns into the other depends on the network, the data and the augmentation.",
        "两种情形之间的界线取决于网络、数据和增强方式。",
    ),
    small={"seeds": 2, "many": 6000, "few": 500, "epochs": 6, "long": 60},
    full={"seeds": 3, "many": 20000, "few": 2000, "epochs": 15, "long": 100},
    measure=measure,
    judge=judge,
    draw=draw,
)
