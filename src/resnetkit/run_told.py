"""What `resnetkit train` says at its end: where things are, and what to do next."""

import argparse
import shlex
from pathlib import Path

from resnetkit.training.few import counted
from resnetkit.training.folds import FoldsResult
from resnetkit.training.run_folder import RunFolder, read_metrics
from resnetkit.training.session import RunResult, Session


def finished(result: RunResult, data: str | None) -> str:
    """Of a run that has come to its end, now or before.

    Args:
        result: of the run.
        data: as the person named it, where they did.
    """
    run, row = result.run, read_metrics(Path(result.run) / "metrics.jsonl")[-1]
    dynamics = RunFolder(Path(run)).dynamics
    precision, accuracy = row.get("val_map"), f"validation accuracy {result.val_top1:.2%}"
    if precision is not None:
        accuracy += f", mean average precision {precision:.4f}"
    if result.already_finished:
        return f"{run} is finished already: {counted(round(result.epochs), 'epoch')}, {accuracy}"
    steps, data = counted(result.steps, "step"), shlex.quote(data or result.data)
    plot = "confusion" if precision is None else "precision-recall"
    every = f"  resnetkit evaluate {run} {data} --depth all --plot {run}/depths.png"
    lines = [
        f"\nfinished: {steps}, {result.seconds:,.0f} s of training; {accuracy}",
        f"  curves      {run}/curves.png",
        f"  classifier  {run}/classifier",
        "next:",
        f"  resnetkit evaluate {run} {data} --plot {run}/{plot}.png",
        *([every] if row.get("inner_top1") else []),
        *([f"  resnetkit labels {run}"] if precision is None and dynamics.is_file() else []),
        f"  resnetkit predict {run} PICTURE_OR_FOLDER",
    ]
    return "\n".join(lines)


def stopped(result: RunResult, options: argparse.Namespace) -> str:
    """Of a run that was asked to stop."""
    began = f"stopped at step {result.steps:,} and saved; go on with:"
    return f"{began}\n{_go_on(result.run, options)}"


def folds_finished(result: FoldsResult) -> str:
    """Of a cross-validation."""
    already = " already" if result.already_finished else ""
    return "\n".join([
        f"{result.run} is finished{already}: {_done(result)} folds",
        f"  out-of-fold predictions  {result.run}/out_of_fold.npz",
        f"  classifier of a fold     {result.run}/fold-1",
    ])  # fmt: skip


def folds_stopped(result: FoldsResult, options: argparse.Namespace) -> str:
    """Of a cross-validation that was asked to stop."""
    began = f"stopped and saved; folds that are done: {_done(result)}; go on with:"
    return f"{began}\n{_go_on(result.run, options)}"


def _done(result: FoldsResult) -> int:
    return sum(fold.interrupted is None for fold in result.folds)


def _go_on(run: str, options: argparse.Namespace) -> str:
    """The command that resumes a run as it was started."""
    usual, words = Session(), ["resnetkit", "train", "--resume", "--out", run]
    for name in ("data_dir", "device", "threads", "memory", "cache", "cache_size"):
        given = getattr(options, name)
        if given != getattr(usual, name):
            words += [f"--{name.replace('_', '-')}", str(given)]
    return "  " + shlex.join(words)
