"""A CSV of `path,label` with an optional `part`: its lines, checked one by one."""

import csv
from dataclasses import dataclass
from pathlib import Path

from resnetkit.errors import UserError

PARTS = ("train", "val", "test")
SEPARATOR = ";"
"""Between the classes of an image that has several."""


@dataclass(frozen=True)
class Row:
    """An image: its path as it stands there, and its classes, each once."""

    path: str
    classes: tuple[str, ...]


def read_rows(file: Path, multi_label: bool) -> tuple[dict[str, list[Row]], bool]:
    """The lines under the header by part, and whether an image may have several classes.

    Args:
        file: the CSV, in UTF-8.
        multi_label: it may; it may also when any label holds a `;`. Then a label is split there,
            and an empty one means that the image has no class.

    Raises:
        UserError: it cannot be read, a column is missing, or a line is not as it should be.
    """
    lines = read_columns(file)
    multi_label = multi_label or any(SEPARATOR in (row["label"] or "") for _, row in lines)
    table: dict[str, list[Row]] = {}
    for line, row in lines:
        part, label = (row.get("part") or "train").strip(), row["label"]
        if part not in PARTS:
            raise UserError(f"{file}, line {line}: part {part!r} is not one of {', '.join(PARTS)}")
        if not row["path"] or label is None or not (label.strip() or multi_label):
            raise UserError(f"{file}, line {line}: the path or the label is empty")
        names = (
            [name.strip() for name in label.split(SEPARATOR)] if multi_label else [label.strip()]
        )
        classes = tuple(dict.fromkeys(name for name in names if name))
        table.setdefault(part, []).append(Row(row["path"], classes))
    if not table:
        raise UserError(f"{file}: no rows under its header")
    return table, multi_label


def read_columns(file: Path) -> list[tuple[int, dict]]:
    """The lines under the header with their numbers, each as column -> text.

    Raises:
        UserError: it cannot be read, or has no columns `path` and `label`.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text)
            columns = reader.fieldnames or []
            for wanted in ("path", "label"):
                if wanted not in columns:
                    raise UserError(f"{file}: no column {wanted!r}; it has {', '.join(columns)}")
            return [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: not a CSV in UTF-8: {error}") from None
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
