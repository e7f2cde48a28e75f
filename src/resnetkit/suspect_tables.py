"""What `resnetkit labels` found, as text for a terminal."""

from resnetkit.columns import make_table, table_text
from resnetkit.suspects import Suspects


def listed(found: Suspects, most: int) -> str:
    """How many, then the worst."""
    share = len(found.found) / found.images if found.images else 0
    head = (
        f"{len(found.found):,} of {found.images:,} labels look wrong ({share:.1%}): less likely "
        f"right than {found.cut:g}"
    )
    if not found.found:
        return head
    table = make_table(
        ("Image", False), ("Given", False), ("Likely", False), ("Chance that it is right", True)
    )
    for one in found.found[:most]:
        table.add_row(one.path, one.given, one.likely, f"{one.score:.4f}")
    rest = len(found.found) - most
    more = f"\n... and {rest:,} more: --csv or --json has them all" if rest > 0 else ""
    return f"{head}\n\n{table_text(table)}{more}"
