"""Where an experiment's networks are trained: ordinary run folders, kept and gone on with."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import resnetkit.api as rk
from resnetkit.errors import UserError
from resnetkit.files import remove_tree, write_whole
from resnetkit.lab.budget import Budget
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Recipe
from resnetkit.training.recipe_files import read_recipe
from resnetkit.training.run_folder import RunFolder, read_metrics
from resnetkit.training.session import RunResult
from resnetkit.training.settings import differences, override, settings_of

DECIDED = ("multi_label", "data")
"""Settings that a run decides for itself although they have a default."""


JUDGED_BY = 1 / 30
"""Of the 60,000 training images, that are held out: judging must not take longer than training."""


@dataclass
class Bench:
    """Trains an experiment's arms.

    Attributes:
        folder: that the runs go into.
        session: flags of the machine, as `rk.train` takes them.
        observer: is told how it goes.
        budget: within which runs begin.
        total: runs that there will be, for the time left.
        done: of them.
        seconds: that each run took which was trained now, from its beginning to its end.
    """

    folder: Path
    session: dict[str, Any]
    observer: Observer
    budget: Budget = field(default_factory=Budget)
    total: int = 0
    done: int = 0
    seconds: list[float] = field(default_factory=list)

    def train(
        self, arm: str, seed: int, recipe: str = "default", observer: Observer | None = None,
        *, anew: bool = False, **settings: Any,
    ) -> Path:  # fmt: skip
        """The finished run of an arm: trained now, gone on with, or found as it was.

        Args:
            arm: its name within the experiment; with the seed, the folder's.
            seed: of the run: arms that share it share initialisation and the order of the data
                wherever their networks allow it.
            recipe: by name.
            observer: is told of a run that is trained; not of one that is found.
            anew: for a run that must be looked at while it is trained.
            settings: of the recipe by flat names.
        """
        out = self.folder / f"{arm}-{seed}"
        common = {"val_fraction": JUDGED_BY, "seed": seed, "data": "fashion-mnist"}
        asked = override(read_recipe(recipe), common | settings)
        goes_on = out.exists() and not anew and _same(out, asked)
        if goes_on and RunFolder(out).finished:
            self.done += 1
            return out

        def train() -> None:
            if out.exists() and not goes_on:
                if not anew:
                    said = f"{out} was made with other settings: it is trained anew"
                    self.observer.say(said)
                remove_tree(out)
            how: dict[str, Any] = {"out": str(out), **self.session}
            how["observer"] = observer or Observer()
            result = rk.train(resume=True, **how) if goes_on else rk.train(recipe=asked, **how)
            if isinstance(result, RunResult) and result.interrupted is not None:
                raise KeyboardInterrupt

        self._timed(f"{arm}, seed {seed}", train, whole=not goes_on)
        return out

    def kept(self, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What came of work that leaves no run folder: done now, or found in kept.json.

        Args:
            key: says the work whole.
            work: what it comes to, as plain data.
        """
        file = self.folder / "kept.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {}
        if key not in found:
            found[key] = self._timed(key, work)
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps(found))
        else:
            self.done += 1
        return found[key]

    def _timed(self, name: str, work: Callable[[], Any], *, whole: bool = True) -> Any:
        """Make a run; its number, and by those before it the time left, are said.

        Args:
            name: of the run.
            work: makes it.
            whole: not the rest of one that was begun before.
        """
        left = self.total - self.done
        self.budget.check(left)
        each = statistics.fmean(self.seconds) if self.seconds else None
        rest = "" if each is None else f"; about {each * left / 60:.0f} min left"
        self.observer.say(f"run {self.done + 1} of {self.total}: {name}{rest}")
        self.done += 1
        began = time.monotonic()
        made = work()
        if whole:
            self.seconds.append(time.monotonic() - began)
        return made


def _same(out: Path, asked: Recipe) -> bool:
    """Whether a run folder was begun with these settings; what was left open does not count."""
    try:
        found = RunFolder(out).recipe()
    except UserError:
        return False
    left_open = {name for name, value in settings_of(asked).items() if value in (None, "auto")}
    return not set(differences(asked, found)) - left_open - set(DECIDED)


def curve(run: Path, key: str) -> list[float]:
    """A column of a run's metrics.jsonl, a number an epoch."""
    return [row[key] for row in read_metrics(run / "metrics.jsonl")]


def last(run: Path, key: str) -> float:
    """The last number of a column."""
    return curve(run, key)[-1]


def by_seed(seeds: int, arms: Sequence[str], make: Callable[[str, int], Any]) -> dict[str, list]:
    """What is made of every arm, seed by seed; seeds outside, so that all arms have the first."""
    found: dict[str, list] = {arm: [] for arm in arms}
    for seed in range(seeds):
        for arm in arms:
            found[arm].append(make(arm, seed))
    return found
