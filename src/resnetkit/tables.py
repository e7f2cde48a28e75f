"""Results as tables for a terminal, and as plain data for JSON."""

from dataclasses import replace

from resnetkit.any_depth import Depth
from resnetkit.api import DepthsEvaluation, Evaluation
from resnetkit.columns import giga, make_table, table_text
from resnetkit.exits import loss_text
from resnetkit.inference import Prediction
from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.nets.spec import for_size
from resnetkit.nets.summary import Summary, summarise
from resnetkit.nets.zoo import ZOO, models, usual
from resnetkit.published import best_published, published

TOP_5_FROM = 5
"""Of so many classes or fewer every image is among the likeliest five."""

MOST_CONFUSED = 5
"""Rows of the list of classes that are taken for one another."""

WORST = 3
"""Classes that are named for being found least often."""

Cost = tuple[str, int, Summary]
"""A network's name, the image size in pixels, and what it costs at that size."""


def costs(
    pattern: str, image_size: int | None, channels: int | None, classes: int | None
) -> list[Cost]:
    """The networks whose names match; raises UserError when none does."""
    changes = {"classes": classes, "channels": channels}
    changes = {name: value for name, value in changes.items() if value is not None}
    found = []
    for name in models(pattern):
        size = image_size or usual(name).size
        spec = for_size(replace(ZOO[name], **changes), size)
        found.append((name, size, summarise(spec, size, size)))
    return found


def costs_json(found: list[Cost]) -> list[dict]:
    """Networks as plain data."""
    return [
        {
            "name": name,
            "image_size": size,
            "mean": list(usual(name).mean),
            "std": list(usual(name).std),
            "layers": summary.layers,
            "parameters": summary.parameters,
            "multiply_adds": summary.multiply_adds,
            "published": [
                {"source": p.source, "tag": p.tag, "image_size": p.image_size, "top1": p.top1}
                for p in published()
                if p.model == name
            ],
            "stages": [vars(row) | {"shape": list(row.shape)} for row in summary.rows],
        }
        for name, size, summary in found
    ]


def zoo(found: list[Cost]) -> str:
    """A line a network."""
    table = make_table(
        ("Name", False),
        ("Layers", True),
        ("Parameters", True),
        ("Multiply-adds", True),
        ("at", True),
        ("Mean", False),
        ("Deviation", False),
        ("ImageNet top-1", True),
    )
    for name, size, s in found:
        images, best = usual(name), best_published(name)
        top1 = f"{best.top1:.1f}% at {best.image_size} px" if best else ""
        table.add_row(
            name, f"{s.layers}", f"{s.parameters:,}", giga(s.multiply_adds), f"{size} px",
            _numbers(images.mean), _numbers(images.std), top1,
        )  # fmt: skip
    return table_text(table)


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.3g}" for value in values)


def stages(name: str, size: int, summary: Summary) -> str:
    """The shapes stage by stage, for one image."""
    table = make_table(
        ("Part", False), ("Output shape", True), ("Parameters", True), ("Multiply-adds", True)
    )
    table.title = f"{name} at {size} px: {summary.layers} layers"
    for row in summary.rows:
        shape = " x ".join(map(str, row.shape))
        table.add_row(row.part, shape, f"{row.parameters:,}", giga(row.multiply_adds))
    table.add_section()
    table.add_row("all", "", f"{summary.parameters:,}", giga(summary.multiply_adds))
    return table_text(table)


def judged(found: Evaluation | DepthsEvaluation) -> str:
    """One network's result, or a row a depth."""
    return evaluation(found) if isinstance(found, Evaluation) else depths(found)


def evaluation(found: Evaluation) -> str:
    """Totals, a row a class, and what is taken for what."""
    result = found.result
    if isinstance(result, MultiLabelResult):
        return _multi_label(found.part, result)
    low, high = result.interval
    lines = [
        f"{result.images:,} images, {_part(found.part)}",
        f"top-1  {result.top1:.2%}  (95% interval {low:.2%} to {high:.2%})",
        f"balanced  {result.balanced:.2%}  (every class counts alike){_worst(result)}",
        *([f"top-5  {result.top5:.2%}"] if len(result.classes) > TOP_5_FROM else []),
        f"loss   {result.loss:.4f}",
        f"calibration error  {result.ece:.4f}",
    ]
    table = make_table(
        ("Class", False), ("Images", True), ("Recall", True), ("Precision", True), ("F1", True)
    )
    for row in result.classes:
        shares = (f"{share:.3f}" for share in (row.recall, row.precision, row.f1))
        table.add_row(row.name, f"{row.images:,}", *shares)
    names = [row.name for row in result.classes]
    mistakes = [
        (int(count), names[i], names[j])
        for i, counts in enumerate(result.confusion)
        for j, count in enumerate(counts)
        if i != j and count
    ]
    worst = sorted(mistakes, reverse=True)[:MOST_CONFUSED]
    lines += ["", table_text(table)]
    if worst:
        lines += ["", "most confused:"]
        lines += [f"  {count:,} x {true} taken for {taken}" for count, true, taken in worst]
    return "\n".join(lines)


def _worst(result: Result) -> str:
    """The classes that are found least often, where there are several to choose from."""
    classes = [row for row in result.classes if row.images]
    if len(classes) <= WORST:
        return ""
    lowest = sorted(classes, key=lambda row: row.recall)[:WORST]
    return "; worst: " + ", ".join(f"{row.name} {row.recall:.1%}" for row in lowest)


def depths(found: DepthsEvaluation) -> str:
    """A row a depth."""
    table = make_table(
        ("Layers", True), ("Parameters", True), ("Multiply-adds", True), ("Images/s", True),
        ("Top-1", True), ("95% interval", True), ("Loss", True),
    )  # fmt: skip
    for depth in found.depths:
        result = depth.result
        low, high = result.interval
        table.add_row(
            _depth(depth), f"{depth.parameters:,}", giga(round(depth.multiply_adds)),
            f"{depth.images_per_second:,.0f}", f"{result.top1:.2%}", f"{low:.2%} to {high:.2%}",
            f"{result.loss:.4f}",
        )  # fmt: skip
    return f"{found.images:,} images, {_part(found.part)}\n\n{table_text(table)}"


def _depth(depth: Depth) -> str:
    if depth.early_exit is None:
        return f"{depth.layers}"
    return f"{depth.layers} for {depth.exited:.1%}, loss {loss_text(depth.early_exit)}"


def _multi_label(part: str, result: MultiLabelResult) -> str:
    """Totals, and a row a class."""
    low, high = result.interval
    lines = [
        f"{result.images:,} images of several classes each, part {part}",
        f"mean average precision  {_share(result.map)}",
        f"top-1  {result.top1:.2%}  (95% interval {low:.2%} to {high:.2%}): the likeliest class is "
        f"one of the image's",
        f"top-5  {result.top5:.2%}",
        f"loss   {result.loss:.4f}  (binary cross-entropy, sum over classes)",
        f"calibration error  {result.ece:.4f}",
    ]
    table = make_table(
        ("Class", False),
        ("Images", True),
        ("Average precision", True),
        ("Recall", True),
        ("Precision", True),
        ("F1 at 0.5", True),
    )
    for row in result.classes:
        shares = (_share(share) for share in (row.ap, row.recall, row.precision, row.f1))
        table.add_row(row.name, f"{row.images:,}", *shares)
    return "\n".join([*lines, "", table_text(table).rstrip()])


def _share(share: float | None) -> str:
    return "none" if share is None else f"{share:.3f}"


FOLD_COLUMNS = {"val_loss": "Loss", "val_top1": "Top-1", "val_map": "mAP"}
"""Of the results of a fold."""


def folds(summary: dict) -> str:
    """A row a fold, then their mean and standard deviation."""
    rows = summary["results"]
    keys = [key for key in FOLD_COLUMNS if key in rows[0]]
    table = make_table(
        ("Fold", False), ("Trained on", True), ("Judged by", True),
        *((FOLD_COLUMNS[key], True) for key in keys),
    )  # fmt: skip
    for row in rows:
        numbers = (f"{row['images']:,}", f"{row['val_images']:,}")
        table.add_row(str(row["fold"]), *numbers, *(_number(key, row[key]) for key in keys))
    table.add_section()
    for name in ("mean", "deviation"):
        values = (_number(key, summary[name].get(key)) for key in keys)
        table.add_row(name, "", "", *values)
    return table_text(table)


def _number(key: str, value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.2%}" if key == "val_top1" else f"{value:.4f}"


def predictions(found: list[Prediction]) -> str:
    """A line a picture that could be read."""
    return "\n".join(f"{one.path}: {_named(one)}" for one in found if not one.error)


def _named(prediction: Prediction) -> str:
    """The likeliest classes; of several, those that are not taken to be there in brackets."""
    words = [f"{name} {share:.1%}" for name, share in prediction.top]
    if prediction.labels is None:
        return ", ".join(words)
    there = len(prediction.labels)
    yes, no = ", ".join(words[:there]) or "none above 50%", ", ".join(words[there:])
    return f"{yes} (below: {no})" if no else yes


def _part(part: str) -> str:
    return "all that there are: no part was chosen" if part == "all" else f"part {part}"
