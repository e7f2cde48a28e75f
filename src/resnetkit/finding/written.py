"""A recipe that was found, as a file with its reasons in comments."""

import math

from resnetkit.config import shown, to_plain
from resnetkit.finding.find import Found
from resnetkit.plain_yaml import yaml_line
from resnetkit.training.recipe import Recipe
from resnetkit.training.settings import flat_fields, settings_of, unequal


def as_yaml(found: Found, data: str) -> str:
    """The settings that differ from the default recipe's, under their headings, with reasons.

    Args:
        found: by `find`.
        data: as the person named it.
    """
    places, reasons = flat_fields(), _reasons(found)
    changed = {k: v for k, (_, v) in unequal(Recipe(), found.recipe).items() if k != "data"}
    lines = [f"# {line}" for line in _about(found, data)]
    for part in dict.fromkeys(["", *(places[name][0] or "" for name in changed)]):
        own = {k: v for k, v in changed.items() if (places[k][0] or "") == part}
        lines += [f"{part}:"] if part else []
        for name, value in own.items():
            why = f"  # {reasons[name]}" if name in reasons else ""
            lines.append(f"{'  ' if part else ''}{name}: {yaml_line(to_plain(value))}{why}")
    return "\n".join(lines) + "\n"


def _about(found: Found, data: str) -> list[str]:
    lines = [
        f"for {data}: the best of {len(found.tried)} combinations, to be trained for about "
        f"{found.train_minutes:g} minutes",
        f"Measured on {found.machine}. Judged by {found.held_out:,} held-out images: cross-entropy "
        "at the best temperature, the lower the better. The best with each augmentation went on:",
    ]
    for one in found.tried:
        scores = ", ".join(
            "not trained" if math.isinf(r.score) else f"{r.score:.4f} ({r.seconds:.0f} s)"
            for r in one.rounds
        )
        lines.append(f"  {scores}: {one.what}")
    return lines


def _reasons(found: Found) -> dict[str, str]:
    """Why settings are what they are, where it was measured."""
    batch, rates = found.first.batch, found.first.batch.rates
    best, last = found.tried[0].what, found.tried[0].last
    speeds = ", ".join(f"{rate:,.0f} images/s at {size}" for size, rate in rates.items())
    reasons = {
        "epochs": f"{found.train_minutes:g} minutes at {last.images_per_second:,.0f} images/s"
    }
    if not best.plain:
        reasons |= {
            "batch_size": f"{speeds}; noise scale {batch.noise.scale:,.0f} images",
            "lr": f"the range test suggests {found.first.rate:.2g}",
        }
    own, begun = best.settings, settings_of(found.begun)
    if own.get("mirror"):
        reasons["mirror"] = "two looks at a picture are surer than one, and take twice the time"
    for name in ("model", "image_size", "policy", "mixup", "erase", "alternate"):
        if name in own:
            values = dict.fromkeys(
                shown(one.what.settings.get(name, begun[name])) for one in found.tried
            )
            reasons[name] = f"tried: {', '.join(values)}"
    return reasons
