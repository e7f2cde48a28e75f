"""Experiments from the command to the page; kept, gone on with, and measured anew when due."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.lab import run as laboratory
from resnetkit.lab.bench import Bench
from resnetkit.lab.budget import Budget
from resnetkit.lab.experiments import degradation
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
    tiny = replace(
        degradation.EXPERIMENT, small={"seeds": 1, "images": 60, "epochs": 1, "batch": 32}
    )
    monkeypatch.setattr(degradation, "EXPERIMENT", tiny)
    told = Told()
    first = rk.run_experiment("degradation", out=tmp_path, observer=told, **MACHINE)
    assert first.verdict.outcome == "undecided"
    runs = tmp_path / "degradation" / "runs-1"
    made = (runs / "plain56-0" / "metrics.jsonl").stat().st_mtime_ns
    (tmp_path / "degradation" / "data.json").unlink()
    shutil.rmtree(runs / "resnet56-0" / "classifier")  # as if killed before its end
    again = rk.run_experiment("degradation", out=tmp_path, observer=told, **MACHINE)
    assert again.data == first.data
    assert (runs / "plain56-0" / "metrics.jsonl").stat().st_mtime_ns == made
    longer = replace(tiny, small={"seeds": 1, "images": 70, "epochs": 1, "batch": 32})
    monkeypatch.setattr(degradation, "EXPERIMENT", longer)
    rk.run_experiment("degradation", out=tmp_path, observer=told, **MACHINE)
    assert sum("other settings: it is trained anew" in line for line in told.lines) == 4


def trained(bench, arm: str, **settings) -> Path:
    return bench.train(arm, 0, "he2015-cifar", model=arm, epochs=1, **settings)


def test_the_time_left_is_told_by_the_runs_that_were_made_whole(tmp_path):
    told = Told()
    trained(Bench(tmp_path, MACHINE, told, total=1), "plain20", limit=60)
    bench = Bench(tmp_path, MACHINE, told, total=4)
    trained(bench, "plain20", limit=60)  # is there already
    assert bench.seconds == []
    for arm in ("resnet20", "plain56"):
        trained(bench, arm, limit=60)
    assert len(bench.seconds) == 2
    assert told.lines[-2] == "run 2 of 4: resnet20, seed 0"
    assert told.lines[-1] == "run 3 of 4: plain56, seed 0; about 0 min left"


def test_when_the_minutes_are_over_nothing_begins_and_nothing_is_lost(tmp_path):
    trained(Bench(tmp_path, MACHINE, Observer()), "plain20", limit=60)
    over = Budget(minutes=1000, began=Budget().began - 60_000)
    late = Bench(tmp_path, MACHINE, Observer(), over, total=2)
    trained(late, "plain20", limit=60)
    with pytest.raises(rk.UserError, match="1000 is too small: they are over, and 1 runs are"):
        trained(late, "plain20", limit=70)  # would be trained anew
    trained(Bench(tmp_path, MACHINE, Observer()), "plain20", limit=60)
    assert len(list(tmp_path.glob("plain20-0/classifier"))) == 1


def test_what_is_done_when_the_minutes_are_over_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(laboratory, "NAMES", ("function-classes", "degradation"))
    words = ["lab", "all", "--json", "--seeds", "8", "--out", str(tmp_path), "--minutes"]
    assert main([*words, "1e-9"]) == 2
    said = capsys.readouterr()
    assert [one["name"] for one in json.loads(said.out)] == ["function-classes"]
    assert "--minutes 1e-09 is too small: they are over, and 32 runs are to come" in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert main([*words, "0"]) == 2
    assert "must be more than 0" in capsys.readouterr().err


def test_of_all_only_those_with_seeds_take_them():
    with pytest.raises(rk.UserError, match="at least 1"):
        rk.run_experiment("function-classes", seeds=0)
