"""`lab`: experiments, one by one or all."""

import argparse
import json

from resnetkit.commands.saying import say
from resnetkit.errors import UserError


def lab(options: argparse.Namespace) -> int:
    """`resnetkit lab NAME|all`."""
    from resnetkit.lab import run as laboratory
    from resnetkit.lab.told import listed
    from resnetkit.terminal import TerminalObserver

    if options.list or options.name is None:
        known = [laboratory.experiment_of(name) for name in laboratory.NAMES]
        rows = {one.name: one.question.said(options.language) for one in known}
        print(json.dumps(rows) if options.json else listed(rows))
        return 0
    names = laboratory.NAMES if options.name == "all" else (options.name,)
    found = []
    for name in names:
        result = laboratory.run_experiment(
            name,
            out=options.out,
            full=options.full,
            seeds=options.seeds if _takes_seeds(name, options) else None,
            observer=TerminalObserver(),
            threads=options.threads,
            workers=options.workers,
            device=options.device,
            data_dir=options.data_dir,
        )
        found.append(result)
        if not options.json:
            print(laboratory.outcome_line(result, options.language))
            say(f"  {result.folder}: figure.svg, data.json, README.md, README.zh.md")
    if options.json:
        print(json.dumps([result.to_dict() for result in found]))
    return 0


def _takes_seeds(name: str, options: argparse.Namespace) -> bool:
    """Of all experiments, those that have seeds take them; of one alone it is a mistake."""
    from resnetkit.lab.run import experiment_of

    if options.seeds is not None and options.seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {options.seeds}")
    return options.name != "all" or "seeds" in experiment_of(name).small
