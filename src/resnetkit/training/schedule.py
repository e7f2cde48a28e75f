"""The learning rate as a pure function of the step."""

import math

from resnetkit.training.recipe import ScheduleRecipe


def warmup_steps(recipe: ScheduleRecipe, steps: int) -> int:
    """Steps of linear rise: as asked, by default 5% of the run (one-cycle 25%, constant none)."""
    if recipe.warmup_steps is not None:
        return recipe.warmup_steps
    share = {"one-cycle": 0.25, "constant": 0.0}.get(recipe.schedule, 0.05)
    return round(steps * share)


def factor(recipe: ScheduleRecipe, step: int, steps: int) -> float:
    """What the recipe's learning rate is multiplied by at a step.

    Args:
        recipe: the shape. Cosine: Loshchilov & Hutter 2016 (arXiv 1608.03983), without
            restarts. One-cycle: Smith 2018 (arXiv 1708.07120), straight up and straight down.
        step: the number of the step, from 0.
        steps: of the whole run.
    """
    warm = warmup_steps(recipe, steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    if recipe.schedule == "constant":
        return 1.0
    if recipe.schedule == "step":
        return recipe.step_factor ** sum(step >= part * steps for part in recipe.step_at)
    done = (step - warm) / max(1, steps - warm)
    left = (1 + math.cos(math.pi * done)) / 2 if recipe.schedule == "cosine" else 1 - done
    return recipe.final_lr + (1 - recipe.final_lr) * left


def depends_on_length(recipe: ScheduleRecipe) -> bool:
    """Whether a longer run would have had other learning rates from the start."""
    return recipe.schedule != "constant"
