"""Tables as lines of text."""

from rich import box
from rich.console import Console
from rich.table import Table


def make_table(*columns: tuple[str, bool]) -> Table:
    """A table whose columns are (heading, whether it holds numbers)."""
    table = Table(box=box.SIMPLE_HEAD, title_justify="left")
    for heading, numbers in columns:
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=True)
    return table


def table_text(table: Table) -> str:
    """The table as lines, as long as they need to be, without colours."""
    console = Console(width=100_000, color_system=None)
    with console.capture() as capture:
        console.print(table, markup=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")


def giga(multiply_adds: int) -> str:
    """A number of multiply-adds in a few characters: `1.81 G`."""
    return (
        f"{multiply_adds / 1e9:.2f} G" if multiply_adds >= 1e8 else f"{multiply_adds / 1e6:.2f} M"
    )
