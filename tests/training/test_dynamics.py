"""What is said of every training image while it is learned, and the wrong labels that it shows."""

import csv

import numpy as np
import pytest
import torch
from tests.training.runs import stop_and_resume, train

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.data.sources import open_dataset

KEPT = {"dynamics": True, "model": "resmlp", "depths": (1,), "width": 64, "drop_path": 0.0}
AS_THEY_ARE = {"shift": 0, "flip": False, "erase": 0.0, "alternate": False, "mirror": False}


def kept(out) -> dict[str, np.ndarray]:
    with np.load(out / "dynamics.npz") as arrays:
        return dict(arrays)


def test_of_a_network_that_does_not_change_it_is_what_the_network_says(tmp_path):
    still = {"lr": 0.0, "norm": "none", "dropout": 0.0, "ema": None, "accumulate": 3}
    train(tmp_path / "run", **(KEPT | still | AS_THEY_ARE))
    found, clf = kept(tmp_path / "run"), rk.load(tmp_path / "run")
    source = open_dataset("fashion-mnist").parts["train"]
    images = np.stack([source.image(i, 1) for i in found["indices"]])
    said = clf(torch.from_numpy(images)).numpy()
    assert len(said) == 320
    np.testing.assert_allclose(found["logits"], said, rtol=1e-4, atol=1e-4)
    assert (found["labels"] == source.labels[found["indices"]]).all()


@pytest.mark.parametrize("at", [7, 20])
def test_stopped_and_resumed_it_is_the_same_bits(tmp_path, monkeypatch, at):
    train(tmp_path / "whole", **KEPT)
    stop_and_resume(tmp_path / "parts", at, monkeypatch, **KEPT)
    whole, parts = kept(tmp_path / "whole"), kept(tmp_path / "parts")
    assert all((whole[name] == parts[name]).all() for name in whole)


def test_planted_mistakes_come_first(tmp_path, capsys):
    source, rng = open_dataset("fashion-mnist"), np.random.default_rng(3)
    classes, labels = source.classes, source.parts["train"].labels
    train_part = source.parts["train"]
    chosen = rng.permutation(len(labels))[:6000]
    with (tmp_path / "wrong.csv").open("w", newline="") as text:
        table = csv.writer(text)
        table.writerow(["path", "label"])
        for i in chosen:
            table.writerow([train_part.name(i), classes[(labels[i] + rng.integers(1, 10)) % 10]])
    out, planted = tmp_path / "run", {train_part.name(i) for i in chosen}
    changes = {"limit": 4000, "epochs": 5, "labels": str(tmp_path / "wrong.csv")}
    train(out, **(KEPT | changes))
    found = rk.find_label_errors(out)
    listed, there = {one.path for one in found.found}, planted & set(kept(out)["paths"].tolist())
    assert found.images == 4000
    assert len(listed & there) > 0.75 * len(there)
    first = [one.path for one in found.found[: len(there)]]
    assert len(set(first) & there) > 0.6 * len(first)
    assert main(["labels", str(out), "--sheet", str(tmp_path / "sheet.png")]) == 0
    assert "given" in capsys.readouterr().out.lower()


def test_it_is_of_single_images(tmp_path):
    with pytest.raises(rk.UserError, match="dynamics are of single images: .* set mixup to 0"):
        train(tmp_path / "run", **KEPT, mixup=0.2)
