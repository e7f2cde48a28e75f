"""Write docs/lab.md and docs/lab.zh.md from the folders of experiments that were run.

    python scripts/lab_page.py lab/

Each experiment's figure and numbers are copied to docs/lab/. What the pages say of experiments that
have no folder there stays.
"""

import json
import re
import shutil
import sys
from pathlib import Path

from resnetkit.lab.experiment import OUTCOMES, Language, Words
from resnetkit.lab.run import DATA, NAMES, experiment_of

DOCS = Path(__file__).parent.parent / "docs"

TITLE = Words("The lab", "实验室")
OTHER = Words("[中文](lab.zh.md)", "[English](lab.md)")
ABOUT = Words(
    "Claims about residual networks, tried. Each has a rule for its verdict that was written before "
    "the run; some verdicts are against the claim. `resnetkit lab NAME` repeats one.",
    "对残差网络的论断，一一试过。每一个的判定规则都在运行之前写下；有些判定与论断相反。"
    "`resnetkit lab 名称` 可重做其中一个。",
)
FULL = Words("full version", "完整版")
SMALL = Words(
    "small version, of minutes: it shows less than it may seem to", "几分钟的小规模版：说明力有限"
)
MISSING = Words("not run yet", "尚未运行")


def sections_of(page: Path) -> dict[str, str]:
    """What a page says so far, by experiment."""
    if not page.exists():
        return {}
    parts = re.split(r"^(?=## `)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.split("`")[1]: part.rstrip() + "\n" for part in parts}


def found_in(lab: Path, name: str, version: int) -> Path | None:
    """The folder of an experiment's full version, or of the small one, where it is of today's."""
    for folder in (lab / f"{name}-full", lab / name):
        file = folder / DATA
        if file.is_file() and json.loads(file.read_text(encoding="utf-8"))["version"] == version:
            return folder
    return None


def section(name: str, lab: Path, language: Language, before: dict[str, str]) -> str:
    """An experiment's part of the page; its figure and numbers go to docs/lab/."""
    experiment = experiment_of(name)
    heading = f"## `{name}`: {experiment.question.said(language)}\n\n"
    folder = found_in(lab, name, experiment.version)
    if folder is None:
        return before.get(name, f"{heading}{MISSING.said(language)}\n")
    found = json.loads((folder / DATA).read_text(encoding="utf-8"))
    verdict = experiment.judge(found["data"])
    ending = ".zh" if language == "zh" else ""
    picture = f"lab/{name}{ending}.svg"
    (DOCS / "lab").mkdir(exist_ok=True)
    shutil.copyfile(folder / f"figure{ending}.svg", DOCS / picture)
    shutil.copyfile(folder / DATA, DOCS / "lab" / f"{name}.json")
    sizes = ", ".join(f"{key} {value}" for key, value in found["sizes"].items())
    which = (FULL if folder.name.endswith("-full") else SMALL).said(language)
    return (
        f"{heading}{experiment.done.said(language)}\n\n![{name}]({picture})\n\n"
        f"**{OUTCOMES[verdict.outcome].said(language)}** {verdict.why.said(language)}\n\n"
        f"{experiment.rule.said(language)} {experiment.limits.said(language)} "
        f"({which}: {sizes}; {experiment.source})\n"
    )


def main() -> None:
    """Both pages."""
    lab = Path(sys.argv[1])
    for language, ending in (("en", ""), ("zh", ".zh")):
        parts = [f"# {TITLE.said(language)}\n\n{OTHER.said(language)}\n\n{ABOUT.said(language)}\n"]
        page = DOCS / f"lab{ending}.md"
        before = sections_of(page)
        parts += [section(name, lab, language, before) for name in NAMES]
        page.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
