"""Verdicts are honest: an effect, none, and noise are told apart, from the numbers alone."""

import numpy as np
import pytest

from resnetkit.lab.experiment import all_of, outcome_of
from resnetkit.lab.experiments import degradation, function_classes, identity, propagation


@pytest.mark.parametrize(
    ("differences", "least", "outcome"),
    [([0.02, 0.03, 0.025], 0, "held"), ([-0.02, -0.03], 0, "did not hold"),
     ([0.02, -0.03, 0.01], 0, "undecided"), ([0.5], 0, "undecided"),
     ([0.02, 0.021], 0.1, "did not hold"), ([0.0, 0.0], 0, "undecided")],
)  # fmt: skip
def test_a_difference_is_there_when_it_is_larger_than_the_spread(differences, least, outcome):
    assert outcome_of(differences, least) == outcome


def test_all_parts_of_a_claim_must_hold():
    assert all_of("held", "held") == "held"
    assert all_of("held", "undecided") == "undecided"
    assert all_of("undecided", "did not hold") == "did not hold"


def errors(plain20, plain56, resnet20, resnet56):
    ends = {"plain20": plain20, "plain56": plain56, "resnet20": resnet20, "resnet56": resnet56}
    return {arm: [{"train": [0.5, e], "val": [0.5, e]} for e in rows] for arm, rows in ends.items()}


def test_degradation():
    def judged(*ends):
        return degradation.judge(errors(*ends)).outcome

    assert judged([0.10, 0.11], [0.20, 0.22], [0.09, 0.10], [0.085, 0.09]) == "held"
    assert judged([0.20, 0.21], [0.10, 0.11], [0.09, 0.10], [0.085, 0.09]) == "did not hold"
    assert judged([0.10, 0.11], [0.20, 0.22], [0.09, 0.10], [0.15, 0.16]) == "did not hold"
    assert judged([0.10, 0.20], [0.19, 0.12], [0.09, 0.10], [0.085, 0.09]) == "undecided"


def curves(*first_below: int) -> list[list[list[float]]]:
    return [[[1.0] * steps + [0.01] * (100 - steps)] * 2 for steps in first_below]


def test_identity():
    def judged(plain, residual, branch=(0.1, 0.3)):
        errors = {"plain": curves(*plain), "residual": curves(*residual)}
        sizes = {"residual": [list(branch)] * len(plain)}
        data = {"ripples": [0.1, 0.3], "errors": errors, "branch": sizes}
        return identity.judge(data).outcome

    assert judged([80, 90, 85], [10, 12, 11]) == "held"
    assert judged([10, 12, 11], [80, 90, 85]) == "did not hold"
    assert judged([10, 90, 50], [60, 20, 55]) == "undecided"
    assert judged([80, 90, 85], [10, 12, 11], branch=(0.3, 0.1)) == "did not hold"


def test_propagation():
    def judged(plain, residual, more=0):
        costs = {"plain": [10, 20], "residual": [10 + more, 20]}
        likeness = {"plain": [[1.0, p] for p in plain], "residual": [[1.0, r] for r in residual]}
        return propagation.judge({"layers": 20, "likeness": likeness, "costs": costs}).outcome

    assert judged([0.1, 0.12], [0.5, 0.55]) == "held"
    assert judged([0.5, 0.55], [0.1, 0.12]) == "did not hold"
    assert judged([0.1, 0.5], [0.4, 0.2]) == "undecided"
    assert judged([0.1, 0.12], [0.5, 0.55], more=1) == "did not hold"


def test_function_classes():
    def judged(nested, other):
        return function_classes.judge({"nested": nested, "not nested": other}).outcome

    falls, rises = [3.0, 2.0, 1.0], [3.0, 1.0, 2.0]
    assert judged([falls] * 9, [rises] * 8 + [falls]) == "held"
    assert judged([falls] * 9, [falls] * 9) == "did not hold"
    assert judged([falls] * 8 + [rises], [rises] * 9) == "did not hold"
    assert judged([falls] * 10, [rises] * 5 + [falls] * 5) == "undecided"


def test_the_best_fit_on_pieces_is_the_least_squares_one():
    truth = function_classes.draw_truth(3)
    bounds = function_classes.equal_pieces(3)
    design = np.zeros((len(truth), 3))
    for k in range(3):
        design[bounds[k] : bounds[k + 1], k] = 1
    fit = design @ np.linalg.lstsq(design, truth, rcond=None)[0]
    assert function_classes.distance(truth, bounds) == pytest.approx(
        np.sqrt(np.mean((truth - fit) ** 2))
    )
