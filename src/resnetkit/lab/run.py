"""`rk.run_experiment`: an experiment is carried out, drawn and judged; its folder tells of it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from resnetkit.errors import UserError, nearest
from resnetkit.files import write_whole
from resnetkit.lab.bench import Bench
from resnetkit.lab.budget import Budget
from resnetkit.lab.experiment import OUTCOMES, Experiment, Language, Verdict
from resnetkit.lab.told import readme
from resnetkit.ranks import require_one_process
from resnetkit.report.style import NO_CHINESE, language_of, save_figure
from resnetkit.training.observer import Observer

NAMES = (
    "function-classes", "identity", "propagation", "degradation", "shortcuts", "orders",
    "thousand-layers", "depth-speed", "inside-out", "bad-g", "schedules", "batch-size",
    "resolution", "generalisation", "labels", "fully-connected", "landscape",
)  # fmt: skip
"""In the order in which a reader meets them."""

DATA = "data.json"


@dataclass(frozen=True)
class LabResult:
    """What came of an experiment.

    Attributes:
        name: of the experiment.
        folder: with figure.svg, figure.png, data.json, README.md, and the same in Chinese.
        verdict: held, did not hold or undecided, and why.
        data: what was measured.
        seconds: that it took; 0 where it was done already.
    """

    name: str
    folder: Path
    verdict: Verdict
    data: dict[str, Any]
    seconds: float

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        verdict = {"outcome": self.verdict.outcome, "why": self.verdict.why.en}
        return {
            "name": self.name, "folder": str(self.folder), "verdict": verdict, "data": self.data,
            "seconds": round(self.seconds, 1),
        }  # fmt: skip


def experiment_of(name: str) -> Experiment:
    """The experiment of a name; raises UserError with the nearest names."""
    if name not in NAMES:
        raise UserError(f"no experiment is called {name!r}; {nearest(name, NAMES)}")
    module = import_module(f"resnetkit.lab.experiments.{name.replace('-', '_')}")
    return module.EXPERIMENT


def run_experiment(
    name: str,
    *,
    out: str | Path = "lab",
    full: bool = False,
    seeds: int | None = None,
    budget: Budget | None = None,
    observer: Observer | None = None,
    **session: Any,
) -> LabResult:
    """Run an experiment, or go on with it; what is done already is not done again.

    Args:
        name: one of `NAMES`.
        out: the folder that holds a folder an experiment.
        full: the version that takes its time; otherwise the one of minutes.
        seeds: instead of the version's own number of them.
        budget: when its minutes are over, no further run begins; several experiments may share it.
        observer: is told how it goes.
        session: `threads`, `workers`, `device`, `data_dir`, as of `rk.train`.

    Raises:
        UserError: no such experiment, the folder cannot be written, or the minutes are over.
    """
    experiment, observer = experiment_of(name), observer or Observer()
    sizes = dict(experiment.full if full else experiment.small)
    if seeds is not None and seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {seeds}")
    require_one_process("an experiment runs in")
    if seeds is not None:
        sizes["seeds"] = seeds
    folder = Path(out) / (f"{name}-full" if full else name)
    folder.mkdir(parents=True, exist_ok=True)
    about = {"experiment": name, "version": experiment.version, "sizes": sizes}
    data, seconds = _done(folder, about, experiment, observer), 0.0
    if data is None:
        began = time.monotonic()
        bench = Bench(folder / f"runs-{experiment.version}", session, observer, budget or Budget())
        data = experiment.measure(bench, **sizes)
        seconds = time.monotonic() - began
        write_whole(folder / DATA, json.dumps({**about, "data": data}, indent=1) + "\n")
    data = json.loads(json.dumps(data))
    verdict = experiment.judge(data)
    if language_of("zh") != "zh":
        observer.say(NO_CHINESE)
    _tell(experiment, sizes, data, verdict, folder, full=full)
    return LabResult(name, folder, verdict, data, seconds)


def _done(
    folder: Path, about: Mapping[str, Any], experiment: Experiment, observer: Observer
) -> dict[str, Any] | None:
    """What data.json holds, where it is of the same version and sizes."""
    file = folder / DATA
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        same = all(found[key] == json.loads(json.dumps(value)) for key, value in about.items())
        data = found["data"]
        if same:
            experiment.judge(data)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        observer.say(f"{file} cannot be read: it is measured anew")
        return None
    if same:
        return data
    observer.say(f"{file} is of another version or other sizes: it is measured anew")
    return None


def _tell(
    experiment: Experiment, sizes: dict[str, Any], data: dict[str, Any], verdict: Verdict,
    folder: Path, *, full: bool,
) -> None:  # fmt: skip
    """Figures and pages, in both languages."""
    for language, ending in (("en", ""), ("zh", ".zh")):
        figure = experiment.draw(data, language_of(language))
        for kind in ("svg", "png"):
            save_figure(figure, folder / f"figure{ending}.{kind}")
        text = readme(experiment, sizes, data, verdict, language, f"figure{ending}.png", full=full)
        write_whole(folder / f"README{ending}.md", text)


def outcome_line(result: LabResult, language: Language) -> str:
    """A line for a terminal."""
    outcome, why = OUTCOMES[result.verdict.outcome], result.verdict.why
    return f"{result.name}: {outcome.said(language)} {why.said(language)}"
