"""What `resnetkit check` found, as text for a terminal."""

from resnetkit.columns import make_table, table_text
from resnetkit.data.examine import Examination, Twins

MOST = 8
"""Lines of a list that is shown in part; --json has all of it."""

IMBALANCED = 5
"""From this many times on, the largest class against the smallest is worth a word."""


def examination(found: Examination) -> str:
    """Counts, then everything that may be wrong, the gravest first."""
    lines = [_summary(found), "", _classes(found)]
    lines += _listed("cannot be read", [f"{path}: {why}" for _, path, why in found.unreadable])
    lines += _listed("classes differ between parts", found.differences)
    lines += _twins("the same picture in two parts (a leak)", [t for t in found.twins if t.leaks])
    lines += _twins(
        "the same picture, labelled differently", [t for t in found.twins if t.disagree]
    )
    inside = [t for t in found.twins if not t.leaks and not t.disagree]
    lines += _twins("the same picture twice", [t for t in inside if t.exact])
    lines += _twins("nearly the same picture", [t for t in inside if not t.exact])
    for what, paths in (*found.odd.items(), *found.passed_over.items()):
        lines += _listed(what, paths)
    return "\n".join(lines)


def _summary(found: Examination) -> str:
    images = sum(found.formats.values())
    sizes = [f"{w} x {h} ({n:,})" for (w, h), n in list(found.sizes.items())[:4]]
    more = f", {len(found.sizes) - 4:,} other sizes" if len(found.sizes) > 4 else ""
    kinds = ", ".join(f"{kind} ({n:,})" for kind, n in found.formats.items())
    modes = ", ".join(f"{mode} ({n:,})" for mode, n in found.modes.items())
    sides = [side for size in found.sizes for side in size]
    span = f"; sides of {min(sides)} to {max(sides)} pixels" if len(found.sizes) > 1 else ""
    return "\n".join([
        f"{found.location}: {images:,} images that can be read, {len(found.unreadable):,} that "
        f"cannot",
        f"sizes    {', '.join(sizes)}{more}{span}",
        f"formats  {kinds}",
        f"modes    {modes}",
    ])  # fmt: skip


def _classes(found: Examination) -> str:
    """A row a class, a column a part; and how uneven they are."""
    parts = list(found.classes)
    table = make_table(("Class", False), *((part, True) for part in parts))
    for name in next(iter(found.classes.values()), {}):
        table.add_row(name, *(f"{found.classes[part].get(name, 0):,}" for part in parts))
    lines = [table_text(table).strip("\n")]
    for part, classes in found.classes.items():
        counts = [n for n in classes.values() if n]
        if counts and max(counts) >= IMBALANCED * min(counts):
            ratio = max(counts) / min(counts)
            lines.append(f"imbalanced: the largest class of {part} has {ratio:.0f} x the smallest")
    return "\n".join(lines)


def _listed(what: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = [f"  ... and {len(items) - MOST:,} more: see --json"] if len(items) > MOST else []
    return ["", f"{what}: {len(items):,}", *(f"  {item}" for item in items[:MOST]), *more]


def _twins(what: str, groups: list[Twins]) -> list[str]:
    shown = [
        " = ".join(f"{path} ({part}, {label})" for part, label, path in group.images[:4])
        for group in groups
    ]
    return _listed(what, shown)
