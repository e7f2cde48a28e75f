"""Write docs/lab.md and docs/lab.zh.md, and draw their figures.

    python scripts/lab_page.py lab/

Numbers come from the folders of experiments that were run, and are kept in docs/lab/; those that
have no folder there are drawn anew from what was kept. A full version goes before a small one.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from resnetkit.lab.experiment import OUTCOMES, Experiment, Language, Words
from resnetkit.lab.run import DATA, NAMES, experiment_of
from resnetkit.report.style import NO_CHINESE, language_of, save_figure

DOCS = Path(__file__).parent.parent / "docs"

ENDINGS: dict[Language, str] = {"en": "", "zh": ".zh"}

TITLE = Words("The lab", "实验室")
OTHER = Words("[中文](lab.zh.md)", "[English](lab.md)")
ABOUT = Words(
    "Claims about residual networks, tried. Each has a rule for its verdict that was written before "
    "the run; some verdicts are against the claim. `resnetkit lab NAME` repeats one. Small versions have "
    "two or three seeds: where there is no effect at all, chance alone says held, or did not hold, in 39% "
    "or 22% of the cases.",
    "对残差网络的论断，一一试过。每一个的判定规则都在运行之前写下；有些判定与论断相反。"
    "`resnetkit lab 名称` 可重做其中一个。小规模版只有两三个随机种子：即使毫无效应，也会有 39% 或 22% 的情况碰巧判为成立或不成立。",
)
FULL = Words("full version", "完整版")
SMALL = Words(
    "small version, of minutes: it shows less than it may seem to", "几分钟的小规模版：说明力有限"
)
EARLIER = Words(
    "*Measured by an earlier version of this experiment.*", "*由这个实验的早先版本测得。*"
)
MISSING = Words("not run yet", "尚未运行")


def sections_of(page: Path) -> dict[str, str]:
    """What a page says so far, by experiment."""
    if not page.exists():
        return {}
    parts = re.split(r"^(?=## `)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.split("`")[1]: part.rstrip() + "\n" for part in parts}


def found_of(experiment: Experiment, lab: Path) -> dict[str, Any] | None:
    """What was measured by today's version: the full one, or the small one, or nothing yet."""
    name = experiment.name
    files = [lab / f"{name}-full" / DATA, lab / name / DATA, DOCS / "lab" / f"{name}.json"]
    all_found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    todays = [found for found in all_found if found["version"] == experiment.version]
    return next((found for found in todays if is_full(experiment, found)), next(iter(todays), None))


def is_full(experiment: Experiment, found: dict[str, Any]) -> bool:
    """Whether the sizes are those of the full version, with any number of seeds."""
    small, full = (json.loads(json.dumps(s)) for s in (experiment.small, experiment.full))
    return found["sizes"] != small and full | {"seeds": 0} == found["sizes"] | {"seeds": 0}


def section(experiment: Experiment, found: dict[str, Any] | None, language: Language) -> str:
    """An experiment's part of the page."""
    heading = f"## `{experiment.name}`: {experiment.question.said(language)}\n\n"
    if found is None:
        return f"{heading}{MISSING.said(language)}\n"
    verdict = experiment.judge(found["data"])
    sizes = ", ".join(f"{key} {value}" for key, value in found["sizes"].items())
    which = (FULL if is_full(experiment, found) else SMALL).said(language)
    picture = f"lab/{experiment.name}{ENDINGS[language]}.svg"
    return (
        f"{heading}{experiment.done.said(language)}\n\n![{experiment.name}]({picture})\n\n"
        f"**{OUTCOMES[verdict.outcome].said(language)}** {verdict.why.said(language)}\n\n"
        f"{experiment.numbers(found['data'], language)}"
        f"{experiment.rule.said(language)} {experiment.limits.said(language)} "
        f"({which}: {sizes}; {experiment.source})\n"
    )


def page(lab: Path, language: Language, before: dict[str, str]) -> str:
    """The whole page; of what was not measured by today's version, what it said before."""
    parts = [f"# {TITLE.said(language)}\n\n{OTHER.said(language)}\n\n{ABOUT.said(language)}\n"]
    for experiment in map(experiment_of, NAMES):
        found = found_of(experiment, lab)
        kept = before.get(experiment.name) if found is None else None
        if kept and EARLIER.said(language) not in kept and MISSING.said(language) not in kept:
            kept = f"{kept}\n{EARLIER.said(language)}\n"
        parts.append(kept or section(experiment, found, language))
    return "\n".join(parts)


def keep(experiment: Experiment, found: dict[str, Any]) -> None:
    """An experiment's numbers and figures in docs/lab/."""
    folder = DOCS / "lab"
    folder.mkdir(exist_ok=True)
    numbers = json.dumps(found, indent=1) + "\n"
    (folder / f"{experiment.name}.json").write_text(numbers, encoding="utf-8")
    for language, ending in ENDINGS.items():
        figure = experiment.draw(found["data"], language)
        save_figure(figure, folder / f"{experiment.name}{ending}.svg")


def main() -> None:
    """Both pages, numbers and figures."""
    lab = Path(sys.argv[1])
    if language_of("zh") != "zh":
        sys.exit(NO_CHINESE)
    for experiment in map(experiment_of, NAMES):
        found = found_of(experiment, lab)
        if found is not None:
            keep(experiment, found)
    for language, ending in ENDINGS.items():
        file = DOCS / f"lab{ending}.md"
        file.write_text(page(lab, language, sections_of(file)), encoding="utf-8")


if __name__ == "__main__":
    main()
