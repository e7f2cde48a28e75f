"""One Classifier with several depths: judged side by side, stopped early, chosen by time."""

from types import SimpleNamespace

import pytest
import torch

import resnetkit as rk
from resnetkit import latency
from resnetkit.classifier import Classifier
from resnetkit.data.transform import Transform
from resnetkit.early_exit import EarlyExit
from resnetkit.exits import Calibration, Exit
from resnetkit.latency import ROUNDS
from resnetkit.nets.nested import Nested
from tests.nets.test_depth import lived_in


@pytest.fixture
def many() -> Classifier:
    """Of depths 8, 14, 20, its numbers at random."""
    nested = Nested(lived_in("resnet20", channels=1).eval(), [8, 14])
    for number, buffer in enumerate(nested.statistics().values()):
        if buffer.is_floating_point():
            buffer.mul_(1 + 0.01 * (number % 5))
    transform = Transform(size=28, channels=1, mean=(0.3,), std=(0.4,))
    clf = Classifier(
        nested.net, transform, tuple("abcdefghij"),
        inner={net.layers: net for net in nested.all[1:]},
    )  # fmt: skip
    sure = clf.at(8).engine("fp32")(pictures(64)).softmax(1).amax(1)
    threshold = float(sure.sort().values[31:33].mean())  # between two images
    clf.calibration = Calibration(
        {"8": 1.0, "14": 1.0, "20": 2.0}, (Exit(0.003, 8, threshold, 0.5, 0.9),)
    )
    return clf


def pictures(count: int) -> torch.Tensor:
    draws = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 28, 28, 1), dtype=torch.uint8, generator=draws)


@pytest.mark.parametrize("count", [64, 7, 1])
def test_the_sure_are_answered_by_the_shallow_network(many, count):
    batch = pictures(count)
    model = EarlyExit.of(many, 0.005, "fp32")
    first, whole = (many.at(n).engine("fp32")(batch) for n in (8, 20))
    stays = first.softmax(1).amax(1) >= many.calibration.exits[0].threshold
    expected = torch.where(stays[:, None], first, whole)
    torch.testing.assert_close(model.finish(model(batch)), expected, rtol=1e-4, atol=1e-4)
    assert (model.images, model.exited) == (count, int(stays.sum()))
    assert count < 64 or 20 < model.exited < 44


@pytest.mark.parametrize(("threshold", "exited"), [(0.0, 12), (2.0, 0)])
def test_all_or_none_are_sure(many, threshold, exited):
    many.calibration = Calibration({}, (Exit(0.0, 8, threshold, 0.5, 0.9),))
    model = EarlyExit.of(many, 0.0, "fp32")
    expected = many.at(8 if exited else 20).engine("fp32")(pictures(12))
    said = model.finish(model(pictures(12)))
    torch.testing.assert_close(said, expected, rtol=1e-4, atol=1e-4)
    assert model.exited == exited


def test_images_of_several_batches_are_asked_for_together(many, monkeypatch):
    """The whole network gets batches as large as the largest call's, and the rest at the end."""
    batches, asked = pictures(100).split([7, 16, 16, 3, 16, 16, 16, 10]), []
    model, whole = EarlyExit.of(many, 0.005, "fp32"), many.at(20).engine("fp32")
    monkeypatch.setattr(model, "_whole", lambda some: asked.append(len(some)) or whole(some))
    said = model.finish(torch.cat([model(batch) for batch in batches]))
    assert sum(asked) == 100 - model.exited > 32
    assert max(asked) <= 16
    assert min(asked[1:-1]) == 16  # the first may come while calls are small
    other = EarlyExit.of(many, 0.005, "fp32")
    for _ in range(2):  # it may be asked for more afterwards
        torch.testing.assert_close(said, other.finish(other(pictures(100))), rtol=1e-4, atol=1e-4)


def test_the_temperature_divides_what_engines_answer(many):
    batch = pictures(4)
    torch.testing.assert_close(2 * many.at(20).engine("fp32")(batch), many(batch))
    torch.testing.assert_close(many.at(14).engine("fp32")(batch), many.at(14)(batch))
    assert torch.equal(many.at(20)(batch), many(batch))


def test_calibration_survives_saving(many, tmp_path):
    many.save(tmp_path / "x")
    assert rk.load(tmp_path / "x").calibration == many.calibration
    assert rk.load(tmp_path / "x").at(20).temperature == 2.0


@pytest.mark.parametrize(
    ("change", "loss", "reason"),
    [
        ({}, 0.001, "at 0.1% saves no time with this network; 0.3% does"),
        ({}, -0.5, "is a loss of accuracy such as 0.3%"),
        ({"calibration": Calibration()}, 0.5, "nor does any other"),
        ({"inner": {}}, 0.5, "needs several depths: only --any-depth trains them"),
        ({"task": "multi-label"}, 0.5, "one class each"),
    ],
)
def test_an_early_exit_that_cannot_be(many, change, loss, reason):
    for name, value in change.items():
        setattr(many, name, value)
    with pytest.raises(rk.UserError, match=reason):
        EarlyExit.of(many, loss)


@pytest.fixture
def times(many, monkeypatch, tmp_path):
    """Latencies are measured into an empty cache folder, 1, 2, 3 ms by depth; all are kept here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(latency, "LEAST_RUNS", 2)
    monkeypatch.setattr(latency, "MOST_RUNS", 2)
    milliseconds, measured, ordinary = {8: 1.0, 14: 2.0, 20: 3.0}, [], Classifier.engine

    def engine(clf, precision):
        made = ordinary(clf, precision)
        made.layers = clf.net.layers
        return made

    def timed(call, device, runs):
        measured.append(call.func.layers)
        return [0.001 * milliseconds[call.func.layers]] * runs

    monkeypatch.setattr(Classifier, "engine", engine)
    monkeypatch.setattr(latency, "timed", timed)
    return SimpleNamespace(milliseconds=milliseconds, measured=measured)


def test_the_deepest_that_answers_in_time(many, times):
    assert rk.deepest_within(many, "1.3ms", precision="fp32").net.layers == 8
    assert rk.deepest_within(many, "0.0026s", precision="fp32").net.layers == 14
    assert rk.deepest_within(many, "99000us", precision="fp32").net.layers == 20
    for layers in (8, 14, 20):  # in each round, before it was chosen, and then: warmed up, measured
        assert times.measured.count(layers) == 2 * ROUNDS + 4
    with pytest.raises(rk.UserError, match=r"within 1ms: the quickest, of 8 layers, takes 1.00 ms"):
        rk.deepest_within(many, "1ms", precision="fp32")


def test_the_slowest_round_counts(many, times, monkeypatch):
    rounds = iter([1.0] * 7 + [1.5] + [1.0] * 100)
    monkeypatch.setattr(latency, "timed", lambda call, device, runs: [0.001 * next(rounds)] * runs)
    assert latency.latencies(many, "fp32")[8].p95 == pytest.approx(1.5)


def test_one_that_is_slower_now_is_not_chosen(many, times):
    assert rk.deepest_within(many, "4ms", precision="fp32").net.layers == 20
    times.milliseconds[20] = 3.7
    assert rk.deepest_within(many, "4ms", precision="fp32").net.layers == 14
    times.milliseconds |= {8: 2.8, 14: 2.9}
    with pytest.raises(
        rk.UserError, match=r"within 3ms: .* 8 layers, takes 2.80 ms .*latency/\w+.json"
    ):
        rk.deepest_within(many, "3ms", precision="fp32")


@pytest.mark.parametrize("busy", [{8: 50.0, 14: 60.0, 20: 70.0}, {8: 3.1, 14: 50.0, 20: 60.0}])
def test_what_was_measured_at_a_busy_moment_does_not_stay(many, times, busy):
    """Where it said that no depth fits, and where it said that but the shallowest does."""
    quick = dict(times.milliseconds)
    times.milliseconds |= busy
    latency.latencies(many, "fp32")
    times.milliseconds |= quick
    assert rk.deepest_within(many, "4ms", precision="fp32").net.layers == 20
    assert latency.latencies(many, "fp32")[20].p95 == pytest.approx(3.0)
    before = len(times.measured)
    assert rk.deepest_within(many, "4ms", precision="fp32").net.layers == 20
    assert len(times.measured) == before + 4


def test_several_ranks_would_choose_several_depths(many, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(rk.UserError, match="--latency measures one process: start it without"):
        rk.deepest_within(many, "4ms")


@pytest.mark.parametrize(("each", "runs"), [(0.001, 200), (0.01, 50), (0.1, 30)])
def test_slow_networks_are_timed_less_often(many, monkeypatch, tmp_path, each, runs):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(latency, "timed", lambda call, device, runs: [each] * runs)
    assert {found.runs for found in latency.latencies(many, "fp32").values()} == {runs}


@pytest.mark.parametrize("damage", ["", "{}", '{"latencies": {"8": [1]}}'])
def test_a_damaged_record_is_measured_anew(many, times, tmp_path, damage):
    found = latency.latencies(many, "fp32")
    (file,) = (tmp_path / "resnetkit" / "latency").iterdir()
    file.write_text(damage)
    assert set(latency.latencies(many, "fp32")) == set(found)
    assert len(times.measured) == 2 * 6 * ROUNDS


@pytest.mark.parametrize("text", ["5", "ms", "-5ms", "nanms", "0ms", "5 hours", ""])
def test_a_latency_that_is_no_time(many, text):
    with pytest.raises(rk.UserError, match="must be a time such as 5ms"):
        rk.deepest_within(many, text)


def test_it_is_really_as_quick_as_it_was_measured_to_be(many, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(latency, "MOST_RUNS", 20)
    found = latency.latencies(many, "fp32")
    assert found[8].p50 < found[20].p50
    assert found[8].runs == 20


@pytest.mark.parametrize("change", [{"threshold": float("nan")}, {"share": 1e9}, {"loss": -0.1}])
def test_an_exit_that_makes_no_sense_is_refused(change):
    numbers = {"loss": 0.003, "layers": 8, "threshold": 0.5, "share": 0.5, "top1": 0.9} | change
    with pytest.raises(rk.UserError, match=f"the {next(iter(change))} of an early exit cannot be"):
        Exit(**numbers)
