"""`lab`: experiments, one by one or all."""

import argparse
import json

from resnetkit.commands.saying import say


def lab(options: argparse.Namespace) -> int:
    """`resnetkit lab NAME|all`."""
    from resnetkit.lab import run as laboratory
    from resnetkit.lab.budget import Budget
    from resnetkit.lab.told import listed
    from resnetkit.terminal import TerminalObserver

    if options.list or options.name is None:
        known = [laboratory.experiment_of(name) for name in laboratory.NAMES]
        rows = {one.name: one.question.said(options.language) for one in known}
        print(json.dumps(rows) if options.json else listed(rows))
        return 0
    names = laboratory.NAMES if options.name == "all" else (options.name,)
    found, budget = [], Budget(options.minutes)
    try:
        for name in names:
            result = laboratory.run_experiment(
                name,
                out=options.out,
                full=options.full,
                seeds=options.seeds,
                budget=budget,
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
    finally:
        if options.json and found:
            print(json.dumps([result.to_dict() for result in found]))
    return 0
