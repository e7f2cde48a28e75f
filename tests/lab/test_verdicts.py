"""Verdicts are honest: an effect, none, and noise are told apart, from the numbers alone."""

import numpy as np
import pytest

from resnetkit.lab.experiment import all_of, outcome_of
from resnetkit.lab.experiments import (
    bad_g,
    batch_size,
    degradation,
    depth_speed,
    fully_connected,
    function_classes,
    generalisation,
    identity,
    inside_out,
    labels,
    landscape,
    orders,
    propagation,
    resolution,
    schedules,
    shortcuts,
    thousand_layers,
)


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
    assert judged([falls] * 40, [rises] * 30 + [falls] * 10) == "held"
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


def ending(**ends):
    """Curves of arms that end with these validation errors."""
    return {a: [{"train": [0.9, e], "val": [0.9, e]} for e in rows] for a, rows in ends.items()}


def test_shortcuts():
    def judged(none, a, b, c):
        return shortcuts.judge(ending(none=none, A=a, B=b, C=c)).outcome

    assert judged([0.3, 0.31], [0.1, 0.11], [0.1, 0.109], [0.1, 0.111]) == "held"
    assert judged([0.1, 0.11], [0.3, 0.31], [0.1, 0.109], [0.1, 0.111]) == "did not hold"
    assert judged([0.3, 0.31], [0.2, 0.21], [0.1, 0.109], [0.1, 0.111]) == "did not hold"
    assert judged([0.11, 0.1], [0.1, 0.11], [0.1, 0.109], [0.1, 0.111]) == "undecided"


def test_orders():
    def judged(a, b, c, e):
        data = ending(**{"20 a": [0.5], "44 a": a, "44 b": b, "44 c": c, "44 d": a, "44 e": e})
        data |= ending(**{f"20 {order}": [0.5] for order in "bcde"})
        return orders.judge(data).outcome

    assert judged([0.2, 0.21], [0.3, 0.32], [0.3, 0.33], [0.15, 0.16]) == "held"
    assert judged([0.2, 0.21], [0.1, 0.12], [0.3, 0.33], [0.15, 0.16]) == "did not hold"
    assert judged([0.2, 0.21], [0.3, 0.32], [0.3, 0.33], [0.1, 0.4]) == "undecided"


def test_schedules_are_judged_at_their_best_rate():
    def judged(step, cosine):
        rows = {
            "constant 0.1": [0.5],
            "one-cycle 0.1": [0.5],
            "step 0.1": step,
            "step 0.3": [0.8, 0.8],
        }
        return schedules.judge(ending(**rows, **{"cosine 0.1": cosine})).outcome

    assert judged([0.20, 0.21], [0.10, 0.11]) == "held"
    assert judged([0.10, 0.11], [0.20, 0.21]) == "did not hold"
    assert judged([0.10, 0.21], [0.21, 0.12]) == "undecided"


def test_large_batches():
    def judged(small, large, repaired):
        errors = {rule: [small, large] for rule in batch_size.RULES}
        errors |= {rule: [small, repaired] for rule in ("linear", "sqrt", "lars")}
        data = {"batches": [64, 4096], "errors": errors, "lenet": errors, "said": {}}
        return batch_size.judge(data).outcome

    assert judged([0.2, 0.21], [0.6, 0.62], [0.3, 0.31]) == "held"
    assert judged([0.2, 0.21], [0.1, 0.12], [0.3, 0.31]) == "did not hold"
    assert judged([0.2, 0.21], [0.6, 0.62], [0.9, 0.4]) == "undecided"


def test_fully_connected():
    def judged(plain, residual, few=(0.2, 0.21)):
        ends = {"plain, norm": [few, plain], "residual, norm": [few, residual]}
        errors = {
            f"{arm}/{depth}": rows
            for arm in fully_connected.ARMS
            for depth, rows in zip((4, 200), ends.get(arm, [few, few]), strict=True)
        }
        return fully_connected.judge({"layers": [4, 200], "errors": errors, "said": {}}).outcome

    assert judged([0.8, 0.82], [0.2, 0.21]) == "held"
    assert judged([0.8, 0.82], [0.3, 0.31]) == "did not hold"
    assert judged([0.1, 0.12], [0.2, 0.21]) == "did not hold"
    assert judged([0.9, 0.1], [0.2, 0.21]) == "undecided"


def test_generalisation():
    def judged(changed, unchanged, random):
        arms = {"changed": changed, "unchanged": unchanged, "random": random}
        data = {
            arm: [{"train": [train + more], "val": [val]} for more in (0, 0.001)]
            for arm, (train, val) in arms.items()
        }
        return generalisation.judge(data).outcome

    assert judged((0.3, 0.2), (0.01, 0.2), (0.1, 0.9)) == "held"
    assert judged((0.1, 0.2), (0.01, 0.2), (0.1, 0.9)) == "did not hold"
    assert judged((0.3, 0.2), (0.01, 0.2), (0.89, 0.9)) == "did not hold"


def test_bad_g():
    def judged(plain, residual):
        rows = {"plain": plain, "residual": residual}
        harms = {harm: [0.2] for harm in bad_g.HARMS}
        return bad_g.judge({
            kind: [harms | {"whole": 0.1, "deleted": [0.1 + lost]} for lost in losts]
            for kind, losts in rows.items()
        }).outcome  # fmt: skip

    assert judged([0.5, 0.6], [0.02, 0.03]) == "held"
    assert judged([0.02, 0.03], [0.02, 0.03]) == "did not hold"
    assert judged([0.5, 0.6], [0.5, 0.6]) == "did not hold"
    assert judged([0.05, 0.3], [0.02, 0.03]) == "undecided"


def test_inside_out():
    def judged(*small_half):
        runs = [[{"prefixes": [s, s, 0.5]}, {"prefixes": [1.0, 1.0, 1.0]}] for s in small_half]
        return inside_out.judge({inside_out.MODEL: runs}).outcome

    assert judged(0.8, 0.82) == "held"
    assert judged(0.1, 0.12) == "did not hold"
    assert judged(0.3, 0.75) == "undecided"


def test_thousand_layers():
    def judged(losses, gradients):
        data = {"losses": {"resnet1202": losses, "preresnet1001": losses},
                "gradients": {"resnet1202": gradients, "plain1202": [1e-30, 1.0]}}  # fmt: skip
        return thousand_layers.judge(data).outcome

    assert judged([[2.5, 2.0], [2.5, 2.1]], [1.0, 30.0]) == "held"
    assert judged([[2.5, 2.6], [2.5, 2.7]], [1.0, 30.0]) == "did not hold"
    assert judged([[2.5, 2.0], [2.5, 2.1]], [1.0, 1e6]) == "did not hold"
    assert judged([[2.5, 2.0], [2.5, 2.9]], [1.0, 30.0]) == "undecided"


def test_depth_speed():
    def judged(shallow, deep, rates=((90, 100), (20, 22))):
        models = ["resnet18", "resnet50"]
        accuracy, speeds = (
            dict(zip(models, rows, strict=True)) for rows in ((shallow, deep), rates)
        )
        data = {"models": models, "side": 32, "accuracy": accuracy, "rates": speeds}
        return depth_speed.judge(data).outcome

    assert judged([0.7, 0.71], [0.8, 0.82]) == "held"
    assert judged([0.8, 0.82], [0.7, 0.71]) == "did not hold"
    assert judged([0.7, 0.9], [0.8, 0.79]) == "undecided"


def test_resolution():
    def judged(small, large):
        rows = {"28": small, "56": small, "96": large}
        return resolution.judge({
            side: [{"accuracy": a, "larger": a, "seconds": 1.0} for a in values]
            for side, values in rows.items()
        }).outcome  # fmt: skip

    assert judged([0.7, 0.71], [0.8, 0.82]) == "held"
    assert judged([0.8, 0.82], [0.7, 0.71]) == "did not hold"
    assert judged([0.7, 0.9], [0.8, 0.79]) == "undecided"


def test_landscape():
    bowl = [[float(x * x + y * y) for x in range(-3, 4)] for y in range(-3, 4)]
    waves = [[float(5 + (x + y) % 2) for x in range(7)] for y in range(7)]
    assert landscape.hollows(bowl) == 0
    assert landscape.hollows(waves) > 0.4
    assert (
        landscape.judge({"plain": [waves, waves[1:]], "residual": [bowl, bowl]}).outcome == "held"
    )
    assert (
        landscape.judge({"plain": [bowl, bowl], "residual": [waves, waves]}).outcome
        == "did not hold"
    )
    assert (
        landscape.judge({"plain": [bowl, waves], "residual": [waves, bowl]}).outcome == "undecided"
    )


def test_labels():
    def judged(recall, precision):
        rows = [{"recall": r, "precision": p} for r, p in zip(recall, precision, strict=True)]
        return labels.judge({"runs": rows}).outcome

    assert judged([0.9, 0.92], [0.93, 0.94]) == "held"
    assert judged([0.9, 0.92], [0.5, 0.52]) == "did not hold"
    assert judged([0.7, 0.92], [0.93, 0.94]) == "undecided"
