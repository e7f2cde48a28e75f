"""What happens before training: scanning, holding out, limiting, measuring."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnetkit.data import prepare
from resnetkit.data.sources import FileSource, Subset, images_under

labelled = st.lists(st.integers(0, 4), min_size=1, max_size=200).map(np.array)


@given(labelled, st.floats(0.01, 0.9), st.integers(0, 2**40))
def test_split_is_stratified_and_loses_nothing(labels, fraction, seed):
    rest, held = prepare.split(labels, fraction, seed)
    assert sorted([*rest, *held]) == list(range(len(labels)))
    for label in np.unique(labels):
        count, out = (labels == label).sum(), (labels[held] == label).sum()
        assert out == min(max(1, round(count * fraction)), count - 1)
    again = prepare.split(labels, fraction, seed)
    assert np.array_equal(held, again[1])


def test_another_seed_holds_out_others(fashion):
    labels = fashion.parts["train"].labels
    _, a = prepare.split(labels, 0.1, 0)
    _, b = prepare.split(labels, 0.1, 1)
    assert len(a) == len(b) == 6000
    assert 400 < len(np.intersect1d(a, b)) < 800  # a tenth of them, by chance


@given(labelled, st.integers(5, 250), st.integers(0, 100))
def test_limit_is_stratified(labels, images, seed):
    chosen = prepare.limit(labels, images, seed)
    assert len(set(chosen)) == len(chosen) == min(images, len(labels))
    share = min(1.0, images / len(labels))
    for label in np.unique(labels):
        count = (labels == label).sum()
        assert max(1, count * share - 5) <= (labels[chosen] == label).sum() <= count * share + 1


def test_scan_lists_what_cannot_be_read(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    (tmp_path / "Bag" / "cut.png").write_bytes((tmp_path / "Bag" / "1.png").read_bytes()[:100])
    source = FileSource(images_under(tmp_path))
    ticks = []
    found = prepare.scan(source, 2, ticks.append)
    assert [bad.path for bad in found.bad] == [str(tmp_path / "Bag" / "cut.png")]
    assert found.sizes == {(28, 28), (30, 40)}
    assert not found.grey
    assert sum(ticks) == 37


def test_mean_and_deviation_are_the_published_ones(fashion):
    mean, std = prepare.mean_and_deviation(fashion.parts["train"], 28, 1, workers=2, most=60_000)
    assert mean == pytest.approx([0.2860], abs=1e-4)
    assert std == pytest.approx([0.3530], abs=1e-4)


def test_the_fingerprint_sees_every_change(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)

    def now() -> str:
        return prepare.fingerprint(FileSource(images_under(tmp_path)))

    prints = [now()]
    victim = tmp_path / "Bag" / "1.png"
    victim.write_bytes(victim.read_bytes() + b"0")
    prints.append(now())
    victim.unlink()
    prints.append(now())
    other = tmp_path / "Bag" / "2.png"
    size, content = other.stat(), other.read_bytes()
    other.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # another content of the same size
    prints.append(now())
    assert len(set(prints)) == 4
    assert now() == prints[-1]
    other.write_bytes(content)
    os.utime(other, ns=(size.st_atime_ns, size.st_mtime_ns + 5))
    assert now() == prints[2]


def test_a_copy_elsewhere_has_the_same_fingerprint(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "copy", copy_function=shutil.copyfile)
    one, two = (FileSource(images_under(place)) for place in (pictures, tmp_path / "copy"))
    assert prepare.fingerprint(one) == prepare.fingerprint(two)
    (tmp_path / "copy" / "Bag").rename(tmp_path / "copy" / "Bags")
    two = FileSource(images_under(tmp_path / "copy"))
    assert prepare.fingerprint(one) != prepare.fingerprint(two)


def test_the_fingerprint_of_a_subset(fashion):
    whole = fashion.parts["test"]
    some = [prepare.fingerprint(Subset(whole, np.arange(n))) for n in (10, 11)]
    assert len({prepare.fingerprint(whole), *some}) == 3
