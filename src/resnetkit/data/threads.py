"""Work on many images in threads: decoding and hashing release the interpreter's lock."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Found = TypeVar("Found")

CHUNK = 64
"""Items that a thread works on before it says so."""


def on_one_core() -> None:
    """Let torch compute in the calling thread alone, without a team of threads of its own.

    A team waits by spinning: two loading threads with one each took a sixth off the speed of the
    training beside them. Only the calling thread is touched, which `torch.set_num_threads` is not
    good for: it also says how many threads those started later have.
    """
    torch.get_num_threads()  # or torch would set the thread's number anew at its first operation
    threadpool_limits(1, user_api="openmp")


def in_threads(
    work: Callable[[Item], Found],
    items: Sequence[Item],
    workers: int,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Found]:
    """What `work` gives for every item, in their order.

    Args:
        work: raises nothing that is expected.
        items: for each of them once.
        workers: threads.
        advance: called with the number of items done.
    """
    chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
    found: list[Found] = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            for some in pool.map(lambda chunk: [work(item) for item in chunk], chunks):
                found += some
                advance(len(some))
        except BaseException:  # Ctrl-C shall not wait for the items that nobody has begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found
