"""What `resnetkit bench` measured, as text for a terminal."""

from resnetkit.benching.results import BenchResult, BenchRow, Spread
from resnetkit.columns import giga, make_table, table_text


def measured(found: BenchResult) -> str:
    """A row a network, then what the machine's multipliers can do, then what went otherwise."""
    trains = any(row.training for row in found.rows)
    knows = any(row.accuracy for row in found.rows)
    table = make_table(*_columns(trains=trains, knows=knows))
    for row in found.rows:
        cells = _cells(row)
        if trains:
            cells += _training(row)
        if knows:
            cells.append(f"{row.accuracy.top1:.2f}%" if row.accuracy else "")
        table.add_row(*cells)
    lines = [table_text(table).strip("\n"), ""]
    if found.matrix_rate:
        tera, side = found.matrix_rate.median / 1e12, found.matrix_side
        lines.append(
            f"100% of the matrix rate: {tera:.2f} TFLOP/s, {side:,} x {side:,} in "
            f"{found.machine.precision}"
        )
    lines += [f"{row.name}: {note}" for row in found.rows for note in row.notes]
    return "\n".join(lines)


def _columns(*, trains: bool, knows: bool) -> list[tuple[str, bool]]:
    names = ["at", "Parameters", "Multiply-adds", "Images/s", "Batch", "p50", "p95", "Of matrix"]
    names += ["Training images/s", "Batch", "Peak memory"] if trains else []
    names += ["Top-1"] if knows else []
    return [("Name", False), *((name, True) for name in names)]


def _cells(row: BenchRow) -> list[str]:
    cells = [
        row.name, f"{row.image_size} px", f"{row.parameters:,}", giga(row.multiply_adds),
        _rate(row.images_per_second), str(row.batch or "none fits"),
    ]  # fmt: skip
    if row.latency_ms is None or row.matrix_share is None:
        return [*cells, "", "", ""]
    latency = (f"{ms:.3g} ms" if ms < 100 else f"{ms:.0f} ms" for ms in _milliseconds(row))
    return [*cells, *latency, f"{row.matrix_share.median:.0%}"]


def _milliseconds(row: BenchRow) -> tuple[float, float]:
    assert row.latency_ms is not None
    return row.latency_ms.p50, row.latency_ms.p95


def _training(row: BenchRow) -> list[str]:
    if row.training is None:
        return ["", "none fits", ""]
    peak = row.training.peak_bytes
    shown = "unknown" if peak is None else f"{peak / 2**30:.2f} GiB"
    return [_rate(row.training.images_per_second), str(row.training.batch), shown]


def _rate(found: Spread | None) -> str:
    if found is None:
        return ""
    return f"{found.median:,.0f}" if found.median >= 100 else f"{found.median:.3g}"
