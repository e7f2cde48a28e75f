"""What the scripts share that draw pages of docs/ from benchmarks/results/*.json."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"


def read(name: str) -> dict:
    """A benchmark's results; empty where there are none."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def machine_of(found: dict) -> str:
    """What results were measured on, in a few words."""
    machine = found.get("machine")
    if not machine:
        return ""
    threads = "1 thread" if machine["threads"] == "1" else f"{machine['threads']} threads"
    return f"{machine['hardware']}, {threads}, torch {machine['torch']}"


def machines_of(found: dict) -> str:
    """The hardware of all runs: those of several machines may have met."""
    runs = [run for runs in found["runs"].values() for run in runs]
    return "; ".join(sorted({run["hardware"] for run in runs}))


def table(head: str, rows: list[tuple[str, ...]]) -> list[str]:
    """The lines of a Markdown table; `head` is its first one."""
    columns = head.count("|") - 1
    return [head, "|" + "---|" * columns, *(f"| {' | '.join(row)} |" for row in rows)]


def fill(text: str, name: str, lines: list[str]) -> str:
    """The page with what is between `<!-- name: ... -->` and `<!-- end of name -->` made anew."""
    before, rest = text.split(f"<!-- {name}: ", 1)
    how, rest = rest.split(" -->", 1)
    _, after = rest.split(f"<!-- end of {name} -->", 1)
    body = "\n".join(lines)
    return f"{before}<!-- {name}: {how} -->\n{body}\n<!-- end of {name} -->{after}"
