"""`train` and `find`."""

import argparse
import json
import shlex
from dataclasses import fields
from pathlib import Path

from resnetkit.commands.saying import SIGNAL_EXIT, say
from resnetkit.errors import UserError
from resnetkit.files import check_can_create, check_can_draw, write_whole
from resnetkit.ranks import is_first
from resnetkit.training.settings import flat_fields


def train(options: argparse.Namespace) -> int:
    """`resnetkit train DATA`."""
    from resnetkit import api, run_told
    from resnetkit.training.session import RunResult, Session

    given = vars(options)
    settings = {name: given[name] for name in flat_fields() if name in given and name != "data"}
    settings |= {field.name: given[field.name] for field in fields(Session)}
    if options.resume and options.recipe is not None:
        raise UserError("--resume takes the recipe of the run; leave --recipe out")
    if options.resume and options.out is None and options.data is not None:
        raise UserError(f"write --resume --out {options.data}: the run folder goes behind --out")
    recipe = options.recipe or "default"
    result = api.train(options.data, recipe=recipe, resume=options.resume, **settings)
    if not is_first():
        return 0 if result.interrupted is None else SIGNAL_EXIT + result.interrupted
    if not isinstance(result, RunResult):
        return _folds(result, options)
    if options.json:
        keys = ("run", "steps", "epochs", "seconds", "val_top1", "resumed_at", "waiting")
        print(json.dumps({key: getattr(result, key) for key in keys}))
    if result.interrupted is not None:
        say(run_told.stopped(result, options))
        return SIGNAL_EXIT + result.interrupted
    say(run_told.finished(result, options.data))
    return 0


def _folds(result, options: argparse.Namespace) -> int:
    """The end of `resnetkit train DATA --folds N`."""
    from resnetkit import run_told, tables

    if options.json:
        print(json.dumps(result.to_dict()))
    if result.interrupted is not None:
        say(run_told.folds_stopped(result, options))
        return SIGNAL_EXIT + result.interrupted
    if not options.json:
        print(tables.folds(result.summary))
    say(run_told.folds_finished(result))
    return 0


def find(options: argparse.Namespace) -> int:
    """`resnetkit find DATA`."""
    from resnetkit.finding.find import find as search
    from resnetkit.finding.written import as_yaml
    from resnetkit.report.rates import draw_rates
    from resnetkit.terminal import TerminalObserver
    from resnetkit.training.session import Session

    out = Path(options.out or f"found-{Path(options.data).stem}.yaml")
    picture = Path(options.plot) if options.plot else out.with_suffix(".png")
    check_can_create(out)
    check_can_draw(picture)
    if picture == out:
        raise UserError(f"the recipe and its picture cannot both be {out}: end --out in .yaml")
    names = ("data_dir", "strict", "workers", "threads", "device")
    found = search(
        options.data,
        recipe=options.recipe,
        minutes=options.minutes,
        train_minutes=options.train_minutes,
        session=Session(**{name: getattr(options, name) for name in names}),
        observer=TerminalObserver(),
    )
    write_whole(out, as_yaml(found, options.data))
    curve = found.first.curve
    draw_rates(curve.rates, curve.losses, list(curve.smoothed), found.first.rate, picture)
    print(json.dumps(found.to_dict()) if options.json else out.read_text(encoding="utf-8").rstrip())
    say(f"wrote {out} and {picture}; next:")
    say(f"  resnetkit train {shlex.quote(options.data)} --recipe {shlex.quote(str(out))}")
    return 0
