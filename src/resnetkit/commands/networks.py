"""Networks and recipes: what there is, what it costs, and made into others."""

import argparse
import json
import shlex
from pathlib import Path

from resnetkit.commands.saying import say
from resnetkit.errors import UserError
from resnetkit.files import check_can_draw
from resnetkit.sizes import check_side


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
