"""A run made ready for a few steps that leave nothing behind."""

from dataclasses import dataclass, replace
from pathlib import Path

from resnetkit.data.sources import Dataset
from resnetkit.machine import ready_machine
from resnetkit.nets.network import with_layout
from resnetkit.ranks import Ranks
from resnetkit.training.images import choose_images, open_images
from resnetkit.training.observer import Observer
from resnetkit.training.ready_run import ReadyRun
from resnetkit.training.recipe import Recipe
from resnetkit.training.room import Place, room_for
from resnetkit.training.run_folder import RunFolder
from resnetkit.training.session import Session
from resnetkit.training.setup import plan_run, starting_network, transform_of
from resnetkit.training.trainer import Trainer


@dataclass(frozen=True)
class Trials:
    """Where recipes are tried: the images, and the machine.

    Attributes:
        dataset: whose training part is learned from, and whose held-out part judges.
        session: says what is to be done with images that cannot be read.
        place: that computes.
        observer: is told what is left out.
    """

    dataset: Dataset
    session: Session
    place: Place
    observer: Observer

    @classmethod
    def of(cls, recipe: Recipe, session: Session, observer: Observer) -> "Trials":
        """On a recipe's images, in the place that the session asks for."""
        device, workers = ready_machine(session.device, session.threads, session.workers)
        place = Place(device, workers, room_for(session.memory, device, Ranks()))
        return cls(open_images(recipe, session.data_dir), session, place, observer)

    def decided(self, recipe: Recipe, *, tell: bool = False) -> ReadyRun:
        """The run that a recipe would begin here; raises UserError as `train` would.

        `tell` says what is left out of the images, and why.
        """
        observer, ranks, session = self.observer if tell else Observer(), Ranks(), self.session
        _, recipe, record = plan_run(
            recipe, self.dataset, session.out, session.strict, self.place, observer, ranks
        )
        observer = Observer()
        sources = choose_images(self.dataset, recipe, record.skipped)
        return ReadyRun(
            recipe, self.session, self.place, observer, ranks, self.dataset, sources, record,
            transform_of(recipe),
        )  # fmt: skip


def trainer_of(run: ReadyRun) -> Trainer:
    """What would train that run, at its first step."""
    net = starting_network(run.recipe, run.record.classes)
    net = with_layout(net.to(run.place.device), channels_last=run.recipe.channels_last)
    trainer = run.trainer(net, run.sources, RunFolder(Path()))
    trainer.replica.train()
    trainer.ready()
    return trainer


def with_batch(run: ReadyRun, batch: int) -> ReadyRun:
    """The run with batches of another size."""
    return replace(run, recipe=replace(run.recipe, batch_size=batch))
