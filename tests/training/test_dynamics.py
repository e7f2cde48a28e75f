"""What is said of every training image while it is learned, and the wrong labels that it shows."""

import csv

import numpy as np
import pytest
import torch
from tests.training.runs import stop_and_resume, train

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.data.sources import open_dataset
from resnetkit.nets.nested import Nested
from resnetkit.ranks import Ranks
from resnetkit.training.dynamics import Dynamics
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Recipe
from resnetkit.training.room import Room, check_room
from resnetkit.training.settings import override

KEPT = {"dynamics": True, "model": "resmlp", "depths": (1,), "width": 64, "drop_path": 0.0}
AS_THEY_ARE = {"shift": 0, "flip": False, "erase": 0.0, "alternate": False, "mirror": False}


def kept(out) -> dict[str, np.ndarray]:
    with np.load(out / "dynamics.npz") as arrays:
        return dict(arrays)


def test_of_a_network_that_does_not_change_it_is_what_the_network_says(tmp_path):
    still = {
        "lr": 0.0,
        "norm": "none",
        "dropout": 0.0,
        "ema": None,
        "accumulate": 3,
        "precision": "fp32",
    }
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


def test_an_image_that_is_seen_twice_in_a_step_counts_twice():
    dynamics = Dynamics(3, 2, torch.device("cpu"))
    dynamics.add(torch.tensor([2, 0, 2]), torch.tensor([[1.0, 2], [3, 4], [5, 6]]))
    assert dynamics.times.tolist() == [1, 0, 2]
    assert dynamics.logits.tolist() == [[3, 4], [0, 0], [6, 8]]


def test_a_longer_run_is_ranked_by_all_of_it(tmp_path):
    changes = KEPT | {"epochs": 1, "schedule": "constant"}
    train(tmp_path / "run", **changes)
    before = kept(tmp_path / "run")["logits"]
    rk.train(resume=True, out=str(tmp_path / "run"), epochs=2, threads=1, observer=Observer())
    train(tmp_path / "whole", **(changes | {"epochs": 2}))
    after = kept(tmp_path / "run")["logits"]
    assert (after != before).any()
    assert (after == kept(tmp_path / "whole")["logits"]).all()


@pytest.mark.parametrize(
    ("settings", "line"),
    [({"mixup": 0.2}, "dynamics are of single images: .* set mixup to 0"),
     ({"folds": 2, "val_fraction": None}, "leave --dynamics out")],
)  # fmt: skip
def test_it_is_of_single_images_and_of_one_run(settings, line, tmp_path):
    changes = {k: v for k, v in (KEPT | settings).items() if v is not None}
    with pytest.raises(rk.UserError, match=line):
        rk.train("fashion-mnist", out=str(tmp_path / "run"), **changes)


def test_what_it_takes_is_counted_before_the_run(tmp_path):
    recipe = override(Recipe(), {"model": "resmlp", "dynamics": True, "image_size": 28})
    nested = Nested(rk.create("resmlp"))
    check_room(nested, recipe, 1000, Room(10**9), Ranks())
    with pytest.raises(rk.UserError, match="does not fit memory"):
        check_room(nested, recipe, 10**8, Room(10**9), Ranks())
