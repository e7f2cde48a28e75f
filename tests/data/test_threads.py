from concurrent.futures import ThreadPoolExecutor

import torch

from resnetkit.data.threads import on_one_core


def threads_of(pool: ThreadPoolExecutor) -> int:
    return pool.submit(torch.get_num_threads).result()


def test_loading_threads_have_no_teams_and_others_keep_theirs():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(1, initializer=on_one_core) as pool:
            assert threads_of(pool) == 1
            assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as others:
            assert threads_of(others) == 2
    finally:
        torch.set_num_threads(before)
