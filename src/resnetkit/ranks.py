"""The processes that train one network together, as torchrun starts them; alone, one of one.

What ranks tell each other as text goes through torchrun's store; tensors go through a gloo group,
beside which CUDA has NCCL for its gradients. Under a restart of the job every key and every group
is a new one, so that no rank reads what an earlier attempt has left.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from resnetkit.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch.distributed import ProcessGroup, Store

T = TypeVar("T")

SET_UP = timedelta(hours=12)
"""How long ranks wait for the first one to look through the images."""

RANK_TIMEOUT = 300.0
"""Seconds after which a silent rank ends the job, where nothing else is said."""

ROLL_CALL = 5.0
"""Seconds that ranks which have noticed a failure wait for the others to notice it too."""


class RankError(UserError):
    """An error of one rank that no other rank can tell of: printed by that rank."""


class Quiet(UserError):
    """An error that another rank tells of: this one ends without a word."""


def is_first() -> bool:
    """Whether this process is the one that prints and writes: rank 0, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def require_one_process(what: str) -> None:
    """Raise UserError where torchrun has started several."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(f"{what} one process: start it without torchrun")


def end_process(code: int) -> None:
    """End one of several ranks at once; does nothing where there is one process alone.

    While the interpreter is taken down, threads that still let go of exchanged tensors ask for its
    lock, and the process aborts: torchrun would take a finished job for a failed one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def local_ranks() -> tuple[int, int]:
    """This process's number on this machine, and how many ranks there are here."""
    return int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@dataclass
class Ranks:
    """Which of how many ranks this process is, and how they talk.

    Attributes:
        rank: 0 to count - 1; rank 0 alone writes and prints.
        count: processes in all.
        local_rank, local_count: the same, on this machine.
        timeout: seconds after which a silent rank ends the job.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    timeout: float = RANK_TIMEOUT
    _job: "Store | None" = None
    _store: "Store | None" = None
    _host: "ProcessGroup | None" = None
    _talks: int = field(default=0, init=False)

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def remember(self, key: str, value: str) -> None:
        """Leave a word for later attempts of the same job, after a restart."""
        if self._job is not None and self.first:
            self._job.set(f"resnetkit/{key}", value)

    def recall(self, key: str) -> str | None:
        """What an earlier attempt of this job has left."""
        if self._job is None or not self._job.check([f"resnetkit/{key}"]):
            return None
        return self._job.get(f"resnetkit/{key}").decode()

    def exchange(self, text: str) -> list[str]:
        """Every rank's text, by rank."""
        if self._store is None:
            return [text]
        self._talks += 1
        keys = [f"talk/{self._talks}/{rank}" for rank in range(self.count)]
        self._store.set(keys[self.rank], text)
        self._store.wait(keys, SET_UP)
        return [self._store.get(key).decode() for key in keys]

    def together(self, work: Callable[[], T]) -> T:
        """Run `work` on every rank; an error of one is raised on all, its rank named."""
        if self.count == 1:
            return work()
        result, error = None, ""
        try:
            result = work()
        except UserError as raised:
            error = str(raised)
        except OSError as raised:
            error = f"{raised.filename or 'input or output'}: {raised.strerror or raised}"
        for rank, said in enumerate(self.exchange(error)):
            if said:
                message = said if rank == 0 else f"rank {rank}: {said}"
                raise (UserError if self.first else Quiet)(message)
        return result  # ty: ignore[invalid-explicit-return]

    def lead(self, work: Callable[[], Any]) -> Any:
        """Run `work` on rank 0; every rank gets its result, which JSON must be able to hold."""
        said = self.together(lambda: json.dumps(work()) if self.first else "")
        return json.loads(self.exchange(said)[0])

    def share(self, images: int) -> tuple[int, int]:
        """Where this rank's part of so many images begins and ends."""
        return share(images, self.rank, self.count)

    def largest(self, *numbers: int) -> list[int]:
        """The largest of all ranks' numbers, place by place."""
        if self._host is None:
            return list(numbers)
        import torch
        from torch import distributed

        found = torch.tensor(numbers)
        distributed.all_reduce(found, distributed.ReduceOp.MAX, group=self._host)
        return found.tolist()

    def gather(self, tensor: "torch.Tensor") -> "list[torch.Tensor]":
        """Every rank's tensor on the CPU, by rank: they may differ in their first length."""
        if self._host is None:
            return [tensor.cpu()]
        import torch
        from torch import distributed

        tensor = tensor.detach().cpu().contiguous()
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
        distributed.all_gather(lengths, torch.tensor([len(tensor)]), group=self._host)
        most = max(int(n) for n in lengths)
        padded = tensor.new_zeros((most, *tensor.shape[1:]))
        padded[: len(tensor)] = tensor
        found = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(found, padded, group=self._host)
        return [rows[: int(n)] for rows, n in zip(found, lengths, strict=True)]

    def average(self, tensors: "Sequence[torch.Tensor]") -> None:
        """Replace floating-point tensors by their mean over all ranks, in place."""
        if self._host is None or not tensors:
            return
        import torch

        flat = torch.cat([t.detach().reshape(-1).double() for t in tensors])
        mean = torch.stack(self.gather(flat)).mean(dim=0)
        for tensor, part in zip(tensors, mean.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def all_true(self, flag: "torch.Tensor") -> "torch.Tensor":
        """Whether a flag on the device is true on every rank; nothing waits for the device."""
        if self.count == 1:
            return flag
        from torch import distributed

        number = flag.float()
        distributed.all_reduce(number, distributed.ReduceOp.MIN)
        return number.bool()

    @contextlib.contextmanager
    def watched(self, where: Callable[[], str], leaving: Callable[[], bool]) -> Generator[None]:
        """Within the block a lost or silent rank ends this one with a line that names it.

        Args:
            where: says how far the work is.
            leaving: whether this rank has been told to end, so that it need not ask around.
        """
        try:
            yield
        except UserError as error:
            if self._store is not None:
                self._store.set(f"said/{self.rank}", str(error))
            if self.first:
                raise
            raise RankError(f"rank {self.rank}: {error}") from error
        except RuntimeError as error:
            if self._store is None or not _is_of_communication(error):
                raise
            lost, told = self._roll_call(leaving)
            names = f"rank{'s' if len(lost) > 1 else ''} {', '.join(map(str, lost)) or 'unknown'}"
            message = (
                f"{names} did not answer {where()}: lost, or silent for {self.timeout:g} s "
                f"(--rank-timeout); go on with --resume"
            )
            speaks = min(set(range(self.count)) - set(lost), default=self.rank) == self.rank
            raise (RankError if speaks and not told else Quiet)(message) from error

    def _roll_call(self, leaving: Callable[[], bool]) -> tuple[list[int], bool]:
        """The ranks that do not notice a failure within some seconds; whether one told why."""
        assert self._store is not None
        self._store.set(f"here/{self.rank}", "")
        until = time.monotonic() + ROLL_CALL
        while True:
            lost = [r for r in range(self.count) if not self._store.check([f"here/{r}"])]
            told = any(self._store.check([f"said/{r}"]) for r in lost)
            if told or leaving() or not lost or time.monotonic() > until:
                return lost, told or leaving()
            time.sleep(0.05)


def _is_of_communication(error: RuntimeError) -> bool:
    from torch import distributed

    said = str(error).lower()
    return isinstance(error, distributed.DistError) or any(
        word in said for word in ("gloo", "nccl", "timed out", "connection", "socket", "peer")
    )


def share(images: int, rank: int, ranks: int) -> tuple[int, int]:
    """Where a rank's part of a batch begins and ends: none lost, none twice.

    Parts are equal to within one image. Of a small batch as many ranks take part as can have two
    images each: batch norm has no statistics of one.
    """
    active = max(1, min(ranks, images // 2))
    first, end = (images * min(place, active) // active for place in (rank, rank + 1))
    return first, end


@contextlib.contextmanager
def join(timeout: float, *, cuda: bool = False) -> Generator[Ranks]:
    """Meet the other ranks that torchrun has started; alone where there are none.

    Args:
        timeout: seconds after which a silent rank ends the job.
        cuda: gradients are averaged by NCCL on the GPU of this rank's local number.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks(timeout=timeout)
        return
    import torch
    from torch import distributed

    env = os.environ
    rank, count = int(env["RANK"]), int(env["WORLD_SIZE"])
    attempt = env.get("TORCHELASTIC_RESTART_COUNT", "0")
    wait = timedelta(seconds=timeout)
    if cuda:
        torch.cuda.set_device(local_ranks()[0])
    try:
        job = distributed.TCPStore(
            env["MASTER_ADDR"], int(env["MASTER_PORT"]), count, timeout=wait,
            is_master=rank == 0 and env.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
        )  # fmt: skip
        distributed.init_process_group(
            "nccl" if cuda else "gloo", rank=rank, world_size=count, timeout=wait,
            store=distributed.PrefixStore(f"group/{attempt}", job),
        )  # fmt: skip
        host = distributed.new_group(backend="gloo", timeout=wait) if cuda else None
    except (distributed.DistError, KeyError, ValueError) as error:
        raise RankError(f"rank {rank}: cannot meet the other ranks: {error}") from error
    store = distributed.PrefixStore(f"talk/{attempt}", job)
    try:
        yield Ranks(
            rank, count, *local_ranks(), timeout, job, store, host or distributed.group.WORLD
        )
    finally:
        distributed.destroy_process_group()
