"""An experiment's runs, several at a time with one thread each, kept as they end."""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from resnetkit.machine import choose_device, environment
from turns import keep, kept

Runs = dict[str, list[dict]]
"""An arm's name -> what came of it, seed by seed."""


def run_arms(
    name: str,
    trained: Callable[[str, int], dict],
    jobs: Sequence[tuple[str, int]],
    *,
    go_on: bool,
    again: Sequence[tuple[str, int]] = (),
    at_once: int = 2,
) -> Runs:
    """Train every (arm, seed) and keep what came of it in benchmarks/results/<name>.json.

    A row has its seed and hardware beside what `trained` gave: runs of several machines may meet.

    Args:
        name: of the experiment.
        trained: (arm, seed) -> a row with `val_top1` and `seconds`; a function of a module.
        jobs: in the order in which they begin: neighbours share the machine.
        go_on: with the runs that the file holds already, rather than anew.
        again: what is trained although the file holds it.
        at_once: runs at a time.
    """
    before: Runs = kept(name).get("runs", {}) if go_on else {}
    runs = {
        arm: [row for row in rows if (arm, row["seed"]) not in again]
        for arm, rows in before.items()
    }
    hardware = environment(choose_device())["hardware"]
    done = {(arm, row["seed"]) for arm, rows in runs.items() for row in rows}
    with ProcessPoolExecutor(at_once, get_context("spawn"), max_tasks_per_child=1) as pool:
        begun = {pool.submit(trained, *job): job for job in jobs if job not in done}
        for ended in as_completed(begun):
            (arm, seed), row = begun[ended], ended.result()
            runs.setdefault(arm, []).append({"seed": seed, "hardware": hardware, **row})
            keep(name, {"runs": runs})
            print(f"{arm}, seed {seed}: {row['val_top1']:.4f}, {row['seconds']:.0f} s", flush=True)
    return {arm: sorted(rows, key=lambda row: row["seed"]) for arm, rows in runs.items()}


def seeded_options(name: str, about: str) -> argparse.Namespace:
    """The options of an experiment of several seeds: `seeds`, `at_once`, `go_on`."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=2, help="runs at a time; default: 2")
    parser.add_argument("--go-on", action="store_true", help=f"keep the runs of {name}.json")
    return parser.parse_args()


def run_ways(
    name: str, about: str, trained: Callable[[str, int], dict], ways: Sequence[str]
) -> None:
    """The command of an experiment that compares ways of one seed; `--go-on` keeps its runs."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--go-on", action="store_true", help=f"keep the runs of {name}.json")
    run_arms(name, trained, [(way, 0) for way in ways], go_on=parser.parse_args().go_on)
