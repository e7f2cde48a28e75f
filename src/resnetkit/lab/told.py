"""The page of an experiment: question, what was done, figure, verdict, what it does not show."""

from collections.abc import Sequence
from typing import Any

from resnetkit.columns import make_table, table_text
from resnetkit.config import shown
from resnetkit.lab.experiment import OUTCOMES, Experiment, Language, Verdict, Words

HEADINGS = {
    "source": Words("Source", "出处"),
    "done": Words("What was done", "做了什么"),
    "sizes": Words("Sizes", "规模"),
    "rule": Words("The rule of the verdict, written before the run", "判定规则（在运行之前写下）"),
    "verdict": Words("Verdict", "判定"),
    "limits": Words("What it does not show", "它没有说明什么"),
}


def readme(
    experiment: Experiment,
    sizes: dict[str, Any],
    data: dict[str, Any],
    verdict: Verdict,
    language: Language,
    picture: str,
    *,
    full: bool,
) -> str:
    """Markdown, in one language."""

    def heading(key: str) -> str:
        return HEADINGS[key].said(language)

    numbers = ", ".join(
        f"{k} {shown(tuple(v) if isinstance(v, list) else v)}" for k, v in sizes.items()
    )
    table = experiment.numbers(data, language)
    usual = (experiment.full if full else experiment.small)["seeds"]
    flags = " --full" * full + f" --seeds {sizes['seeds']}" * (sizes["seeds"] != usual)
    again = f"`resnetkit lab {experiment.name}{flags}`"
    return f"""# {experiment.question.said(language)}

![]({picture})

**{heading("verdict")}**: {OUTCOMES[verdict.outcome].said(language)} {verdict.why.said(language)}

{table}**{heading("done")}** ({again}): {experiment.done.said(language)}

**{heading("sizes")}**: {numbers}

**{heading("rule")}**: {experiment.rule.said(language)}

**{heading("limits")}**: {experiment.limits.said(language)}

**{heading("source")}**: {experiment.source}
"""


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows, the first of which are the headings."""
    head, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *others])


def listed(questions: dict[str, str]) -> str:
    """A row an experiment: its name, and what it asks."""
    table = make_table(("Experiment", False), ("Question", False))
    for name, question in questions.items():
        table.add_row(name, question)
    return table_text(table)
