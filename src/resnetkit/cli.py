"""One command per verb: parse, call, print. torch is imported only once there is work to do."""

import argparse
import io
import json
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from resnetkit.errors import UserError, is_out_of_memory
from resnetkit.files import check_can_create, check_can_draw, write_whole
from resnetkit.flags import make_parser
from resnetkit.ranks import Quiet, RankError, end_process, is_first
from resnetkit.sizes import check_side
from resnetkit.training.settings import flat_fields

SIGNAL_EXIT = 128
"""A command that a signal ended exits with this plus the signal's number, as shells do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 2 for what the person can mend, in one line."""
    code = _run(arguments)
    end_process(code)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    warnings.filterwarnings("ignore", module=r"PIL\.")
    runs = {
        "train": train,
        "find": find,
        "evaluate": evaluate,
        "predict": predict,
        "check": check,
        "compare": compare,
        "convert": convert,
        "deepen": deepen,
        "shrink": shrink,
        "combine": combine,
        "bench": bench,
        "models": models,
        "recipes": recipes,
    }
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name is printed in its own bytes
        utf8 = sys.stdout.encoding.lower() == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    try:
        options = make_parser(runs).parse_args(arguments)
        if options.run not in (train, evaluate) and not is_first():
            return 0  # torchrun has started several of us, and one is enough
        code = options.run(options)
        if sys.stdout:  # it may be closed
            sys.stdout.flush()
        return code
    except UserError as error:
        if isinstance(error, RankError) or (is_first() and not isinstance(error, Quiet)):
            say(f"resnetkit: {error}")
    except BrokenPipeError:  # who read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UnicodeEncodeError as error:
        say(f"resnetkit: this is no text, and cannot be printed: {error.object[error.start]!a}")
    except OSError as error:
        say(f"resnetkit: {error.filename or 'input or output'}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        say("resnetkit: not enough memory: lower --batch-size or --image-size")
    except KeyboardInterrupt:
        say("resnetkit: interrupted")
        return SIGNAL_EXIT + 2
    return 2


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


def convert(options: argparse.Namespace) -> int:
    """`resnetkit convert FILE --to NAMING --out FILE`."""
    from resnetkit import converting

    done = converting.convert(
        options.weights, options.out, options.to, model=options.model, naming=options.naming
    )
    print(json.dumps(done.to_dict()) if options.json else done)
    return 0


def deepen(options: argparse.Namespace) -> int:
    """`resnetkit deepen RUN --to MODEL --out FOLDER`."""
    from resnetkit import other_depths

    run, out = options.run_folder, options.out
    done = other_depths.deepen_classifier(run, out, options.to, options.depths)
    if options.json:
        print(json.dumps(done.to_dict()))
        return 0
    print(done)
    say("next:")
    say(f"  resnetkit train DATA --weights {shlex.quote(options.out)}")
    return 0


def shrink(options: argparse.Namespace) -> int:
    """`resnetkit shrink RUN --depth LAYERS --out FOLDER`."""
    from resnetkit import other_depths

    done = other_depths.shrink_classifier(options.run_folder, options.out, options.depth)
    print(json.dumps(done.to_dict()) if options.json else done)
    return 0


def combine(options: argparse.Namespace) -> int:
    """`resnetkit combine RUN RUN... --out FOLDER`."""
    from resnetkit import combining

    runs, out = options.runs, options.out
    if options.average is None:
        done = combining.combine(runs, out)
    else:
        done = combining.average(runs, out, options.average, data_dir=options.data_dir)
    print(json.dumps(done.to_dict()) if options.json else done)
    return 0


def bench(options: argparse.Namespace) -> int:
    """`resnetkit bench NAME...`."""
    from resnetkit import bench_tables
    from resnetkit.benching.run import bench as measure
    from resnetkit.terminal import TerminalObserver

    if options.zh and not options.plot:
        raise UserError("--zh is for the words of a plot: give --plot as well")
    found = measure(
        options.names,
        device=options.device,
        threads=options.threads,
        precision=options.precision,
        image_size=options.image_size,
        batch_size=options.batch_size,
        train_batch=options.train_batch,
        train=options.train,
        quick=options.quick,
        plot=options.plot,
        chinese=options.zh,
        observer=TerminalObserver(),
    )
    for warning in found.warnings:
        say(f"warning: {warning}")
    print(json.dumps(found.to_dict()) if options.json else bench_tables.measured(found))
    if options.plot and found.without_accuracy:
        names = ", ".join(found.without_accuracy)
        say(f"not in the plot, no accuracy is known at their size: {names}")
    return 0


def models(options: argparse.Namespace) -> int:
    """`resnetkit models [PATTERN]`."""
    from resnetkit import tables

    check_side(options.image_size)
    found = tables.costs(options.pattern, options.image_size, options.channels, options.classes)
    if options.json:
        print(json.dumps(tables.costs_json(found)))
    elif options.image_size is None:
        print(tables.zoo(found))
    else:
        print("\n\n".join(tables.stages(name, size, summary) for name, size, summary in found))
    return 0


def recipes(options: argparse.Namespace) -> int:
    """`resnetkit recipes [NAME [OTHER]]`."""
    from resnetkit import recipe_tables
    from resnetkit.config import to_plain
    from resnetkit.training.recipe_files import about, named_recipes, read_recipe
    from resnetkit.training.settings import unequal

    names = options.names
    if len(names) > 2:
        raise UserError(f"recipes are compared two at a time, not {len(names)}")
    found = [read_recipe(name) for name in names]
    if options.preview:
        return _preview(options, found)
    if options.out:
        raise UserError("--out is for the picture of --preview: give that as well")
    if not found:
        known = named_recipes()
        print(json.dumps(known) if options.json else recipe_tables.listed(known))
    elif len(found) == 1:
        text = "".join(f"# {line}\n" for line in about(names[0])) + found[0].to_yaml()
        print(json.dumps(to_plain(found[0])) if options.json else text.rstrip("\n"))
    else:
        rows = unequal(*found)
        print(json.dumps(rows) if options.json else recipe_tables.side_by_side(tuple(names), rows))
    return 0


def _preview(options: argparse.Namespace, found: list) -> int:
    """`resnetkit recipes NAME --preview DATA`."""
    from resnetkit.report.sheets import draw_sheet
    from resnetkit.training.preview import previewed

    if len(found) != 1:
        raise UserError("--preview shows what one recipe does: name one")
    name = Path(options.names[0]).stem
    out = Path(options.out or f"recipe-{name}.png")
    check_can_draw(out)
    pictures = previewed(found[0], options.preview, options.data_dir)
    draw_sheet(pictures, f"{name}: as it is, then in seven epochs", out)
    if options.json:
        print(json.dumps({"preview": str(out)}))
    else:
        say(f"wrote {out}")
    return 0


def say(text: str) -> None:
    """A line for people: on stderr, so that stdout holds results alone."""
    print(text, file=sys.stderr)


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
