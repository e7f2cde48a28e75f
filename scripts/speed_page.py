"""The tables of docs/speed.md and docs/speed.zh.md, made from benchmarks/results/*.json.

    python scripts/speed_page.py

What is between the two marks of a page is replaced; what was not measured yet is left out.
"""

from collections.abc import Iterator

from pages import DOCS, fill, machine_of, read, table

from resnetkit.training.recipe_files import read_recipe

IMAGENET, MEASURED_SIZE = 1_281_167, 224
"""Training images, and the pixels at which a step was measured."""

HEADS = {
    "en": "| what | against | figure | command |",
    "zh": "| 内容 | 对照 | 数字 | 命令 |",
}
WORDS = {
    "en": {
        "step": "training step, {model}, {size} px, batch {batch}",
        "plain": "torchvision, fp32, default layout",
        "step_figure": "{ratio:.2f} times ({low:.2f} to {high:.2f}): {images_per_second:.0f}"
        " images/s against {their_images_per_second:.0f};"
        " {share_of_matrix_rate:.0%} of the matrix rate",
        "input": "decode, random resized crop, flip to 224 px, one core",
        "cache": "the same from the cache",
        "pipeline": "torchvision's transforms",
        "times": "{ratio:.2f} times ({low:.2f} to {high:.2f})",
        "predict": "prediction, {model}, 224 px, batch {batch}, {precision}",
        "eager": "torchvision, eager, fp32",
        "predict_figure": "{ratio:.2f} times ({low:.2f} to {high:.2f}): {milliseconds:.1f} ms"
        " against {their_milliseconds:.1f}",
        "apart": "the same, probabilities on {images:,} real pictures, {precision}",
        "exact": "the network in fp32",
        "apart_figure": "largest difference {largest_probability_difference:.1e}; likeliest class"
        " changed: {changed_top1}",
        "start": "`resnetkit predict runs/x one.jpg`, whole process",
        "folder": "`train` on {images:,} JPEGs, resnet18, 96 px, second epoch",
        "loop": "ImageFolder, DataLoader with 2 workers, fp32",
        "folder_figure": "{cache:.2f} times; waiting for images {waiting:.1%}; without a cache"
        " {bare:.2f} times",
        "fast": "`--recipe fast --epochs {epochs:.0f}`, 3 seeds, train and evaluate",
        "textbook": "the textbook's 600,000 images at the plain loop's speed, {hours:.1f} h",
        "fast_figure": "test accuracy {test_top1:.4f} (lowest {lowest:.4f}) in {wall:.0f} s: "
        "1/{part:.0f} of the time",
        "long": "`--recipe {recipe}`, {epochs:.0f} epochs, one seed",
        "gpu": "| training step, resnet50, 224 px, batch {batch}, bf16 | images/s |",
        "gpu_ratio": "{ours}, against the quickest of theirs, {theirs}: {ratio:.2f} times"
        " ({low:.2f} to {high:.2f}); {share:.0%} of the matrix rate.",
        "side": {"ours": "Ours"},
        "paper": "| recipe | images | 1 GPU | 8 GPUs | 64 GPUs | cores for a GPU's images |",
        "hours": "{:.1f} h",
        "minutes": "{:.0f} min",
        "board": "Fashion-MNIST's board: ResNet-18 0.949",
        "long_figure": "test accuracy {test_top1:.4f} after {minutes:.0f} minutes of training",
    },
    "zh": {
        "step": "一个训练步，{model}，{size} 像素，批量 {batch}",
        "plain": "torchvision，fp32，默认布局",
        "step_figure": "{ratio:.2f} 倍（{low:.2f} 至 {high:.2f}）：每秒 {images_per_second:.0f}"
        " 张对 {their_images_per_second:.0f} 张；为矩阵乘法速率的 {share_of_matrix_rate:.0%}",
        "input": "解码、随机缩放裁剪、翻转到 224 像素，单核",
        "cache": "同上，来自缓存",
        "pipeline": "torchvision 的 transforms",
        "times": "{ratio:.2f} 倍（{low:.2f} 至 {high:.2f}）",
        "predict": "预测，{model}，224 像素，批量 {batch}，{precision}",
        "eager": "torchvision，eager，fp32",
        "predict_figure": "{ratio:.2f} 倍（{low:.2f} 至 {high:.2f}）：{milliseconds:.1f} 毫秒对"
        " {their_milliseconds:.1f} 毫秒",
        "apart": "同上，{images:,} 张真实图片的概率，{precision}",
        "exact": "fp32 的原网络",
        "apart_figure": "最大差 {largest_probability_difference:.1e}；首选类别改变：{changed_top1}",
        "start": "`resnetkit predict runs/x one.jpg`，整个进程",
        "folder": "`train`，{images:,} 张 JPEG，resnet18，96 像素，第二轮",
        "loop": "ImageFolder，DataLoader（2 个进程），fp32",
        "folder_figure": "{cache:.2f} 倍；等待图片的时间 {waiting:.1%}；无缓存 {bare:.2f} 倍",
        "fast": "`--recipe fast --epochs {epochs:.0f}`，3 个种子，训练加评估",
        "textbook": "教材的 600,000 张图片，按普通循环的速度，{hours:.1f} 小时",
        "fast_figure": "测试准确率 {test_top1:.4f}（最低 {lowest:.4f}），{wall:.0f} 秒："
        "为其时间的 1/{part:.0f}",
        "long": "`--recipe {recipe}`，{epochs:.0f} 轮，一个种子",
        "gpu": "| 一个训练步，resnet50，224 像素，批量 {batch}，bf16 | 每秒图片数 |",
        "gpu_ratio": "{ours}，对他们最快的（{theirs}）：{ratio:.2f} 倍（{low:.2f} 至"
        " {high:.2f}）；为矩阵乘法速率的 {share:.0%}。",
        "side": {"ours": "本项目", "compiled": "编译"},
        "paper": "| 配方 | 图片数 | 1 块 GPU | 8 块 | 64 块 | 每块 GPU 读图所需的核数 |",
        "hours": "{:.1f} 小时",
        "minutes": "{:.0f} 分钟",
        "board": "Fashion-MNIST 的榜单：ResNet-18 0.949",
        "long_figure": "测试准确率 {test_top1:.4f}，训练 {minutes:.0f} 分钟",
    },
}


def rows(say: dict) -> Iterator[tuple[str, str, str, str]]:
    """What, against what, the figure, the command."""
    for case in read("step_speed").get("cases", []):
        figure = say["step_figure"].format(**case)
        yield say["step"].format(**case), say["plain"], figure, "make speed"
    for who, found in read("input_speed").get("against_torchvision", {}).items():
        what = say["input" if who == "ours" else "cache"]
        yield what, say["pipeline"], say["times"].format(**found), "make speed"
    predict = read("predict_speed")
    for case in predict.get("cases", []):
        what = say["predict"].format(model=predict["model"], **case)
        yield what, say["eager"], say["predict_figure"].format(**case), "make speed"
    for precision, found in predict.get("differences", {}).items():
        what = say["apart"].format(precision=precision, **found)
        yield what, say["exact"], say["apart_figure"].format(**found), "make speed"
    start = read("start_time").get("times_import_torch")
    if start:
        yield say["start"], "`import torch`", say["times"].format(**start), "make speed"
    folder = read("folder_speed")
    if folder:
        figure = say["folder_figure"].format(
            cache=folder["ratio"]["cache"], bare=folder["ratio"]["no cache"], **folder
        )
        yield say["folder"].format(**folder), say["loop"], figure, "make speed-folder"
    for found in read("fast_recipe").get("targets", {}).values():
        what = say["fast"].format(**found)
        against = say["textbook"].format(hours=found["textbook_seconds"] / 3600)
        figure = say["fast_figure"].format(part=1 / found["of_textbook"], **found)
        yield what, against, figure, "make fast"
    for recipe in ("default", "best"):
        for run in read(f"{recipe}_recipe").get("runs", [])[:1]:
            figure = say["long_figure"].format(minutes=run["training"] / 60, **run)
            what = say["long"].format(recipe=recipe, **run)
            yield what, say["board"], figure, f"make {recipe}"


def page(text: str, language: str) -> str:
    """The page with its table made anew."""
    found = [(*row[:3], f"`{row[3]}`") for row in rows(WORDS[language])]
    lines = [machine_of(read("step_speed")), "", *table(HEADS[language], found)]
    say = WORDS[language]
    return fill(fill(fill(text, "figures", lines), "gpu", gpu(say)), "imagenet", imagenet(say))


def gpu(say: dict) -> list[str]:
    """Everybody's step on a GPU."""
    found = read("gpu_speed")
    if not found:
        return []

    def named(side: str) -> str:
        who, _, how = side.partition(", ")
        return ", ".join(say["side"].get(word, word) for word in (who, how or "eager"))

    rates = [(named(side), f"{rate:,.0f}") for side, rate in found["images_per_second"].items()]
    ours, theirs = found["best_of_ours"], found["best_of_theirs"]
    about = {"ours": named(ours), "theirs": named(theirs)}
    share = found["share_of_matrix_rate"][ours]
    ratio = say["gpu_ratio"].format(**found | about, share=share)
    gpu = f"{found['gpu']['hardware']}, torch {found['gpu']['torch']}"
    return [gpu, "", *table(say["gpu"].format(**found), rates), "", ratio]


def imagenet(say: dict) -> list[str]:
    """How long recipes for ImageNet would take, from what a step and decoding take."""
    measured = read("gpu_speed")
    if not measured:
        return []
    rate = max(measured["images_per_second"][side] for side in ("ours", "ours, compiled"))
    decoding, rows = read("input_speed")["images_per_second"]["ours"], []
    for name in ("a3", "torchvision-v2", "a1"):
        recipe = read_recipe(name)
        images = recipe.epochs * IMAGENET
        a_second = rate * (MEASURED_SIZE / (recipe.data.image_size or MEASURED_SIZE)) ** 2
        times = [images / a_second / 3600 / gpus for gpus in (1, 8, 64)]
        rows.append((
            f"`{name}`", f"{images / 1e6:,.0f} M",
            *(say["hours"].format(h) if h >= 1 else say["minutes"].format(60 * h) for h in times),
            f"{a_second / decoding:.1f}",
        ))  # fmt: skip
    return table(say["paper"], rows)


def main() -> None:
    """Both pages."""
    for language, name in (("en", "speed.md"), ("zh", "speed.zh.md")):
        file = DOCS / name
        file.write_text(page(file.read_text(encoding="utf-8"), language), encoding="utf-8")


if __name__ == "__main__":
    main()
