"""Networks measured on this machine: what comes out, and what is refused before it begins."""

import json
import shutil

import pytest
import torch
from PIL import Image
from tests.hardware import needs_bf16
from tests.training.runs import train

import resnetkit as rk
from resnetkit.benching import contestant, peak, room
from resnetkit.benching.room import fitting_batch, quickest_batch
from resnetkit.cli import main

TINY = ["--image-size", "16", "--quick", "--threads", "1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benched")
    train(folder / "a", epochs=1)
    shutil.copytree(folder / "a", folder / "unfinished")
    shutil.rmtree(folder / "unfinished" / "classifier")
    return folder


def test_what_is_measured(capsys):
    """Rows in the order asked for, costs as counted, spreads in order; stdout is JSON alone."""
    state = torch.get_rng_state()
    assert main(["bench", "resnet14", "resnet8", "--json", *TINY, "--precision", "fp32"]) == 0
    assert torch.equal(torch.get_rng_state(), state)
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    first = captured.err.splitlines()[0]
    assert first.startswith("on cpu, fp32, 1 thread: ")
    assert found["machine"]["hardware"] in first
    assert [row["name"] for row in found["rows"]] == ["resnet14", "resnet8"]
    for row in found["rows"]:
        summary = rk.summarise(rk.create(row["name"]).spec, 16, 16)
        assert row["parameters"] == summary.parameters
        assert row["multiply_adds"] == summary.multiply_adds
        assert row["batch"] in [2**n for n in range(9)]
        assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p95"]
        assert row["latency_ms"]["runs"] >= 20
        training = row["training"]
        assert (training["batch"], training["precision"]) == (32, "fp32")
        assert 50e6 < training["peak_bytes"] < 2e9
        for spread in (
            row["images_per_second"],
            row["matrix_share"],
            training["images_per_second"],
        ):
            assert 0 < spread["lower_quartile"] <= spread["median"] <= spread["upper_quartile"]
        assert not row["notes"]
    assert found["matrix_rate"]["median"] > 1e8


def test_a_table_and_a_plot(tmp_path, capsys):
    """At 16 px nothing was published: every name is told of, in the plot and beside it."""
    picture = tmp_path / "chart.png"
    names = ["resnet8", "resnet18", "resnet?4"]
    flags = ["--no-train", "--batch-size", "4", "--plot", str(picture), "--zh", *TINY]
    assert main(["bench", *names, *flags]) == 0
    captured = capsys.readouterr()
    assert "of the matrix rate" in captured.out
    assert "Training" not in captured.out
    lines = [line.split()[0] for line in captured.out.splitlines() if " px " in line]
    assert lines == ["resnet8", "resnet18", "resnet34", "resnet14", "resnet44"]
    assert "no accuracy is known at their size: resnet8, resnet18" in captured.err
    assert Image.open(picture).width > 800


def test_runs_bring_their_own_size_and_accuracy(runs, tmp_path):
    classifier = rk.load(runs / "a")
    found = rk.bench([runs / "a", runs / "a" / "classifier"], quick=True, threads=1, train=False)
    found.plot(tmp_path / "chart.svg")
    (row,) = {row.name: row for row in found.rows if row.name.endswith("a")}.values()
    assert (row.kind, row.model, row.image_size) == ("run", "resnet8", classifier.transform.size)
    assert row.accuracy.top1 == pytest.approx(100 * classifier.training.val_top1)
    assert row.training is None
    assert (tmp_path / "chart.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["resnet8", "resnet19", "resnet14"], "unknown model 'resnet19'; did you mean resnet1"),
        (["resnet8", "rasnet*"], "no model matches 'rasnet*'"),
        (["resnet8", "{runs}/unfinished"], "is an unfinished run"),
        (["resnet8", "{runs}"], "neither a run nor a Classifier folder"),
        (["resnet8", "{runs}/none"], "no such run or Classifier folder"),
        (["resnet8", "{runs}/a", "--plot", "{runs}/x.png"], "one plot cannot show both"),
        (["resnet8", "--plot", "{runs}/x.jpg"], "must end in .png"),
        (["resnet18", "--image-size", "32", "--train-batch", "1"], "more than one image"),
    ],
)
def test_refused_before_anything_is_measured(names, said, runs, capsys, monkeypatch):
    monkeypatch.setattr(contestant.Contestant, "find_batches", lambda _: pytest.fail("measured"))
    assert main(["bench", *(name.format(runs=runs) for name in names)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_what_does_not_fit_is_told_and_the_others_go_on(monkeypatch, capsys):
    """Room for 4 images of resnet14, hence for more of resnet8; training for 8 images at most."""
    bytes_each = {8: 1, 14: 2**20}
    monkeypatch.setattr(contestant, "image_bytes", lambda spec, _: bytes_each[spec.layers])
    monkeypatch.setattr(room, "available_memory", lambda: 4 * 2**20)
    monkeypatch.setattr(
        peak, "_in_child", lambda _s, batch, _p, _d: (batch <= 8, 10**8 if batch <= 8 else None)
    )
    flags = ["--batch-size", "16", *TINY]
    assert main(["bench", "resnet14", "resnet8", *flags]) == 0
    said = capsys.readouterr().out
    assert "resnet14: 16 images at a time do not fit memory, 4 do" in said
    assert "resnet8: 16 images" not in said
    assert "resnet8: training on 32 images does not fit memory, on 8 does" in said
    monkeypatch.setattr(room, "available_memory", lambda: 1000)
    monkeypatch.setattr(peak, "_in_child", lambda *_: (False, None))
    found = rk.bench(["resnet14", "resnet8"], image_size=16, threads=1, quick=True, batch_size=2)
    assert [row.batch for row in found.rows] == [None, 2]
    assert found.rows[0].notes == (
        "one image does not fit memory", "a training step does not fit memory",
    )  # fmt: skip


def test_batches_are_doubled_while_it_pays():
    rates = {1: 10, 2: 19, 4: 30, 8: 31, 16: 99}
    assert quickest_batch(rates.get) == 8
    assert quickest_batch({1: 10, 2: 20}.get) == 2
    assert quickest_batch(lambda batch: batch) == 256
    assert quickest_batch(lambda batch: None) is None
    assert fitting_batch({1: 1, 2: 1}.get, 12) == 1
    assert fitting_batch({}.get, 12) is None


@needs_bf16
def test_a_stride_on_a_single_pixel_is_trained_in_fp32():
    found = rk.bench(
        "resnet18", image_size=16, threads=1, quick=True, batch_size=1, precision="bf16"
    )
    assert found.rows[0].training.precision == "fp32"
    assert found.rows[0].notes == ("trained in fp32: a stride meets a single pixel",)


def test_the_peak_is_that_of_the_step_not_of_who_asks():
    held = torch.ones(2**28)
    found = rk.bench("resnet8", image_size=16, threads=1, quick=True, batch_size=1)
    assert found.rows[0].training.peak_bytes < held.nbytes


def test_memory_that_runs_out_on_the_way_ends_one_network_only(monkeypatch):
    infer, turns = contestant.Contestant._infer, []

    def once(self, product):
        turns.append(self.subject.name)
        if turns[-1] == "resnet14" and turns.count("resnet14") == 2:
            raise MemoryError
        return infer(self, product)

    monkeypatch.setattr(contestant.Contestant, "_infer", once)
    found = rk.bench(
        ["resnet14", "resnet8"], image_size=16, threads=1, quick=True, batch_size=2, train=False
    )
    deep, shallow = found.rows
    assert deep.notes == ("memory ran out on the way: fewer runs than of the others",)
    assert shallow.notes == ()
    assert 0 < deep.images_per_second.runs < shallow.images_per_second.runs
