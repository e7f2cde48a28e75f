"""`labels`: which labels look wrong."""

import argparse
import json
from pathlib import Path

from resnetkit.commands.saying import say
from resnetkit.files import check_can_create, check_can_draw, write_whole

SHOWN, DRAWN = 20, 50
"""Lines on a terminal, and pictures on a sheet."""


def labels(options: argparse.Namespace) -> int:
    """`resnetkit labels RUN`."""
    from resnetkit import suspects
    from resnetkit.suspect_tables import listed

    sheet = Path(options.sheet) if options.sheet else None
    if sheet is not None:
        check_can_draw(sheet)
    if options.csv:
        check_can_create(Path(options.csv))
    found = suspects.find_label_errors(options.run_folder, cut=options.cut)
    if options.csv:
        write_whole(Path(options.csv), suspects.as_csv(found, options.fill))
    if sheet is not None:
        from resnetkit.report.suspects import draw_suspects

        captions = [(one.given, one.likely) for one in found.found[:DRAWN]]
        draw_suspects(suspects.pictures(found, options.data_dir, DRAWN), captions, sheet)
    if options.json:
        print(json.dumps([one.to_dict() for one in found.found]))
    else:
        print(listed(found, SHOWN))
    for path in filter(None, (options.csv, options.sheet)):
        say(f"wrote {path}")
    if options.csv:
        say("next, once its column label is as it should be:")
        say(f"  resnetkit train DATA --labels {options.csv}")
    return 0
