"""Whole or not there; one wrong bit is found."""

import pytest
import torch

from resnetkit import UserError
from resnetkit.training import checkpoint


def state(step: int = 7) -> checkpoint.State:
    tensors = {"a/x": torch.randn(3, 4), "n": torch.tensor(5), "b": torch.randn(2).bfloat16()}
    return checkpoint.State(
        step, {"epochs": 3}, {"block": "basic"}, {"threads": "2"}, [{"epoch": 1}], 1.5, 0.5, tensors
    )


def test_round_trip(tmp_path):
    before = state()
    after = checkpoint.load(checkpoint.save(tmp_path, before))
    assert {k: v for k, v in vars(before).items() if k != "tensors"} == {
        k: v for k, v in vars(after).items() if k != "tensors"
    }
    assert all(torch.equal(after.tensors[k], v) for k, v in before.tensors.items())


def test_the_newest_two_stay(tmp_path):
    for step in (5, 100, 20, 1000):
        checkpoint.save(tmp_path, state(step))
    assert [p.name for p in checkpoint.checkpoints(tmp_path)] == [
        "step-000000100.safetensors", "step-000001000.safetensors",
    ]  # fmt: skip


def test_every_flipped_byte_is_found(tmp_path):
    path = checkpoint.save(tmp_path, state())
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UserError, match="is damaged"):
            checkpoint.load(path)


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_cut_file_is_found(tmp_path, length):
    path = checkpoint.save(tmp_path, state())
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match="is damaged"):
        checkpoint.load(path)


def test_a_failed_write_leaves_the_old_one(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, state(1))

    def fail(_tensors, file, _metadata):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(UserError, match="disk full; the one before it stays"):
        checkpoint.save(tmp_path, state(2))
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000001.safetensors"]
