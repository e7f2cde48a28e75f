"""How a training run is carried out, and how it ended."""

from dataclasses import dataclass

from resnetkit.data.cache import check_store
from resnetkit.errors import UserError
from resnetkit.ranks import RANK_TIMEOUT
from resnetkit.training.room import check_memory
from resnetkit.training.tensorboard import check_tensorboard


@dataclass(frozen=True)
class Session:
    """How a run is carried out.

    None of it changes a bit of the result but the number of threads and the device, which a
    resumed run must share with its start.

    Attributes:
        out: the run folder; by default runs/<data>-<model>-<n>.
        workers: threads that load images; by default the cores.
        threads: that torch computes with; by default the cores.
        device: auto, cpu, cuda or mps.
        data_dir: where the files of fashion-mnist are.
        strict: stop at an image that cannot be read instead of leaving it out.
        checkpoint_seconds: save at least so often.
        tensorboard: write `tensorboard/` in the run folder as well.
        cache: where decoded images are kept from epoch to epoch: memory, off, or a folder.
        cache_size: how much, such as 4GB; by default half of the memory that a training step
            leaves free, or of a folder's disk.
        memory: that a training step may take, such as 2GB, or auto: what is free. Blocks are
            computed anew where it does not suffice otherwise.
        rank_timeout: seconds after which a silent rank ends the job.
    """

    out: str | None = None
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    data_dir: str | None = None
    strict: bool = False
    checkpoint_seconds: float = 60.0
    tensorboard: bool = False
    cache: str = "memory"
    cache_size: str | None = None
    memory: str | None = None
    rank_timeout: float = RANK_TIMEOUT

    def __post_init__(self):
        """Check the numbers, and what has to be installed."""
        check_store(self.cache, self.cache_size)
        check_memory(self.memory)
        if self.tensorboard:
            check_tensorboard()
        if not 1 <= self.rank_timeout <= 1e6:
            raise UserError(f"--rank-timeout must be 1 to 1000000, not {self.rank_timeout}")
        if not self.checkpoint_seconds >= 0:
            raise UserError(
                f"--checkpoint-seconds must be at least 0, not {self.checkpoint_seconds}"
            )


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        run: its folder.
        steps, epochs: done.
        seconds: of training.
        val_top1: of the last weights (EMA where it is on) on the validation part.
        resumed_at: the step it went on from; 0 when fresh.
        data: what it was trained on.
        interrupted: the signal that stopped it before its end.
        already_finished: there was nothing left to do.
        waiting: part of the last epoch's time that went into waiting for images.
    """

    run: str
    steps: int
    epochs: float
    seconds: float
    val_top1: float | None
    resumed_at: int
    data: str = ""
    interrupted: int | None = None
    already_finished: bool = False
    waiting: float = 0.0
