"""A batch that does not fit is refused before anything is made, and what fits is named."""

import re

import pytest
import torch

import resnetkit as rk
from resnetkit import UserError
from resnetkit.ranks import Ranks
from resnetkit.training import room
from resnetkit.training.recipe import DataRecipe, OptimiserRecipe, Recipe

CPU, ALONE = torch.device("cpu"), Ranks()


def recipe(batch_size: int, **optimiser) -> Recipe:
    return Recipe(
        model="resnet20", batch_size=batch_size, precision="fp32",
        data=DataRecipe(image_size=32, channels=3), optimiser=OptimiserRecipe(**optimiser),
    )  # fmt: skip


@pytest.fixture
def net():
    return rk.create("resnet20", classes=10)


def test_what_an_image_leaves_behind_grows_with_its_area(net):
    before = {name: t.clone() for name, t in net.state_dict().items()}
    small = room.image_bytes(net, recipe(8))
    large = room.image_bytes(net, Recipe(precision="fp32", data=DataRecipe(image_size=64)))
    assert 3.5 < large / small < 4.5
    bf16 = room.image_bytes(net, Recipe(precision="bf16", data=DataRecipe(image_size=32)))
    assert bf16 < 0.7 * small
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())


def test_what_fits_is_named_and_fits(net, monkeypatch):
    monkeypatch.setattr(room, "available_memory", lambda: 200 * 2**20)
    room.check_room(net, recipe(16), 50_000, CPU, ALONE)
    with pytest.raises(UserError, match="a batch of 4,096 images does not fit memory") as error:
        room.check_room(net, recipe(4096), 50_000, CPU, ALONE)
    batch = int(re.search(r"--batch-size (\d+) fits", str(error.value))[1])
    pieces = int(re.search(r"--accumulate (\d+)", str(error.value))[1])
    room.check_room(net, recipe(batch), 50_000, CPU, ALONE)
    room.check_room(net, recipe(4096, accumulate=pieces), 50_000, CPU, ALONE)
    with pytest.raises(UserError):
        room.check_room(net, recipe(2 * batch), 50_000, CPU, ALONE)
    room.check_room(net, recipe(4096), 20, CPU, ALONE)  # so many images there are


def test_where_nothing_fits_or_nothing_is_known(net, monkeypatch):
    monkeypatch.setattr(room, "available_memory", lambda: 2**20)
    with pytest.raises(UserError, match="resnet20 at 32 pixels does not fit memory"):
        room.check_room(net, recipe(8), 100, CPU, ALONE)
    monkeypatch.setattr(room, "available_memory", lambda: None)
    room.check_room(net, recipe(10**6), 10**6, CPU, ALONE)


def test_nothing_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "available_memory", lambda: 2**28)
    out = tmp_path / "run"
    with pytest.raises(UserError, match="does not fit memory"):
        rk.train("fashion-mnist", model="resnet110", batch_size=4000, limit=5000, out=str(out))
    assert not list(tmp_path.iterdir())
