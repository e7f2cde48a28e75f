"""A second look at the same files decodes none of them; whatever happens to the cache."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from resnetkit.data import looks as looks_module
from resnetkit.data.fashion_mnist import cache_folder
from resnetkit.data.looks import look_at
from resnetkit.data.sources import images_under


@pytest.fixture
def folder(pictures, tmp_path, monkeypatch) -> Path:
    """Pictures with two that cannot be read and a name that is not UTF-8."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(pictures, tmp_path / "data")
    (tmp_path / "data" / "Bag" / "bad.png").write_bytes(b"no image")
    (tmp_path / "data" / "Bag" / "empty.jpg").touch()
    picture = (tmp_path / "data" / "Bag" / "1.png").read_bytes()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/data/Bag/\xff \n.png")).write_bytes(picture)
    return tmp_path / "data"


def look(folder: Path, monkeypatch) -> tuple[looks_module.Looks, int]:
    """What a look found, and how many files were decoded for it."""
    decoded = []
    with monkeypatch.context() as patch:
        whole = looks_module.decode
        patch.setattr(looks_module, "decode", lambda *a: decoded.append(a[1]) or whole(*a))
        told = []
        found = look_at(images_under(folder), 2, told.append)
    assert sum(told) == len(found.sizes) == 39
    return found, len(decoded)


def same(a: looks_module.Looks, b: looks_module.Looks) -> bool:
    return a.reasons == b.reasons and all(
        np.array_equal(x, y)
        for x, y in zip((a.sizes, a.sums, a.shapes), (b.sizes, b.sums, b.shapes), strict=True)
    )


def test_only_what_is_new_or_changed_is_decoded(folder, monkeypatch):
    first, decoded = look(folder, monkeypatch)
    assert decoded == 39
    assert sorted(first.reasons.values()) == ["not an image that can be read", "the file is empty"]
    assert (first.shapes[:, 2] > 0).sum() == 37
    second, decoded = look(folder, monkeypatch)
    assert decoded == 0
    assert same(first, second)
    (folder / "Bag" / "2.png").write_bytes((folder / "Bag" / "0.jpg").read_bytes())
    third, decoded = look(folder, monkeypatch)
    assert decoded == 1
    assert not same(first, third)


@pytest.mark.parametrize("harm", ["empty", "cut", "bit", "folder", "other"])
def test_a_damaged_cache_is_passed_over(folder, monkeypatch, harm):
    first, _ = look(folder, monkeypatch)
    (kept,) = (cache_folder() / "looks").iterdir()
    content = kept.read_bytes()
    if harm == "folder":
        kept.unlink()
        kept.mkdir()
    else:
        middle = len(content) // 2
        changed = {
            "empty": b"",
            "cut": content[:middle],
            "bit": content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :],
            "other": b"PK something else",
        }
        kept.write_bytes(changed[harm])
    second, decoded = look(folder, monkeypatch)
    assert decoded == 39
    assert same(first, second)


def test_a_cache_that_cannot_be_written_is_done_without(folder, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert look(folder, monkeypatch)[1] == 39
    assert look(folder, monkeypatch)[1] == 39


def test_parts_in_one_folder_do_not_drive_each_other_out(folder, monkeypatch):
    """As a CSV names them: the files of train and val lie side by side."""
    paths, decoded = images_under(folder), []
    whole = looks_module.decode
    monkeypatch.setattr(looks_module, "decode", lambda *a: decoded.append(a[1]) or whole(*a))
    parts = (paths[0::2], paths[1::2])
    first = [look_at(part, 1) for part in parts]
    assert len(decoded) == len(paths) == 39
    again = [look_at(part, 1) for part in parts]
    assert len(decoded) == 39
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert sum(len(look.reasons) for look in again) == 2
    (folder / "Bag" / "1.png").unlink()
    look_at([*parts[0], str(folder / "new.png")], 1)  # what is gone is not kept for ever
    (kept,) = (cache_folder() / "looks").iterdir()
    assert not any(b"/Bag/1.png" in name for name in looks_module._kept(kept)[0])
