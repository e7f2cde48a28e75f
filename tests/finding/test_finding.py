"""Learning rate, batch size and combinations, found on real images; the arithmetic by itself."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.data.augmentation import Augmentation
from resnetkit.finding import find, measured, noise
from resnetkit.finding.batch import progress_of
from resnetkit.finding.find import LEAST_TRIED, TRIED, affordable, within
from resnetkit.finding.halving import Judged, halve, seconds_for
from resnetkit.finding.ideas import LOOKS, NETWORKS, SIDES, ideas
from resnetkit.finding.measured import suggested_rate
from resnetkit.finding.noise import noise_of
from resnetkit.finding.rates import RateCurve, suggested
from resnetkit.finding.trial import Trials
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import DataRecipe, Recipe
from resnetkit.training.recipe_files import parse_recipe
from resnetkit.training.session import Session

MACHINE = {"threads": 1, "workers": 1}


def test_the_noise_scale_is_that_of_the_gradients_that_were_drawn():
    """Images' gradients with a known mean and covariance: the scale is trace over length."""
    torch.manual_seed(0)
    true, deviation, batch = torch.full((400,), 0.05), 2.0, 16
    drawn = [true + deviation * torch.randn(batch, 400).mean(0) for _ in range(4000)]
    expected = 400 * deviation**2 / float(true.square().sum())
    assert noise_of(drawn, batch) == pytest.approx(expected, rel=0.05)


def test_gradients_without_a_common_direction_are_all_noise():
    assert noise_of([torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])], 8) == math.inf
    assert noise_of([torch.tensor([1.0, 2.0])] * 3, 8) == 0


def test_a_batch_of_the_noise_scale_brings_half_as_much_an_image():
    assert progress_of(1000, 64, 64) == 500
    assert progress_of(1000, 64, math.inf) == 1000


def falling_then_exploding(turn: float, optimiser: str = "sgd") -> float:
    rates = np.geomspace(1e-4, 10, 120)
    losses = np.where(rates < turn, 3 - np.log10(rates / 1e-4) / 2, 1 + np.log(rates / turn) * 9)
    return suggested(RateCurve(tuple(rates), tuple(losses)), optimiser)


def test_the_suggestion_is_where_the_loss_turns():
    assert 0.1 < falling_then_exploding(0.1) < 0.2
    assert falling_then_exploding(0.1, "adamw") == falling_then_exploding(0.1) / 10


def test_a_loss_that_never_falls_suggests_nothing():
    rates = tuple(np.geomspace(1e-4, 10, 50))
    with pytest.raises(rk.UserError, match="no learning rate"):
        suggested(RateCurve(rates, tuple(np.linspace(2, 9, 50))), "sgd")


def test_the_best_of_each_group_gets_more_time():
    now, given = [0.0], []

    def judge(candidate, seconds):
        now[0] += seconds
        given.append((candidate.what, seconds))
        return Judged(score=abs(candidate.what - 40))

    found = halve([10, 11, 12, 41, 40, 20], lambda n: n // 10, judge, 90, clock=lambda: now[0])
    assert [one.what for one in found] == [40, 20, 12, 41, 11, 10]
    short, long = given[:5], given[5:]
    assert [what for what, _ in short] == [10, 11, 12, 41, 40]  # 20 is alone in its group
    assert [what for what, _ in long] == [12, 40, 20]
    assert [seconds for _, seconds in given] == pytest.approx([30 / 5] * 5 + [60 / 3] * 3)
    assert seconds_for(5, 30 / 5) == pytest.approx(90)


def test_without_rivals_there_is_one_round():
    found = halve([3, 1, 2], lambda n: n, lambda one, seconds: Judged(one.what, seconds), 30)
    assert [one.what for one in found] == [1, 2, 3]
    assert all(len(one.rounds) == 1 for one in found)


def test_who_could_not_be_trained_in_the_last_round_comes_behind_those_that_were():
    scores = {10: [1, math.inf], 11: [2], 20: [3, 4], 21: [math.inf]}
    rounds = {what: iter(rows) for what, rows in scores.items()}
    found = halve(list(scores), lambda n: n // 10, lambda one, _: Judged(next(rounds[one.what])), 1)
    assert [one.what for one in found] == [20, 10, 11, 21]


def test_what_a_recipe_names_is_not_searched_for():
    asked = Recipe(model="resnet20", data=DataRecipe(data="x"))
    tried = ideas(asked, asked, 0.1, 12)
    assert tried[0].settings == {"batch_size": asked.batch_size}
    assert str(tried[0]) == "the recipe as it is"
    assert tried[1].settings == {"lr": 0.1, "mirror": True}
    assert len({str(idea) for idea in tried}) == len(tried) == 1 + len(LOOKS)
    assert not any("model" in idea.settings or "image_size" in idea.settings for idea in tried)


def test_the_most_promising_come_first_and_none_comes_twice():
    asked = Recipe(data=DataRecipe(data="x"))
    tried = ideas(asked, replace(asked, model="resnet20"), 0.1, 1000)
    assert tried[1].settings == {"lr": 0.1, "mirror": True, "model": "resnet20"}
    assert tried[2].settings == {"lr": 0.1, "mirror": True, "model": NETWORKS[True][0]} | LOOKS[0]
    assert len({str(idea) for idea in tried}) == len(tried) == 1 + len(LOOKS) * len(NETWORKS[True])


def test_larger_pictures_are_tried_in_several_sizes():
    asked = Recipe(data=DataRecipe(data="x"))
    begun = replace(asked, model="resnet18", data=DataRecipe(data="x", image_size=128))
    tried = [idea.settings for idea in ideas(asked, begun, 0.1, 1000)]
    assert tried[1] == {"lr": 0.1, "mirror": True, "model": "resnet18", "image_size": 128}
    assert {(one["model"], one["image_size"]) for one in tried[1:]} == {
        (model, side) for model in NETWORKS[False] for side in SIDES
    }


def test_a_recipe_that_does_not_mirror_is_not_judged_by_mirror_images():
    asked = Recipe(augmentation=Augmentation(flip=False), data=DataRecipe(data="x"))
    assert not any("mirror" in idea.settings for idea in ideas(asked, asked, 0.1, 12))


def test_a_long_training_is_searched_for_by_fewer_and_longer_trials():
    assert affordable(1000, 20, 1) == TRIED
    assert affordable(1000, 20, 20) == 6
    assert affordable(1000, 20, 1000) == LEAST_TRIED
    with pytest.raises(rk.UserError, match="give --minutes 3 at the least"):
        affordable(40, 2, 20)


def test_few_seconds_see_part_of_the_images():
    assert within(Recipe(), 1000, rate=100, seconds=105).epochs == 10
    short = within(Recipe(batch_size=32), 1000, rate=100, seconds=10)
    assert (short.epochs, short.data.limit) == (4, 250)
    with pytest.raises(rk.UserError, match="too slow"):
        within(Recipe(batch_size=32), 1000, rate=1, seconds=10)


@pytest.fixture(scope="module")
def trials():
    recipe = Recipe(model="resnet8", data=DataRecipe(data="fashion-mnist", limit=1500))
    return recipe, Trials.of(recipe, Session(**MACHINE), Observer())


def test_the_range_test_finds_a_rate_that_learns_and_not_one_that_explodes(trials):
    recipe, place = trials
    curve, rate = suggested_rate(place.decided(recipe), images=128 * 60 / 0.08 + 1)
    assert len(curve.rates) == 60
    assert 0.01 < rate < 1.5
    assert curve.smoothed.min() < curve.losses[0] * 0.8


def test_a_recipe_with_measured_settings_is_trained_and_remembers_them(tmp_path):
    run = rk.train(
        "fashion-mnist", model="resnet8", limit=300, epochs=1, batch_size="auto", lr="auto",
        out=str(tmp_path / "run"), observer=Observer(), **MACHINE,
    )  # fmt: skip
    decided = parse_recipe((tmp_path / "run" / "recipe.yaml").read_text(), "")
    assert decided.batch_size in (32, 64)
    assert 1e-3 < decided.optimiser.lr < 5
    assert run.steps == math.ceil(300 / decided.batch_size)
    with pytest.raises(rk.UserError, match="leave it out to resume"):
        rk.train(resume=True, out=str(tmp_path / "run"), lr="auto")


def test_found_for_a_folder_it_has_not_seen(pictures, tmp_path, monkeypatch, capsys):
    """The whole command, on a folder of pictures: a recipe that trains."""
    monkeypatch.setattr(find, "LEAST_SECONDS", 2.0)
    monkeypatch.setattr(measured, "NOISE_SHARE", 0.6)  # a busy machine measures few images too
    monkeypatch.setattr(noise, "STEPS", 4)
    monkeypatch.setattr(noise, "SAMPLES", 3)
    monkeypatch.setattr(measured, "LEAST_STEPS", 20)
    (tmp_path / "small.yaml").write_text("model: resnet8\ndata: {image_size: 32}\n")
    out, again = tmp_path / "found.yaml", ["--recipe", str(tmp_path / "small.yaml")]
    words = ["find", str(pictures), *again, "--out", str(out), "--train-minutes", "0.05"]
    words += ["--threads", "1", "--workers", "1"]
    assert main([*words, "--minutes", "0.6", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    recipe = parse_recipe(out.read_text(), "")
    assert recipe.model == "resnet8"
    assert recipe.optimiser.lr == found["recipe"]["optimiser"]["lr"]
    assert len(found["tried"]) >= 4
    best, second, *_ = (one["rounds"][-1]["score"] for one in found["tried"])
    assert best <= second
    assert out.with_suffix(".png").stat().st_size > 5000
    where = str(tmp_path / "run")
    run = rk.train(str(pictures), recipe=str(out), out=where, observer=Observer(), **MACHINE)
    assert run.steps > 0
