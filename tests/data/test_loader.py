"""Order, draws and batches: functions of seed, epoch and position, whoever asks for them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resnetkit import UserError
from resnetkit.data.augment import (
    DRAWS,
    augment,
    epoch_order,
    every_other_epoch,
    picture_draws,
    square,
)
from resnetkit.data.augmentation import Augmentation
from resnetkit.data.loader import Loader
from resnetkit.data.sources import FileSource, Subset, open_dataset
from resnetkit.data.transform import Transform

GREY = Transform(size=28, channels=1, mean=(0.3,), std=(0.35,))
STRONG = Augmentation(crop="shift", shift=3, flip=True, erase=0.5)


def batches(source, workers: int, epoch: int = 0, first: int = 0, **options):
    loader = Loader(source, GREY, 32, augmentation=STRONG, seed=7, workers=workers, **options)
    return list(loader.epoch(epoch, first))


def augmented(image: np.ndarray, how: Augmentation, draws: np.ndarray) -> np.ndarray:
    """One picture alone."""
    return augment(torch.from_numpy(image[None].copy()), how, draws[None])[0].numpy()


def equal(a, b) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y)
        for one, two in zip(a, b, strict=True)
        for x, y in zip(one[:3], two[:3], strict=True)
    )


@pytest.fixture(scope="module")
def some(fashion):
    return Subset(fashion.parts["train"], np.arange(150))


def test_same_batches_for_any_number_of_workers(some):
    alone = batches(some, 0)
    assert equal(alone, batches(some, 1))
    assert equal(alone, batches(some, 4))


def test_an_epoch_can_begin_anywhere(some):
    assert equal(batches(some, 2, first=3), batches(some, 0)[3:])


def test_every_image_once_and_another_order_each_epoch(some):
    orders = [torch.cat([b.indices for b in batches(some, 2, epoch)]) for epoch in (0, 1)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(150))
    assert not torch.equal(*orders)
    for batch in batches(some, 0):
        assert batch.labels.tolist() == some.labels[batch.indices].tolist()


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 64))
@settings(max_examples=30, deadline=None)
def test_draws_belong_to_the_position(seed, epoch, start, count):
    rows = picture_draws(seed, epoch, start, count)
    assert rows.shape == (count, DRAWS)
    single = picture_draws(seed, epoch, start + count - 1, 1)
    assert np.array_equal(rows[-1:], single)
    assert not np.array_equal(rows, picture_draws(seed, epoch + 1, start, count))


def test_orders_are_permutations_of_their_own():
    assert sorted(epoch_order(0, 0, 1000)) == list(range(1000))
    assert not np.array_equal(epoch_order(0, 0, 1000), epoch_order(1, 0, 1000))


@pytest.mark.parametrize(
    ("images", "sizes"), [(64, [32, 32]), (65, [32, 33]), (66, [32, 32, 2]), (1, [1]), (5, [5])]
)
def test_a_last_batch_of_one_joins_the_one_before(fashion, images, sizes):
    source = Subset(fashion.parts["train"], np.arange(images))
    assert [len(b.labels) for b in Loader(source, GREY, 32).epoch()] == sizes


def test_evaluation_keeps_the_order_and_the_pixels(some):
    batch = next(Loader(some, GREY, 10).epoch())
    assert batch.indices.tolist() == list(range(10))
    assert np.array_equal(batch.images[3].numpy(), some.image(3))
    assert batch.images.dtype == torch.uint8


def test_bad_images_are_skipped_and_listed_or_raise(pictures, tmp_path):
    good = [str(p) for p in sorted((pictures / "Bag").glob("*.png"))[:3]]
    (tmp_path / "bad.png").write_bytes(b"no")
    source = FileSource([good[0], str(tmp_path / "bad.png"), *good[1:]], np.array([0, 1, 2, 3]))
    loader = Loader(source, GREY, 4, skip_bad=True)
    batch = next(loader.epoch())
    assert batch.labels.tolist() == [0, 2, 3]
    assert [bad.path for bad in loader.skipped] == [str(tmp_path / "bad.png")]
    with pytest.raises(UserError, match=r"bad\.png"):
        list(Loader(source, GREY, 4, workers=2).epoch())


def test_a_mirrored_picture_and_a_shifted_one():
    image = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28, 1)
    draws = np.full(DRAWS, 0.99)
    still = Augmentation(crop="none", flip=False)
    assert np.array_equal(augmented(image, still, draws), image)
    draws[6] = 0.1
    flipped = augmented(image, Augmentation(crop="none", flip=True), draws)
    assert np.array_equal(flipped, image[:, ::-1])
    draws[4:6] = [0.0, 0.5]  # of shifts -2..2: two up, none sideways
    shifted = augmented(image, Augmentation(crop="shift", shift=2, flip=False), draws)
    assert np.array_equal(shifted[2:], image[:-2])
    assert np.array_equal(shifted[:2], np.repeat(image[:1], 2, axis=0))


def test_erasing_keeps_its_bounds_and_its_share():
    image = np.zeros((28, 28, 1), np.uint8)
    how = Augmentation(crop="none", flip=False, erase=0.25)
    shares = [
        (augmented(image, how, draws) == 128).mean() for draws in picture_draws(0, 0, 0, 4000)
    ]
    hit = [share for share in shares if share]
    assert len(hit) / 4000 == pytest.approx(0.25, abs=0.03)
    assert min(hit) > 0.01
    assert max(hit) < 0.35
    assert not image.any()


def test_random_boxes_of_oblong_pictures(pictures):
    source = open_dataset(str(pictures)).parts["train"]
    how = Augmentation(crop="resized", least_area=0.2)
    for row, draws in enumerate(picture_draws(3, 0, 0, len(source))):
        out = square(source.image(row, 1), GREY, how, draws)
        assert out.shape == (28, 28, 1)


class OneByOne:
    """The same source, that does not let its array be seen."""

    def __init__(self, source):
        self.labels, self.image, self.source = source.labels, source.image, source

    def __len__(self):
        return len(self.source)


@pytest.mark.parametrize(
    "how",
    [
        None, STRONG, Augmentation(crop="shift", alternate=True), Augmentation(policy="rand"),
        Augmentation(policy="trivial"), Augmentation(policy="auto"),
    ],
)  # fmt: skip
def test_pictures_in_memory_are_those_loaded_one_by_one(some, how):
    whole, single = (
        Loader(source, GREY, 32, augmentation=how, seed=3, workers=1)
        for source in (some, OneByOne(some))
    )
    assert whole.resident is not None
    assert single.resident is None
    for epoch in (0, 1):
        assert equal(list(whole.epoch(epoch)), list(single.epoch(epoch)))


@pytest.mark.parametrize("channels", [1, 3])
def test_every_picture_of_a_batch_goes_its_own_way(channels):
    squares = torch.randint(0, 256, (50, 12, 12, channels), dtype=torch.uint8)
    draws = picture_draws(1, 0, 0, 50)
    how = Augmentation(crop="shift", shift=3, erase=0.5)
    batch = augment(squares.clone(), how, draws)
    for row in range(50):
        down, right = (int(7 * draw) for draw in draws[row, 4:6])
        padded = np.pad(squares[row].numpy(), ((3, 3), (3, 3), (0, 0)), mode="edge")
        expected = padded[down : down + 12, right : right + 12]
        if draws[row, 6] < 0.5:
            expected = expected[:, ::-1]
        kept = batch[row].numpy() != 128 if draws[row, 7] < 0.5 else slice(None)
        assert np.array_equal(batch[row].numpy()[kept], expected[kept])


def test_alternating_pictures_are_mirrored_in_every_other_epoch():
    chosen = np.array([5, 999, 0, 31])
    plain = picture_draws(0, 0, 0, 4)
    sides = [every_other_epoch(plain, 0, epoch, chosen, 1000)[:, 6] < 0.5 for epoch in range(4)]
    assert np.array_equal(sides[0], ~sides[1])
    assert np.array_equal(sides[0], sides[2])
    many = every_other_epoch(picture_draws(0, 0, 0, 5000), 0, 0, np.arange(5000), 5000)
    assert (many[:, 6] < 0.5).mean() == pytest.approx(0.5, abs=0.03)
    others = [i for i in range(DRAWS) if i != 6]
    assert np.array_equal(many[:, others], picture_draws(0, 0, 0, 5000)[:, others])


@pytest.mark.parametrize(("repeats", "batch_size"), [(3, 32), (2, 50), (4, 10)])
def test_repeated_pictures_fill_a_batch(some, repeats, batch_size):
    how = Augmentation(crop="shift", repeats=repeats)
    found = batches_of(some, how, batch_size)
    plain = batches_of(some, Augmentation(crop="shift"), batch_size)
    assert [len(batch.labels) for batch in found] == [len(batch.labels) for batch in plain]
    seen = []
    for batch in found:
        own, count = np.unique(batch.indices.numpy(), return_counts=True)
        assert len(own) == -(-len(batch.labels) // repeats)
        assert count.max() - count.min() <= 1
        assert not (batch.indices[1:] == batch.indices[:-1]).any()
        seen += own.tolist()
    assert len(seen) == len(set(seen))
    first = found[0].indices == found[0].indices[0]
    pictures = found[0].images[first]
    assert len(pictures) == repeats
    assert not all(torch.equal(pictures[0], picture) for picture in pictures[1:])


def test_ranks_share_repeated_pictures(some):
    how = Augmentation(crop="shift", repeats=3)
    whole, one, two = (batches_of(some, how, 32, ranks=r) for r in ((0, 1), (0, 2), (1, 2)))
    for batch, first, second in zip(whole, one, two, strict=True):
        assert torch.equal(batch.indices, torch.cat([first.indices, second.indices]))
        assert torch.equal(batch.images, torch.cat([first.images, second.images]))


def batches_of(source, how: Augmentation, batch_size: int, **options):
    return list(Loader(source, GREY, batch_size, augmentation=how, seed=2, **options).epoch(1))
