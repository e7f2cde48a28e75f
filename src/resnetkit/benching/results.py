"""What `bench` has measured, as data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnetkit.benching.subjects import Accuracy
from resnetkit.config import to_plain
from resnetkit.machine import Machine


@dataclass(frozen=True)
class Spread:
    """The middle of some measurements, the quartiles around it, and how many there were."""

    median: float
    lower_quartile: float
    upper_quartile: float
    runs: int

    @classmethod
    def of(cls, samples: list[float]) -> "Spread | None":
        """Of one or more numbers; None of none."""
        if not samples:
            return None
        low, middle, high = np.quantile(samples, (0.25, 0.5, 0.75)).tolist()
        return cls(middle, low, high, len(samples))


@dataclass(frozen=True)
class Latency:
    """Milliseconds that one image takes: half and 95% of the runs are no slower."""

    p50: float
    p95: float
    runs: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Latency | None":
        """Of one or more runs; None of none."""
        if not seconds:
            return None
        p50, p95 = np.quantile(seconds, (0.5, 0.95)).tolist()
        return cls(1000 * p50, 1000 * p95, len(seconds))


@dataclass(frozen=True)
class Training:
    """A step of training: forwards, backwards, SGD.

    Attributes:
        batch: images in the step; smaller than asked for where memory did not suffice.
        precision: that `resnetkit train` would take.
        images_per_second: of whole steps; their images lie in memory.
        peak_bytes: on CUDA of what torch has allocated; on the CPU of all that a fresh process
            held which did nothing else. None where it cannot be told.
    """

    batch: int
    precision: str
    images_per_second: Spread | None
    peak_bytes: int | None


@dataclass(frozen=True)
class BenchRow:
    """One network.

    Attributes:
        name: as it was named.
        kind: `zoo` or `run`.
        model: its name in the zoo, empty where that is not known.
        image_size: side in pixels.
        parameters, multiply_adds: for one image, as `rk.summarise` counts them.
        batch: images at a time at which inference was quickest, or as asked for.
        images_per_second: of inference at that batch.
        latency_ms: of one image alone.
        matrix_share: operations a second of inference over those of a large matrix product in the
            same precision, measured right beside.
        training: None where it was not asked for or does not fit memory.
        accuracy: None where none is known.
        notes: what did not go as asked, a line each.
        layers: of the network inside, where a folder holds several.
    """

    name: str
    kind: str
    model: str
    image_size: int
    parameters: int
    multiply_adds: int
    batch: int | None
    images_per_second: Spread | None
    latency_ms: Latency | None
    matrix_share: Spread | None
    training: Training | None
    accuracy: Accuracy | None
    notes: tuple[str, ...]
    layers: int | None = None


@dataclass(frozen=True)
class BenchResult:
    """Rows in the order asked for.

    Attributes:
        machine: what it was measured on.
        batch_size: of inference, where it was asked for; None: each network's quickest.
        matrix_side: numbers in a row of the matrices whose product was measured.
        matrix_rate: its operations a second.
        rows: a network each.
        warnings: what to be wary of.
    """

    machine: Machine
    batch_size: int | None
    matrix_side: int
    matrix_rate: Spread | None
    rows: tuple[BenchRow, ...]
    warnings: tuple[str, ...] = ()

    @property
    def without_accuracy(self) -> list[str]:
        """Networks that a plot cannot show: no accuracy of theirs is known at their size."""
        return [row.name for row in self.rows if row.accuracy is None]

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return to_plain(self)

    def plot(self, path: str | Path, *, chinese: bool = False) -> None:
        """Draw images/s against accuracy into a .png, .svg or .pdf; raises UserError."""
        from resnetkit.benching.chart import draw_chart  # matplotlib is slow to import

        draw_chart(self, Path(path), chinese=chinese)
