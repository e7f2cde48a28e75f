"""Temperatures and early exits from logits, against what one finds by trying everything."""

import numpy as np
import pytest

from resnetkit.exits import LOSSES, choose_exits, exit_for, temperature
from resnetkit.metrics import log_softmax

RNG = np.random.default_rng(0)


def answers(images: int, classes: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels drawn from them, so that they are right as often as they say."""
    logits = RNG.normal(size=(images, classes)) * sharpness
    shares = np.exp(log_softmax(logits))
    labels = (shares.cumsum(1) > RNG.random((images, 1))).argmax(1)
    return logits.astype(np.float32), labels


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_temperature_that_was_put_in_is_found(factor):
    logits, labels = answers(20_000, 5, 2.0)
    assert temperature(logits * factor, labels) == pytest.approx(factor, rel=0.03)


def test_no_other_temperature_fits_better():
    logits, labels = answers(500, 4, 1.0)

    def loss(t: float) -> float:
        return -log_softmax(logits / t)[np.arange(len(labels)), labels].mean()

    best = temperature(logits, labels)
    assert all(loss(best) <= loss(best * f) for f in (0.9, 0.99, 1.01, 1.1))


def test_where_all_answers_are_right_confidences_are_as_few_images_can_tell():
    labels = np.arange(40) % 4
    logits = 3.0 * np.eye(4, dtype=np.float32)[labels]
    sure = np.exp(log_softmax(logits / temperature(logits, labels))).max(1)
    assert sure.mean() == pytest.approx(1 - 0.75 / 42, abs=1e-4)


def two_networks(images: int = 2000):
    """A whole network that is mostly right, and a shallow one that is so where it is sure."""
    labels = RNG.integers(0, 3, images)
    whole = RNG.normal(size=(images, 3)).astype(np.float32)
    whole[np.arange(images), labels] += 4
    shallow = RNG.normal(size=(images, 3)).astype(np.float32)
    shallow[np.arange(images), labels] += RNG.choice([0.5, 8.0], images, p=[0.3, 0.7])
    return {8: shallow, 20: whole}, labels


def lost_at_most(right: np.ndarray, right_whole: np.ndarray) -> float:
    """The upper end of the mean loss of accuracy, at 95% confidence, one image more being lost."""
    lost, images = right_whole.astype(float) - right, len(right)
    mean, square = (lost.sum() + 1) / images, (np.abs(lost).sum() + 1) / images
    return mean + 1.645 * np.sqrt((square - mean**2) / images)


def test_thresholds_are_the_lowest_that_keep_the_accuracy():
    logits, labels = two_networks()
    found = choose_exits(logits, labels, {8: 1.0, 20: 4.0})
    sure = np.exp(log_softmax(logits[8])).max(1)
    right = {n: each.argmax(1) == labels for n, each in logits.items()}
    for way in found:
        allowed = 0.0
        for threshold in -np.unique(-sure):  # from the highest on
            both = np.where(sure >= threshold, right[8], right[20])
            if lost_at_most(both, right[20]) > way.loss + 1e-9:
                break
            allowed = (sure >= threshold).mean()
        assert way.share == pytest.approx(allowed)
        kept = sure >= way.threshold
        assert way.share == pytest.approx(kept.mean())
        assert way.top1 == pytest.approx(np.where(kept, right[8], right[20]).mean())
        assert way.top1 >= right[20].mean() - way.loss - 1e-9
    shares = [way.share for way in found]
    assert shares == sorted(shares)
    assert [way.loss for way in found] == list(LOSSES)[-len(found) :]
    assert len(found) >= 5


def test_what_is_allowed_is_not_exceeded_by_other_images():
    """In the mean over draws: a threshold chosen by the loss alone exceeds it."""
    exceeded = []
    for _ in range(100):
        logits, labels = two_networks()
        (way,) = [w for w in choose_exits(logits, labels, {8: 1.0, 20: 4.0}) if w.loss == 0.01]
        logits, labels = two_networks()
        right = {n: each.argmax(1) == labels for n, each in logits.items()}
        kept = np.exp(log_softmax(logits[8])).max(1) >= way.threshold
        lost = right[20].mean() - np.where(kept, right[8], right[20]).mean()
        exceeded.append(lost > way.loss)
    assert np.mean(exceeded) < 0.2


def test_equal_confidences_exit_together():
    labels = np.array([0, 1, 0, 1])
    shallow = np.array([[1.0, 0.0]] * 4)  # sure alike, right every other time
    whole = np.eye(2)[labels] * 9
    assert not choose_exits({8: shallow, 20: whole}, labels, {8: 1.0, 20: 4.0})


def test_where_nothing_is_saved_nothing_is_chosen():
    logits, labels = two_networks()
    assert choose_exits(logits, labels, {8: 4.0, 20: 4.0}) == ()


def test_a_loss_between_two_takes_the_smaller():
    logits, labels = two_networks()
    found = choose_exits(logits, labels, {8: 1.0, 20: 4.0})
    assert exit_for(found, 0.004).loss == 0.003
    assert exit_for(found, 0.003).loss == 0.003
    assert exit_for(found, 0.9).loss == max(LOSSES)
    assert exit_for((), 0.5) is None
