"""Schedules against torch's own and against closed forms."""

import math

import pytest
import torch

from resnetkit.training.recipe import ScheduleRecipe
from resnetkit.training.schedule import factor, warmup_steps


def factors(steps: int, **settings) -> list[float]:
    recipe = ScheduleRecipe(**settings)
    return [factor(recipe, step, steps) for step in range(steps)]


def torchs(make, steps: int) -> list[float]:
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule, found = make(optimiser), []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def test_cosine_is_torchs():
    expected = torchs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 50, eta_min=0.1), 50)
    assert factors(50, schedule="cosine", warmup_steps=0, final_lr=0.1) == pytest.approx(expected)


def test_steps_are_torchs():
    expected = torchs(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [20, 30], gamma=0.2), 40)
    found = factors(40, schedule="step", warmup_steps=0, step_at=(0.5, 0.75), step_factor=0.2)
    assert found == pytest.approx(expected)


def test_warm_up_rises_in_equal_steps_to_the_full_rate():
    for kind in ("constant", "step", "cosine", "one-cycle"):
        found = factors(100, schedule=kind, warmup_steps=4)
        assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_one_cycle_is_a_triangle():
    found = factors(100, schedule="one-cycle", final_lr=0.0)
    assert max(found) == found[25] == 1.0
    falls = [a - b for a, b in zip(found[25:], found[26:], strict=False)]
    assert falls == pytest.approx([1 / 75] * 74)
    assert found[-1] == pytest.approx(1 / 75)


def test_default_warm_up():
    assert warmup_steps(ScheduleRecipe(schedule="cosine"), 200) == 10
    assert warmup_steps(ScheduleRecipe(schedule="constant"), 200) == 0
    assert warmup_steps(ScheduleRecipe(warmup_steps=7), 200) == 7


def test_a_run_of_one_step_and_a_warm_up_longer_than_the_run():
    for kind in ("constant", "step", "cosine", "one-cycle"):
        assert all(0 < f <= 1 and math.isfinite(f) for f in factors(1, schedule=kind))
        assert all(0 < f < 1 for f in factors(5, schedule=kind, warmup_steps=9))
