"""Experiments from the command to the page; kept, gone on with, and measured anew when due."""

import json
import shutil
from dataclasses import replace

import pytest

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.lab import run as laboratory
from resnetkit.lab.bench import Bench
from resnetkit.lab.experiments import degradation
from resnetkit.lab.pace import Pace
from resnetkit.training.observer import Observer

MACHINE = {"threads": 1, "workers": 1}


class Told(Observer):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.mark.parametrize("name", laboratory.NAMES)
def test_every_experiment_says_what_it_asks_and_how_it_is_judged(name):
    one = laboratory.experiment_of(name)
    assert one.name == name
    for words in (one.question, one.done, one.rule, one.limits):
        assert words.en.isascii()
        assert not words.zh.isascii()
    assert one.small.keys() == one.full.keys()


def test_an_experiment_leaves_data_figures_and_pages(tmp_path, capsys):
    words = ["lab", "function-classes", "--out", str(tmp_path), "--seeds", "8"]
    assert main(words) == 0
    assert "function-classes: The claim held." in capsys.readouterr().out
    folder = tmp_path / "function-classes"
    assert {file.name for file in folder.iterdir()} == {
        "data.json", "README.md", "README.zh.md", "figure.svg", "figure.png", "figure.zh.svg",
        "figure.zh.png",
    }  # fmt: skip
    assert "**Verdict**: The claim held." in (folder / "README.md").read_text()
    assert "**判定**: 该论断成立。" in (folder / "README.zh.md").read_text(encoding="utf-8")
    before = (folder / "data.json").stat().st_mtime_ns
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)[0]
    assert (found["verdict"]["outcome"], found["seconds"]) == ("held", 0)
    assert (folder / "data.json").stat().st_mtime_ns == before


def test_other_sizes_and_damaged_data_are_measured_anew_and_said_so(tmp_path):
    told = Told()
    for seeds in (8, 9):
        rk.run_experiment("function-classes", out=tmp_path, seeds=seeds, observer=told)
    assert "another version or other sizes: it is measured anew" in told.lines[0]
    file = tmp_path / "function-classes" / "data.json"
    emptied = json.dumps(json.loads(file.read_text()) | {"data": {"nested": []}})
    for text in ("{", emptied):
        file.write_text(text)
        rk.run_experiment("function-classes", out=tmp_path, seeds=9, observer=told)
        assert "cannot be read: it is measured anew" in told.lines[-1]


def test_runs_are_kept_gone_on_with_and_trained_anew_for_other_settings(tmp_path, monkeypatch):
    tiny = replace(degradation.EXPERIMENT, small={"seeds": 1, "images": 60, "epochs": 1})
    monkeypatch.setattr(degradation, "EXPERIMENT", tiny)
    told = Told()
    first = rk.run_experiment("degradation", out=tmp_path, observer=told, **MACHINE)
    assert first.verdict.outcome == "undecided"
    runs = tmp_path / "degradation" / "runs"
    made = (runs / "plain56-0" / "metrics.jsonl").stat().st_mtime_ns
    (tmp_path / "degradation" / "data.json").unlink()
    shutil.rmtree(runs / "resnet56-0" / "classifier")  # as if killed before its end
    again = rk.run_experiment("degradation", out=tmp_path, observer=told, **MACHINE)
    assert again.data == first.data
    assert (runs / "plain56-0" / "metrics.jsonl").stat().st_mtime_ns == made
    longer = replace(tiny, small={"seeds": 1, "images": 70, "epochs": 1})
    monkeypatch.setattr(degradation, "EXPERIMENT", longer)
    rk.run_experiment("degradation", out=tmp_path, observer=told, **MACHINE)
    assert sum("other settings: it is trained anew" in line for line in told.lines) == 4


def test_too_few_minutes_are_told_and_what_is_done_is_kept(tmp_path):
    bench = Bench(tmp_path / "runs", MACHINE, Observer(), Pace(minutes=1000))
    bench.total = 4
    bench.train("plain20", 0, "he2015-cifar", model="plain20", epochs=1, limit=60)
    bench.pace.minutes = bench.pace.seconds / 60 * 3  # of four that take as long
    with pytest.raises(
        rk.UserError, match=r"3 runs are to come, which take about .* more; what is"
    ):
        bench.train("plain56", 0, "he2015-cifar", model="plain56", epochs=1, limit=60)
    assert [run.name for run in (tmp_path / "runs").iterdir()] == ["plain20-0"]
    found = bench.train("plain20", 0, "he2015-cifar", model="plain20", epochs=1, limit=60)
    assert found == tmp_path / "runs" / "plain20-0"


def test_a_budget_that_is_over_before_the_first_run_is_one_line(tmp_path, capsys):
    words = ["lab", "degradation", "--out", str(tmp_path), "--minutes", "1e-9"]
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "--minutes 1e-09 is too small: 0.0 are gone, and 8 runs are to come; what" in said[0]
    assert main([*words[:-1], "0"]) == 2
    assert "must be more than 0" in capsys.readouterr().err


def test_of_all_only_those_with_seeds_take_them():
    with pytest.raises(rk.UserError, match="at least 1"):
        rk.run_experiment("function-classes", seeds=0)
