"""Nothing half-written is ever read."""

import pytest

from resnetkit import UserError
from resnetkit.files import check_can_create, remove_unfinished, whole_folder, write_whole


def test_a_file_is_the_old_one_or_the_new_one(tmp_path):
    file = tmp_path / "x"
    write_whole(file, "old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_folder_appears_whole_or_not_at_all(tmp_path):

    def fail_halfway() -> None:
        with whole_folder(tmp_path / "run") as beside:
            (beside / "recipe.yaml").write_text("x")
            assert not (tmp_path / "run").exists()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert not list(tmp_path.iterdir())
    with whole_folder(tmp_path / "run") as beside:
        (beside / "recipe.yaml").write_text("x")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["recipe.yaml"]
    with pytest.raises(UserError, match="exists already"), whole_folder(tmp_path / "run"):
        pass


def test_checking_leaves_nothing_behind(tmp_path):
    check_can_create(tmp_path / "a" / "b" / "c")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / ".unfinished-1-x").touch()
    (tmp_path / ".unfinished-folder" / "deep").mkdir(parents=True)
    (tmp_path / "kept").touch()
    remove_unfinished(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
