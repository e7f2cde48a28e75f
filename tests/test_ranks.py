"""Parts of a batch, and what ranks tell each other when one of them has an error."""

import multiprocessing
import os
import socket

import numpy as np
import pytest
import torch

from resnetkit.data.augmentation import Augmentation
from resnetkit.data.loader import Loader
from resnetkit.data.sources import Subset
from resnetkit.data.transform import Transform
from resnetkit.errors import UserError
from resnetkit.ranks import Quiet, RankError, join, share


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("images", [0, 1, 2, 3, 5, 7, 31, 32, 33])
def test_no_image_is_lost_or_twice_and_nobody_has_a_single_one(images, ranks):
    parts = [share(images, rank, ranks) for rank in range(ranks)]
    assert [i for first, end in parts for i in range(first, end)] == list(range(images))
    sizes = [end - first for first, end in parts]
    if images > 1:
        assert 1 not in sizes
    busy = [size for size in sizes if size]
    assert not busy or max(busy) - min(busy) <= 1


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_same_global_batches_for_any_number_of_ranks(fashion, ranks):
    source = Subset(fashion.parts["train"], np.arange(71))
    transform = Transform(size=28, channels=1, mean=(0.3,), std=(0.3,))
    how = Augmentation(crop="shift", erase=0.5)

    def loader(rank: int, count: int) -> Loader:
        return Loader(
            source, transform, 16, augmentation=how, seed=3, workers=1, ranks=(rank, count)
        )

    alone = list(loader(0, 1).epoch(2))
    together = zip(*(loader(rank, ranks).epoch(2) for rank in range(ranks)), strict=True)
    for whole, parts in zip(alone, together, strict=True):
        assert torch.equal(whole.indices, torch.cat([part.indices for part in parts]))
        assert torch.equal(whole.images, torch.cat([part.images for part in parts]))
        assert torch.equal(whole.labels, torch.cat([part.labels for part in parts]))
        assert {part.whole for part in parts} == {len(whole.labels)}


def _rank(rank: int, port: int, talk, answers) -> None:
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2",
    }  # fmt: skip
    torch.set_num_threads(1)
    try:
        with join(30) as ranks:
            answers.put((rank, talk(ranks)))
    except UserError as error:
        answers.put((rank, type(error), str(error)))


def two_ranks(talk, answering: int = 2) -> list:
    """What two real processes answer, or the only one that lives to do so."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    processes = [fork.Process(target=_rank, args=(rank, port, talk, answers)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = sorted(answers.get(timeout=60) for _ in range(answering))
    for process in processes:
        process.join()
    return [rest[0] if len(rest) == 1 else tuple(rest) for _, *rest in found]


def test_ranks_exchange_gather_and_average():
    def talk(ranks):
        own = torch.full((ranks.rank + 1, 2), float(ranks.rank))
        mean = torch.tensor([1.0, 3.0]) * (ranks.rank + 1)
        ranks.average([mean])
        return (
            ranks.exchange(f"from {ranks.rank}"),
            ranks.lead(lambda: {"rank": ranks.rank}),
            ranks.largest(ranks.rank, 5 - ranks.rank),
            torch.cat(ranks.gather(own)).tolist(),
            mean.tolist(),
            bool(ranks.all_true(torch.tensor(ranks.rank == 0))),
        )

    expected = (
        ["from 0", "from 1"],
        {"rank": 0},
        [1, 5],
        [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]],
        [1.5, 4.5],
        False,
    )
    assert two_ranks(talk) == [expected, expected]


@pytest.mark.parametrize(("culprit", "said"), [(0, "no such file"), (1, "rank 1: no such file")])
def test_an_error_of_one_rank_ends_all_and_the_first_tells_it(culprit, said):
    def talk(ranks):
        def work():
            if ranks.rank == culprit:
                raise UserError("no such file")

        ranks.together(work)

    assert two_ranks(talk) == [(UserError, said), (Quiet, said)]


def test_an_error_in_the_middle_is_told_once():
    def talk(ranks):
        with ranks.watched(lambda: "at step 7", lambda: False):
            if ranks.rank == 1:
                raise UserError("the disk is full")
            ranks.largest(0)

    (first, _), second = two_ranks(talk)
    assert first is Quiet
    assert second == (RankError, "rank 1: the disk is full")


def test_a_lost_rank_is_named():
    def talk(ranks):
        with ranks.watched(lambda: "at step 7", lambda: False):
            if ranks.rank == 1:
                os._exit(0)
            ranks.largest(0)

    ((kind, said),) = two_ranks(talk, answering=1)
    assert kind is RankError
    assert said.startswith("rank 1 did not answer at step 7: lost")
