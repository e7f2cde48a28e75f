"""The same pictures with a cache and without, whatever has happened to it."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from resnetkit import UserError
from resnetkit.data import cache
from resnetkit.data.augmentation import Augmentation
from resnetkit.data.cache import (
    Cached,
    DiskStore,
    MemoryStore,
    check_folder,
    check_store,
    open_store,
)
from resnetkit.data.loader import Loader
from resnetkit.data.sources import FileSource, open_dataset
from resnetkit.data.transform import Transform

GREY = Transform(size=24, channels=1, mean=(0.3,), std=(0.35,))
HOW = Augmentation(crop="resized", erase=0.2)


@pytest.fixture
def source(pictures):
    return open_dataset(str(pictures)).parts["train"]


def loaded(source, epochs: int = 2) -> list[np.ndarray]:
    loader = Loader(source, GREY, 7, augmentation=HOW, seed=1, workers=2)
    return [batch.images.numpy() for epoch in range(epochs) for batch in loader.epoch(epoch)]


def stores(folder, budget: int) -> list:
    return [MemoryStore(budget), DiskStore(folder / "kept", budget)]


@pytest.mark.parametrize("budget", [10**9, 9000, 1])
@pytest.mark.parametrize("which", [0, 1])
def test_the_same_pictures_with_it_and_without(source, tmp_path, budget, which):
    store = stores(tmp_path, budget)[which]
    plain, kept = loaded(source), loaded(Cached(source, store))
    assert all(np.array_equal(a, b) for a, b in zip(plain, kept, strict=True))
    assert store.used <= budget
    assert store.full == (budget < 10**9)


def test_what_is_kept_is_not_decoded_again(source, tmp_path, monkeypatch):
    loaded(Cached(source, DiskStore(tmp_path, 10**9)), epochs=1)
    monkeypatch.setattr(source, "image", lambda *_: pytest.fail("decoded again"))
    store = DiskStore(tmp_path, 10**9)
    assert loaded(Cached(source, store))
    assert store.damaged == 0


@pytest.mark.parametrize("how", ["cut", "bit", "version", "empty", "shape"])
def test_damage_is_decoded_anew(source, tmp_path, how):
    plain = loaded(source)
    loaded(Cached(source, DiskStore(tmp_path, 10**9)), epochs=1)
    file = sorted(tmp_path.glob("*/*.pixels"))[0]
    data = bytearray(file.read_bytes())
    if how == "cut":
        data = data[:-5]
    elif how == "bit":
        data[-9] ^= 4
    elif how == "version":
        data[17:18] = b"0"
    elif how == "empty":
        data = bytearray()
    else:
        data[cache._HEAD - 16] ^= 1
    file.write_bytes(data)
    store = DiskStore(tmp_path, 10**9)
    kept = loaded(Cached(source, store))
    assert all(np.array_equal(a, b) for a, b in zip(plain, kept, strict=True))
    assert store.damaged == 1
    again = DiskStore(tmp_path, 10**9)
    loaded(Cached(source, again))
    assert again.damaged == 0


def test_a_changed_file_is_decoded_anew(source, tmp_path):
    store, file = DiskStore(tmp_path / "kept", 10**9), tmp_path / "picture.png"
    first, last = (Path(source.name(row)).read_bytes() for row in (0, len(source) - 1))
    file.write_bytes(first)
    before = Cached(FileSource([file]), store).image(0)
    file.write_bytes(last)
    after = Cached(FileSource([file]), store).image(0)
    assert np.array_equal(before, source.image(0))
    assert np.array_equal(after, source.image(len(source) - 1))
    assert not np.array_equal(before, after)


def test_a_full_disk_is_said_and_nothing_is_lost(source, tmp_path, monkeypatch):
    store, plain = DiskStore(tmp_path, 10**9), loaded(source)

    def full(self, data):
        del self, data
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    kept = loaded(Cached(source, store))
    assert all(np.array_equal(a, b) for a, b in zip(plain, kept, strict=True))
    assert store.failed == "No space left on device"


def test_the_oldest_go_when_there_are_too_many(source, tmp_path):
    loaded(Cached(source, DiskStore(tmp_path, 10**9)), epochs=1)
    files = sorted(tmp_path.glob("*/*.pixels"), key=lambda f: f.stat().st_mtime_ns)
    size = files[0].stat().st_size
    store = DiskStore(tmp_path, 3 * size)
    left = set(tmp_path.glob("*/*.pixels"))
    assert store.used <= 3 * size
    assert left <= set(files[-4:])


def test_where_no_folder_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/within"):
        with pytest.raises(UserError, match=r"--cache .*file is no folder"):
            check_folder(str(tmp_path / place), "fashion-mnist")
    assert open_store("off", None, lambda: 10**9) is None


def test_what_others_left_in_the_folder_is_no_harm(source, tmp_path):
    plain = loaded(source)
    for place in range(256):
        (tmp_path / f"{place:02x}").write_text("no folder")
    store = DiskStore(tmp_path, 10**9)
    kept = loaded(Cached(source, store))
    assert all(np.array_equal(a, b) for a, b in zip(plain, kept, strict=True))
    assert store.failed
    (tmp_path / "00").unlink()
    (tmp_path / "00").mkdir()
    (tmp_path / "00" / "link.pixels").symlink_to("/nonexistent")
    (tmp_path / "00" / "folder.pixels").mkdir()
    killed, fresh = (tmp_path / "00" / f"x.{letter * 32}" for letter in "ab")
    for file in (killed, fresh):
        file.write_text("half a picture")
    os.utime(killed, (1, 1))
    assert DiskStore(tmp_path, 10**9).used == 0
    assert not killed.exists()
    assert fresh.exists()


def test_a_file_that_another_removes_first(source, tmp_path, monkeypatch):
    loaded(Cached(source, DiskStore(tmp_path, 10**9)), epochs=1)
    files = sorted(tmp_path.glob("*/*.pixels"))
    monkeypatch.setattr(Path, "glob", lambda *_: [*files, tmp_path / "00" / "gone.pixels"])
    assert DiskStore(tmp_path, 10**9).used == sum(file.stat().st_size for file in files)


def test_a_cache_lies_outside_the_data(tmp_path):
    (tmp_path / "data").mkdir()
    for inside in ("data", "data/kept"):
        with pytest.raises(UserError, match="outside"):
            check_folder(str(tmp_path / inside), str(tmp_path / "data"))
    assert not (tmp_path / "data" / "kept").exists()
    check_folder(str(tmp_path / "kept"), str(tmp_path / "data"))
    assert not (tmp_path / "kept").exists()
    check_folder("memory", str(tmp_path / "data"))


@pytest.mark.parametrize("word", ["", "none", "On", "TRUE", "disk"])
def test_words_that_are_no_folders(word):
    with pytest.raises(UserError, match="--cache is memory, off, or a folder"):
        check_store(word, None)


def test_a_folder_may_take_half_of_what_its_disk_has_free(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    store = open_store(str(tmp_path / "new"), None, lambda: pytest.fail("memory is of no concern"))
    assert store is not None
    assert store.budget == 500
    assert not (tmp_path / "new").exists()
    filled = DiskStore(tmp_path / "new", 10**6)
    for key in ("aa", "bb"):
        filled.put(key, np.zeros((20, 20, 3), np.uint8))
    again = open_store(str(tmp_path / "new"), None, lambda: 0)
    assert again is not None
    assert again.used <= again.budget == (filled.used + 1000) // 2
    assert again.get("aa") is None
    assert again.get("bb") is not None


def test_sharers_stay_within_the_budget_together(source, tmp_path):
    size = cache._HEAD + source.image(0).nbytes
    stores = [DiskStore(tmp_path, 4 * size, sharers=2) for _ in range(2)]
    for number, store in enumerate(stores):
        for image in range(4):
            store.put(f"{number}{image}", source.image(0))
    assert len(list(tmp_path.glob("*/*.pixels"))) == 4
    memory = open_store("memory", "3MB", lambda: 10**9, sharers=3)
    assert memory is not None
    assert memory.budget == 10**6


def test_a_decoder_of_another_version_decodes_anew(source, tmp_path, monkeypatch):
    loaded(Cached(source, DiskStore(tmp_path, 10**9)), epochs=1)
    before = len(list(tmp_path.glob("*/*.pixels")))
    monkeypatch.setattr(cache, "version", lambda _: "99")
    loaded(Cached(source, DiskStore(tmp_path, 10**9)), epochs=1)
    assert len(list(tmp_path.glob("*/*.pixels"))) == 2 * before


def test_a_pipe_in_the_folder_keeps_nobody_waiting(source, tmp_path):
    plain, store = loaded(source), DiskStore(tmp_path, 10**9)
    loaded(Cached(source, store), epochs=1)
    file = min(tmp_path.glob("*/*.pixels"))
    file.unlink()
    os.mkfifo(file)
    kept = loaded(Cached(source, store))
    assert all(np.array_equal(a, b) for a, b in zip(plain, kept, strict=True))
