"""With which recipe a run goes on, and what its last checkpoint knows."""

from pathlib import Path
from typing import Any

from resnetkit.errors import UserError
from resnetkit.training import checkpoint
from resnetkit.training.recipe import Recipe
from resnetkit.training.run_folder import RunFolder
from resnetkit.training.schedule import depends_on_length
from resnetkit.training.settings import differences, override
from resnetkit.training.snapshot import check_same_recipe


def same_recipe(folder: RunFolder, before: Recipe, settings: dict[str, Any]) -> Recipe:
    """The run's recipe; other settings are refused, but for more epochs where that can be."""
    run = folder.path
    after = override(before, settings)
    changed = differences(before, after)
    if not changed:
        return before
    if changed.keys() != {"epochs"}:
        others = "; ".join(f"{name}: {change}" for name, change in changed.items())
        raise UserError(
            f"{run} was started with another recipe: {others}; leave these flags out to go on, or "
            f"choose another --out"
        )
    if after.epochs < before.epochs:
        raise UserError(f"{run} runs for {before.epochs} epochs; a run cannot be shortened")
    if depends_on_length(before.schedule):
        raise UserError(
            f"{run} runs for {before.epochs} epochs: its {before.schedule.schedule} schedule has "
            f"set every learning rate for that length; {folder.how_to_start_anew}"
        )
    if before.growth.grow_at or before.unfreeze_at is not None:
        raise UserError(
            f"{run} runs for {before.epochs} epochs: when its network grows or is unfrozen is set "
            f"for that length; {folder.how_to_start_anew}"
        )
    return after


def last_history(file: Path, recipe: Recipe, run: Path) -> list[dict]:
    """The lines of metrics.jsonl as a run's last checkpoint has them."""
    state = checkpoint.load(file)
    check_same_recipe(state, recipe, run)
    return state.history
