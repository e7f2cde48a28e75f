"""A batch that does not fit is refused before anything is made, and what fits is named."""

import re
from pathlib import Path

import pytest
import torch

import resnetkit as rk
from resnetkit import UserError
from resnetkit.nets.nested import Nested
from resnetkit.ranks import Ranks
from resnetkit.training import room
from resnetkit.training.footprint import footprint
from resnetkit.training.recipe import DataRecipe, OptimiserRecipe, Recipe

ALONE = Ranks()


def check(net, recipe, images, megabytes, asked=None):
    size = None if megabytes is None else megabytes * 2**20
    room.check_room(net, recipe, images, room.Room(size, asked), ALONE)


def recipe(batch_size: int, **optimiser) -> Recipe:
    return Recipe(
        model="resnet20", batch_size=batch_size, precision="fp32",
        data=DataRecipe(image_size=32, channels=3), optimiser=OptimiserRecipe(**optimiser),
    )  # fmt: skip


@pytest.fixture
def net():
    return Nested(rk.create("resnet20", classes=10))


def test_what_fits_is_named_and_fits(net):
    check(net, recipe(16), 50_000, 200)
    with pytest.raises(UserError, match="a batch of 4,096 images does not fit memory") as error:
        check(net, recipe(4096), 50_000, 200)
    batch = int(re.search(r"--batch-size (\d+) fits", str(error.value))[1])
    pieces = int(re.search(r"--accumulate (\d+)", str(error.value))[1])
    check(net, recipe(batch), 50_000, 200)
    check(net, recipe(4096, accumulate=pieces), 50_000, 200)
    with pytest.raises(UserError):
        check(net, recipe(2 * batch), 50_000, 200)
    check(net, recipe(4096), 20, 200)  # so many images there are


def test_where_nothing_fits_or_nothing_is_known(net):
    with pytest.raises(UserError, match="resnet20 at 32 pixels does not fit memory"):
        check(net, recipe(8), 100, 1)
    check(net, recipe(10**6), 10**6, None)


def test_nothing_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "available_memory", lambda: 2**28)
    out = tmp_path / "run"
    with pytest.raises(UserError, match="does not fit memory"):
        rk.train("fashion-mnist", model="resnet110", batch_size=4000, limit=5000, out=str(out))
    assert not list(tmp_path.iterdir())


def test_memory_of_ones_own(net):
    """A budget is met by computing blocks anew; where it cannot be, the least that can is named."""
    left = footprint(net.net, recipe(1))
    plain, sparing = left.peak(), left.peak(left.segmented(9))
    assert sparing < plain / 2
    roomy, tight = (room.Room(int(5e6 + 2 * 64 * kept), "--memory X") for kept in (plain, sparing))
    for budget in (roomy, tight):
        room.check_room(net, recipe(64), 50_000, budget, ALONE)
        budget.arrange(net, recipe(64), 64)
        assert bool(net.net.segments) == (budget is tight)
    assert re.search(r"\d+ of 9 blocks are computed anew, in \d segments", tight.told(net.net))
    with pytest.raises(UserError, match=r"batch of 64 .* needs about .* allowed by --memory X"):
        check(net, recipe(64), 50_000, 20, "--memory X")
    with pytest.raises(UserError, match="or less with --memory auto"):
        check(Nested(rk.create("resnet110")), recipe(64), 50_000, 200)


def test_decoded_images_get_what_a_step_leaves(net, monkeypatch):
    """Free memory is promised once: what the step takes is not the cache's too."""
    monkeypatch.setattr(room, "available_memory", lambda: 10**9)
    cpu = torch.device("cpu")
    plain, auto = (
        room.left_by_a_step(
            net, recipe(64), room.Place(cpu, 1, room.room_for(asked, cpu, ALONE)), ALONE
        )
        for asked in (None, "auto")
    )
    each = 2 * 64 * footprint(net.net, recipe(1)).peak()
    assert plain == auto == pytest.approx(10**9 - each, rel=0.01)
    tight = room.Room(int(5e6 + each / 2), "--memory X")
    assert room.left_by_a_step(net, recipe(64), room.Place(cpu, 1, tight), ALONE) > plain


@pytest.mark.parametrize("memory", ["44MB", "auto"])
@pytest.mark.parametrize(
    "how", [{"grow_at": (0.5,), "grow_to": ("resnet20",)}, {"any_depth": True}]
)
def test_a_run_in_little_memory_ends_in_the_same_bits(how, memory, tmp_path):
    def weights(name: str, **more: str) -> bytes:
        run = rk.train(
            "fashion-mnist", model="resnet14", batch_size=32, limit=96, epochs=2, drop_path=0.2,
            threads=1, workers=1, val_fraction=0.01, precision="fp32",
            out=str(tmp_path / name), **how, **more,
        )  # fmt: skip
        return (Path(run.run) / "classifier" / "model.safetensors").read_bytes()

    assert weights("plain") == weights("sparing", memory=memory)
