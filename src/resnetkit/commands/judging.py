"""`evaluate`, `predict`, `check`, `compare`."""

import argparse
import json
from pathlib import Path

from resnetkit.commands.saying import say
from resnetkit.errors import UserError
from resnetkit.files import check_can_draw
from resnetkit.ranks import is_first


def evaluate(options: argparse.Namespace) -> int:
    """`resnetkit evaluate RUN DATA`."""
    from resnetkit import api, tables
    from resnetkit.terminal import TerminalObserver

    every = options.depth == "all"
    if options.plot is not None:
        check_can_draw(Path(options.plot))
    classifier, workers = _load(options)
    found = (api.evaluate_depths if every else api.evaluate)(
        classifier,
        options.data,
        part=options.part,
        data_dir=options.data_dir,
        strict=options.strict,
        batch_size=options.batch_size,
        workers=workers,
        precision=options.precision,
        observer=TerminalObserver(),
    )
    if not is_first():
        return 0
    _say_wary(found)
    if options.json:
        print(json.dumps(found.to_dict()))
    else:
        print(tables.judged(found))
    if options.plot is not None:
        _draw(found, options.model, Path(options.plot))
    return 0


def _draw(found, model: str, path: Path) -> None:
    """A network's mistakes, or how quick and how accurate its depths are."""
    from resnetkit.api import Evaluation
    from resnetkit.report.depths import draw_depths
    from resnetkit.report.judged import draw_judged

    if isinstance(found, Evaluation):
        draw_judged(found.result, f"{model}, {found.part}", path)
    else:
        draw_depths(found.depths, found.machine, found.batch_size, path)


def _say_wary(found) -> None:
    """What was left out of a judgement, and what to be wary of."""
    for bad in found.skipped:
        say(f"left out: {bad}")
    if found.skipped:
        count = len(found.skipped)
        say(f"{count:,} of {count + found.images:,} images left out")
    for warning in found.warnings:
        say(f"warning: {warning}")


def predict(options: argparse.Namespace) -> int:
    """`resnetkit predict RUN PICTURE...`."""
    from resnetkit import api, tables
    from resnetkit.terminal import TerminalObserver

    if options.early_exit is not None and options.depth is not None:
        raise UserError("--early-exit chooses among the depths: leave --depth out")
    classifier, workers = _load(options)
    found = api.predict(
        classifier,
        options.paths,
        top=options.top,
        embeddings=options.embeddings,
        early_exit=options.early_exit,
        batch_size=options.batch_size,
        workers=workers,
        precision=options.precision,
        observer=TerminalObserver(),
    )
    if options.json:
        print(json.dumps([prediction.to_dict() for prediction in found]))
    elif any(not prediction.error for prediction in found):
        print(tables.predictions(found))
    failed = [prediction for prediction in found if prediction.error]
    for prediction in failed:
        say(f"{prediction.path}: {prediction.error}")
    return 1 if failed else 0


def _load(options: argparse.Namespace):
    """The classifier on the device that the flags ask for, and the number of workers."""
    from resnetkit import api
    from resnetkit.machine import ready_machine
    from resnetkit.ranks import local_ranks

    local = local_ranks()
    device, workers = ready_machine(options.device, options.threads, options.workers, local)
    classifier = api.load(options.model).to(device)
    if options.latency is not None:
        classifier = _in_time(classifier, options)
    elif isinstance(options.depth, int):
        classifier = classifier.at(options.depth)
    return classifier, workers


def _in_time(classifier, options: argparse.Namespace):
    """The deepest network inside that answers within `--latency`."""
    from resnetkit.latency import deepest_within
    from resnetkit.terminal import TerminalObserver

    for name in ("depth", "early_exit"):
        if getattr(options, name, None) is not None:
            raise UserError(f"--latency chooses the depth: leave --{name.replace('_', '-')} out")
    return deepest_within(
        classifier, options.latency, precision=options.precision, observer=TerminalObserver()
    )


def check(options: argparse.Namespace) -> int:
    """`resnetkit check DATA`."""
    from resnetkit import check_tables, checking
    from resnetkit.terminal import TerminalObserver

    found = checking.check(
        options.data,
        data_dir=options.data_dir,
        sheets=options.sheets,
        workers=options.workers,
        observer=TerminalObserver(),
    )
    print(json.dumps(found.to_dict()) if options.json else check_tables.examination(found))
    if options.sheets:
        say(f"contact sheets are in {options.sheets}")
    return 0


def compare(options: argparse.Namespace) -> int:
    """`resnetkit compare RUN RUN...`."""
    from resnetkit import compare_tables, comparing

    if options.plot is not None:
        check_can_draw(Path(options.plot))
    found = comparing.compare(options.runs)
    for warning in found.warnings:
        say(f"warning: {warning}")
    print(json.dumps(found.to_dict()) if options.json else compare_tables.comparison(found))
    if options.plot is not None:
        from resnetkit.report.compared import draw_compared

        draw_compared({run.name: run.rows for run in found.runs}, Path(options.plot))
    return 0
