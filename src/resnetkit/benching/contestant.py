"""One network in the course of being measured: what fits, then turn by turn."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from resnetkit.benching.clock import MatrixProduct, timed
from resnetkit.benching.peak import training_peak
from resnetkit.benching.results import BenchRow, Latency, Spread, Training
from resnetkit.benching.room import fitting_batch, has_room, image_bytes, quickest_batch
from resnetkit.benching.step import random_images, training_step
from resnetkit.benching.subjects import Subject
from resnetkit.config import Precision
from resnetkit.engine import Engine
from resnetkit.errors import is_out_of_memory
from resnetkit.nets.summary import Summary, summarise
from resnetkit.training.setup import bf16_is_wrong, least_batch


@dataclass(frozen=True)
class Plan:
    """How it is measured.

    Attributes:
        device: where.
        precision: fp32 or bf16.
        batch_size: of inference; None: the quickest is looked for.
        train_batch: of the training step; None: it is left out.
        rounds: turns of each network.
        latencies, inferences, steps: timed runs in a turn: one image, the batch, training.
    """

    device: torch.device
    precision: Precision
    batch_size: int | None = None
    train_batch: int | None = 32
    rounds: int = 3
    latencies: int = 10
    inferences: int = 5
    steps: int = 2


@dataclass
class Contestant:
    """What is known of a network so far; `row` is the end of it."""

    subject: Subject
    plan: Plan
    summary: Summary
    batch: int | None = None
    train_batch: int | None = None
    peak_bytes: int | None = None
    exhausted: bool = False
    notes: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    train_rates: list[float] = field(default_factory=list)
    product_rates: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, subject: Subject, plan: Plan) -> "Contestant":
        """Count what the network costs."""
        size = subject.image_size
        return cls(subject, plan, summarise(subject.spec, size, size))

    @property
    def train_precision(self) -> Precision:
        """The precision that `resnetkit train` takes where this one is asked for."""
        wrong = bf16_is_wrong(self.summary, self.plan.device)
        return "fp32" if wrong else self.plan.precision

    def find_batches(self) -> None:
        """Find out what fits memory, which batch is quickest, and what training takes at most."""
        self._find_inference()
        if self.plan.train_batch is not None:
            self._find_training(self.plan.train_batch)

    def _find_inference(self) -> None:
        asked, rate = self.plan.batch_size, self._rate_at()
        self.batch = fitting_batch(rate, asked) if asked else quickest_batch(rate)
        if self.batch is None:
            self.notes.append("one image does not fit memory")
        elif asked and self.batch < asked:
            self.notes.append(f"{asked} images at a time do not fit memory, {self.batch} do")

    def _rate_at(self) -> Callable[[int], float | None]:
        """A function: images/s at a batch as its quickest run tells; None without room for it."""
        plan, subject = self.plan, self.subject
        model = self._engine()
        each = image_bytes(subject.spec, subject.image_size)

        def rate(batch: int) -> float | None:
            if not has_room(batch * each, plan.device):
                return None
            try:
                images = self._images(batch)
                model(images)
                return batch / min(timed(lambda: model(images), plan.device, 3))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if plan.device.type == "cuda":
                    torch.cuda.empty_cache()
                return None

        return rate

    def _find_training(self, asked: int) -> None:
        subject, precision = self.subject, self.train_precision
        least = least_batch(subject.spec, self.summary)
        peak = training_peak(subject, asked, least, precision, self.plan.device)
        self.train_batch, self.peak_bytes = peak.batch, peak.bytes
        if peak.batch is None:
            self.notes.append("a training step does not fit memory")
        elif peak.batch < asked:
            self.notes.append(
                f"training on {asked} images does not fit memory, on {peak.batch} does"
            )
        if precision != self.plan.precision:
            self.notes.append("trained in fp32: a stride meets a single pixel")

    def take_turn(self, product: MatrixProduct) -> None:
        """Measure once more, the matrix product beside it.

        Where memory runs out that sufficed before, what was measured until then is what there is.
        """
        if self.exhausted:
            return
        try:
            self._turn(product)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if self.plan.device.type == "cuda":
                torch.cuda.empty_cache()
            self.exhausted = True
            self.notes.append("memory ran out on the way: fewer runs than of the others")

    def _turn(self, product: MatrixProduct) -> None:
        self._infer(product)
        if self.train_batch:
            step = training_step(
                self.subject.network(), self.subject.transform, self.train_batch,
                self.train_precision, self.plan.device,
            )  # fmt: skip
            step()
            seconds = timed(step, self.plan.device, self.plan.steps)
            self.train_rates += [self.train_batch / each for each in seconds]

    def _infer(self, product: MatrixProduct) -> None:
        if not self.batch:
            return
        plan, model = self.plan, self._engine()
        one, many = self._images(1), self._images(self.batch)
        for _ in range(2):
            model(one)
        self.latencies += timed(lambda: model(one), plan.device, plan.latencies)
        products = product.rates(plan.inferences)
        self.product_rates += products
        model(many)
        seconds = timed(lambda: model(many), plan.device, plan.inferences)
        rates = [self.batch / each for each in seconds]
        self.rates += rates
        operations = 2 * self.summary.multiply_adds
        self.shares.append(operations * _middle(rates) / _middle(products))

    def _engine(self) -> Engine:
        net = self.subject.network().to(self.plan.device).eval()
        return Engine(net, self.subject.transform, self.plan.precision)

    def _images(self, count: int) -> torch.Tensor:
        return torch.from_numpy(random_images(count, self.subject.transform)).to(self.plan.device)

    def row(self) -> BenchRow:
        """What has come of it."""
        subject, training = self.subject, None
        if self.train_batch:
            rate = Spread.of(self.train_rates)
            training = Training(self.train_batch, self.train_precision, rate, self.peak_bytes)
        return BenchRow(
            name=subject.name,
            kind=subject.kind,
            model=subject.model,
            image_size=subject.image_size,
            parameters=self.summary.parameters,
            multiply_adds=self.summary.multiply_adds,
            batch=self.batch,
            images_per_second=Spread.of(self.rates),
            latency_ms=Latency.of(self.latencies),
            matrix_share=Spread.of(self.shares),
            training=training,
            accuracy=subject.accuracy,
            notes=tuple(self.notes),
            layers=subject.layers,
        )


def _middle(numbers: list[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]
