"""A disk that is full, and permissions that are lost, in the middle of a run."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.training.runs import SETTINGS, assert_equal_bits, train

import resnetkit as rk
from resnetkit.other_depths import deepen_classifier
from resnetkit.training.observer import Observer


class AfterTheFirstEpoch(Observer):
    """Does something once, when the first epoch has been saved."""

    def __init__(self, act):
        self.act = act

    def epoch_done(self, row: dict, epochs: int) -> None:
        if row["epoch"] == 1:
            self.act()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]).returncode:
        pytest.skip("no right to mount a small file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill_up(file: Path) -> None:
    """To the last byte of its disk."""
    with file.open("wb", buffering=0) as open_file:
        for size in (2**16, 2**10, 1):
            try:
                while True:
                    open_file.write(b"x" * size)
            except OSError:
                pass


def test_a_classifier_that_does_not_fit_on_the_disk(small_disk, undisturbed):
    fill_up(small_disk / "filler")
    with pytest.raises(rk.UserError, match="cannot write .*deeper.*No space left"):
        deepen_classifier(str(undisturbed), str(small_disk / "deeper"), "resnet14")
    assert [p.name for p in small_disk.iterdir()] == ["filler"]


def test_a_run_that_begins_on_a_full_disk(small_disk):
    fill_up(small_disk / "filler")
    with pytest.raises(rk.UserError, match="cannot write .*run: No space left"):
        train(small_disk / "run")
    assert [p.name for p in small_disk.iterdir()] == ["filler"]


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(small_disk, tmp_path):
    train(tmp_path / "whole")
    out, filler = small_disk / "run", small_disk / "filler"

    settings = SETTINGS | {"out": str(out), "checkpoint_seconds": 0}
    with pytest.raises(rk.UserError, match=r"cannot write .*step-0000000\d\d.* the one before it"):
        rk.train("fashion-mnist", observer=AfterTheFirstEpoch(lambda: fill_up(filler)), **settings)
    assert sorted(p.name for p in out.iterdir()) == [
        "SHA256SUMS", "checkpoints", "data.json", "metrics.jsonl", "recipe.yaml",
    ]  # fmt: skip
    assert not list(out.rglob(".unfinished*"))
    filler.unlink()
    result = rk.train(resume=True, out=str(out), threads=1, observer=Observer())
    assert result.resumed_at >= 9
    assert_equal_bits(tmp_path / "whole", out)


RUN = """
import os, sys
from pathlib import Path
import resnetkit.cli
from resnetkit.terminal import TerminalObserver

def lose(observer, row, epochs):
    Path({out!r}, "checkpoints").chmod(0o555)
    os.geteuid() or os.setuid(65534)  # root would be let through

TerminalObserver.epoch_done = lose
sys.exit(resnetkit.cli.main({arguments!r}))
"""


def test_a_permission_that_is_lost_is_one_line(tmp_path):
    out = tmp_path / "run"
    flags = "--model resnet8 --limit 100 --epochs 3 --threads 1 --workers 1 --val-fraction 0.01"
    arguments = ["train", "fashion-mnist", *flags.split(), "--out", str(out)]
    code = RUN.format(out=str(out), arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("resnetkit: cannot write ")
    assert "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr
    (out / "checkpoints").chmod(0o755)
    result = rk.train(resume=True, out=str(out), threads=1, observer=Observer())
    assert result.resumed_at == result.steps // 3
