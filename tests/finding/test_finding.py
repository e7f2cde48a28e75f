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
from resnetkit.finding.halving import Candidate, Judged, halve, seconds_for
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


class Work:
    """Judges by a score, on a clock of its own; `takes` says how long where it is not as asked."""

    def __init__(self, scores, takes=()):
        self.scores = {what: iter(rows) for what, rows in scores.items()}
        self.takes, self.now, self.given = dict(takes), 0.0, []

    def halved(self, seconds):
        found = halve(list(self.scores), lambda n: n // 10, self, seconds, lambda: self.now)
        return [one.what for one in found]

    def __call__(self, candidate, seconds):
        self.given.append((candidate.what, seconds))
        self.now += self.takes.get(candidate.what, seconds)
        return Judged(next(self.scores[candidate.what]))


def test_the_best_of_each_group_gets_more_time():
    work = Work({10: [3], 11: [2], 12: [1, 9], 20: [5, 7], 30: [6, 8]})
    assert work.halved(90) == [20, 30, 12, 11, 10]
    assert [what for what, _ in work.given] == [10, 11, 12, 20, 30, 12, 20, 30]
    assert [seconds for _, seconds in work.given] == pytest.approx([30 / 5] * 5 + [60 / 3] * 3)
    assert seconds_for(5, 30 / 5) == pytest.approx(90)


def test_who_takes_longer_shortens_what_follows_and_who_is_done_early_lengthens_nothing():
    work = Work({10: [1, 1], 20: [2, 2], 30: [3, 3]}, takes={10: 20})
    work.halved(90)
    assert [seconds for _, seconds in work.given] == pytest.approx([10, 5, 5, 20, 20, 20])
    work = Work({10: [1, 1], 20: [2, 2], 30: [3, 3]}, takes={10: 0})
    work.halved(90)
    assert [seconds for _, seconds in work.given] == pytest.approx([10] * 3 + [70 / 3] * 3)


def test_who_came_further_is_before_who_failed_late_but_not_behind_for_an_early_failure():
    scores = {1: [3, 2], 2: [4, math.inf], 3: [math.inf, 1]}
    found = [Candidate(what, [Judged(score) for score in rows]) for what, rows in scores.items()]
    assert [one.what for one in sorted(found, key=lambda one: one.rank)] == [3, 1, 2]


def test_who_failed_in_the_last_round_comes_behind_those_that_were_trained_in_it():
    work = Work({10: [1, math.inf], 11: [2], 20: [3, 4], 21: [math.inf]})
    assert work.halved(1) == [20, 10, 11, 21]


def test_where_all_fail_in_the_last_round_the_first_one_counts():
    work = Work({10: [2, math.inf], 11: [3], 20: [1, math.inf], 30: [math.inf] * 2})
    assert work.halved(1) == [20, 10, 11, 30]


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


def test_a_look_that_the_recipe_has_is_not_tried_again():
    how = Augmentation(alternate=True, erase=0.5)
    asked = Recipe(model="resnet20", augmentation=how, data=DataRecipe(data="x"))
    assert len(ideas(asked, asked, 0.1, 12)) == len(LOOKS)


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
    best, *others = (one["rounds"] for one in found["tried"])
    rivals = [rounds[-1]["score"] for rounds in others if len(rounds) == len(best)]
    assert all(best[-1]["score"] <= score for score in rivals)
    assert out.with_suffix(".png").stat().st_size > 5000
    where = str(tmp_path / "run")
    run = rk.train(str(pictures), recipe=str(out), out=where, observer=Observer(), **MACHINE)
    assert run.steps > 0
