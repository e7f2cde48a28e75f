"""What an evaluation found, as a picture: the confusion matrix, or precision against recall."""

from pathlib import Path

from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.report.confusion import draw_confusion
from resnetkit.report.precision_recall import draw_precision_recall


def draw_judged(result: Result | MultiLabelResult, title: str, path: Path) -> None:
    """Draw into a PNG; where an image may have several classes none is taken for another."""
    if isinstance(result, MultiLabelResult):
        draw_precision_recall(result, title, path)
    else:
        draw_confusion(result, title, path)
