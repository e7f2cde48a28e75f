"""The tables and the figure of docs/depth.md and docs/depth.zh.md, from benchmarks/results/*.json.

    python scripts/depth_page.py

What is between the marks of a page is replaced; what was not measured yet is left out.
"""

import statistics

from pages import DOCS, fill, machine_of, machines_of, read, table

from resnetkit.report.style import BLUE, ORANGE, PALETTE, new_figure, plain_axes, save_figure

LANGUAGES = {"en": "depth", "zh": "depth.zh"}
"""A language and the name of its page."""

GROWN = "resnet20 -> resnet56"
PANELS = {
    "resnet": ("resnet56", GROWN, "resnet56, three quarters"),
    "plain": (
        "plain56", "plain20", "plain20 -> plain56, usual start",
        "plain20 -> plain56, Dirac start",
    ),
}  # fmt: skip
COLOURS = (BLUE, ORANGE, *PALETTE[2:4])
WORDS = {
    "en": {
        "none": "Not measured yet.",
        "growth": "| network | test accuracy | its seeds | time, resnet56 = 1 |",
        "ways": "| way | validation accuracy | training loss at the end | scales of new blocks |",
        "way": {},
        "deepened": "| resnet20 into | recipe for | before | lowest in 100 steps | below |",
        "epochs": "{epochs} epochs",
        "memory": "| | tensors alive at the most | resident at the most |",
        "plain": "{model}, batch {batch} at {size} px, plainly",
        "little": "{model}, the same, in as little memory as can be",
        "less": "so many times less",
        "more": "{pair}, in as little memory as can be",
        "times": "{:.1f} times",
        "time": "It takes {ratio:.2f} times as long ({low:.2f} to {high:.2f}): {little:.1f} s a"
        " step against {plain:.1f}.",
        "arms": {"resnet56, three quarters": "resnet56, three quarters of the epochs"},
        "panels": {"resnet": "residual networks", "plain": "plain networks"},
        "axes": ("images seen, in epochs of 30,000", "validation accuracy"),
    },
    "zh": {
        "none": "尚未测量。",
        "growth": "| 网络 | 测试准确率 | 各种子 | 时间，resnet56 = 1 |",
        "ways": "| 方式 | 验证准确率 | 最后的训练损失 | 新块的缩放 |",
        "way": {
            "resnet56, three quarters": "resnet56，四分之三的轮数",
            "at a half": "在一半时生长",
            "at 3/8": "在 3/8 时生长",
            "in three steps": "分三次生长",
            "copies of old blocks": "新块复制旧块",
            "scales learn 50 times as fast": "缩放的学习率为 50 倍",
            "scales raised, 5% of the run": "缩放逐步升到 1，用 5% 的步数",
            "copies, scales raised, 10%": "复制旧块，缩放用 10% 的步数升到 1",
            "in three steps, scales raised, 10%": "分三次生长，缩放用 10% 的步数升到 1",
            "scales raised, 15%": "缩放用 15% 的步数升到 1",
            "scales raised, 2%, full rate until then": "缩放用 2% 的步数升到 1，此前学习率不降",
        },
        "deepened": "| resnet20 加深为 | 配方长度 | 之前 | 100 步内最低 | 低于之前 |",
        "epochs": "{epochs} 轮",
        "memory": "| | 存活张量的峰值 | 驻留内存的峰值 |",
        "plain": "{model}，{size} 像素，批量 {batch}，普通方式",
        "little": "{model}，同上，用尽量少的内存",
        "less": "减少的倍数",
        "more": "{pair}，用尽量少的内存",
        "times": "{:.1f} 倍",
        "time": "所用时间为 {ratio:.2f} 倍（{low:.2f} 至 {high:.2f}）：每步 {little:.1f} 秒，"
        "普通方式 {plain:.1f} 秒。",
        "arms": {
            "resnet56, three quarters": "resnet56，只用四分之三的轮数",
            "plain20 -> plain56, usual start": "plain20 -> plain56，新层普通初始化",
            "plain20 -> plain56, Dirac start": "plain20 -> plain56，Dirac 初始化",
        },
        "panels": {"resnet": "残差网络", "plain": "无捷径的普通网络"},
        "axes": ("看过的图片，以 30,000 张为一轮", "验证准确率"),
    },
}


def growth(say: dict) -> list[str]:
    """Accuracy and time of what grew and what did not."""
    found = read("growth")
    if not found:
        return [say["none"]]
    grown, rows = read("depth_steps").get("grown", {}), []
    times = {"resnet56": "1.00", "resnet56, three quarters": "0.75"}
    if grown:
        times[GROWN] = "{ratio:.2f} ({low:.2f} – {high:.2f})".format(**grown)
    for arm in (arm for panel in PANELS.values() for arm in panel if arm in found["runs"]):
        runs = found["runs"][arm]
        rows.append((
            say["arms"].get(arm, arm), f"{statistics.mean(run['test_top1'] for run in runs):.2%}",
            ", ".join(f"{run['test_top1']:.2%}" for run in runs),
            times.get(arm, ""),
        ))  # fmt: skip
    return [machines_of(found), "", *table(say["growth"], rows)]


def ways(say: dict) -> list[str]:
    """How new blocks came in, and what came of it."""
    found = read("growth_ways")
    if not found:
        return [say["none"]]
    rows = []
    for way, (run,) in found["runs"].items():
        scale = "" if run.get("scale") is None else f"{run['scale']:.2f}"
        loss = f"{run['epochs'][-1]['train_loss']:.3f}"
        rows.append((say["way"].get(way, way), f"{run['val_top1']:.2%}", loss, scale))
    return [machine_of(found), "", *table(say["ways"], rows)]


def deepened(say: dict) -> list[str]:
    """The first steps of a deepened network."""
    found = read("deepened")
    if not found:
        return [say["none"]]
    return table(say["deepened"], [
        (case["to"], say["epochs"].format(**case), f"{case['begins']:.2%}",
         f"{case['least']:.2%}", f"{100 * case['below']:.2f}")
        for case in found["cases"]
    ])  # fmt: skip


def memory(say: dict) -> list[str]:
    """What a thousand layers take."""
    found = read("deep_memory")
    if not found:
        return [say["none"]]
    name = found["model"]

    def sizes(taken: dict) -> tuple[str, ...]:
        return tuple(f"{taken[key] / 1e9:.2f} GB" for key in ("counted", "resident"))

    def factors(times: dict) -> tuple[str, ...]:
        return tuple(say["times"].format(times[key]) for key in ("counted", "resident"))

    rows = [
        (say["plain"].format(**found), *sizes(found["plain"])),
        (say["little"].format(**found), *sizes(found["little"][name])),
        (say["less"], *factors(found["times_less"])),
        *(
            (say["more"].format(pair=pair), *factors(times))
            for pair, times in found["more_for_depth"].items()
        ),
    ]
    time = say["time"].format(**found["times_the_time"], **found["seconds"])
    return [machine_of(found), "", *table(say["memory"], rows), "", time]


def page(text: str, language: str) -> str:
    """The page with its tables made anew."""
    parts = (("growth", growth), ("ways", ways), ("deepened", deepened), ("memory", memory))
    for name, lines in parts:
        text = fill(text, name, lines(WORDS[language]))
    return text


def draw(language: str) -> None:
    """Accuracy epoch by epoch: a thin line a seed, a thick one their mean."""
    say, runs = WORDS[language], read("growth").get("runs", {})
    figure = new_figure(9, 4)
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (panel, arms) in zip(panels, PANELS.items(), strict=True):
        plain_axes(axes)
        axes.set_title(say["panels"][panel])
        axes.set_xlabel(say["axes"][0])
        for arm, colour in zip((arm for arm in arms if arm in runs), COLOURS, strict=False):
            curves = [[row["val_top1"] for row in run["epochs"]] for run in runs[arm]]
            epochs = range(1, len(curves[0]) + 1)
            for curve in curves:
                axes.plot(epochs, curve, color=colour, linewidth=0.6, alpha=0.4)
            mean = [statistics.mean(values) for values in zip(*curves, strict=True)]
            label = say["arms"].get(arm, arm)
            axes.plot(epochs, mean, color=colour, linewidth=2, label=label)
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    panels[0].set_ylabel(say["axes"][1])
    save_figure(figure, DOCS / f"{LANGUAGES[language]}.svg")


def main() -> None:
    """Both pages and their figures."""
    for language, name in LANGUAGES.items():
        file = DOCS / f"{name}.md"
        file.write_text(page(file.read_text(encoding="utf-8"), language), encoding="utf-8")
        if "minus_deep" in read("growth"):  # every arm is there
            draw(language)


if __name__ == "__main__":
    main()
