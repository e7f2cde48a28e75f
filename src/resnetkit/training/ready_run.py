"""A run with everything at hand: trained to its end, it leaves a Classifier."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from resnetkit import inference
from resnetkit.any_depth import calibrate
from resnetkit.classifier import Classifier, Training
from resnetkit.data.cache import Store
from resnetkit.data.loader import Loader
from resnetkit.data.sources import Dataset, Source, places_of
from resnetkit.data.transform import Transform
from resnetkit.files import write_arrays
from resnetkit.nets.network import Network, with_layout
from resnetkit.ranks import Ranks
from resnetkit.training import checkpoint
from resnetkit.training.balance import BALANCED
from resnetkit.training.dynamics import Dynamics
from resnetkit.training.few import counted, few
from resnetkit.training.images import named_by_image
from resnetkit.training.keeping import keep_images, troubles
from resnetkit.training.loss import Loss
from resnetkit.training.observer import Observer
from resnetkit.training.recipe import Recipe
from resnetkit.training.room import Place, left_by_a_step
from resnetkit.training.run_folder import DataRecord, RunFolder
from resnetkit.training.session import RunResult, Session
from resnetkit.training.setup import deepest
from resnetkit.training.stop import StopRequest
from resnetkit.training.teacher import Teacher
from resnetkit.training.tensorboard import TensorboardObserver
from resnetkit.training.trainer import Interrupted, Trainer


@dataclass(frozen=True)
class ReadyRun:
    """A run that is ready to be trained."""

    recipe: Recipe
    session: Session
    place: Place
    observer: Observer
    ranks: Ranks
    dataset: Dataset
    sources: dict[str, Source]
    record: DataRecord
    transform: Transform

    def train(self, run: RunFolder, net: Network, state: checkpoint.State | None) -> RunResult:
        """Train to the end or to an interruption, and leave the Classifier."""
        recipe = self.recipe
        net = with_layout(net.to(self.place.device), channels_last=recipe.channels_last)
        sources, store = keep_images(
            self.sources, recipe.epochs, self.session.cache, self.session.cache_size,
            lambda: left_by_a_step(deepest(net, recipe), recipe, self.place, self.ranks),
            self.ranks.local_count,
        )  # fmt: skip
        trainer = self.trainer(net, sources, run)
        if state:
            trainer.restore(state)
        if self.ranks.first:
            run.extend(recipe) if state else run.rewrite_metrics([])
            if self.session.tensorboard:
                folder = run.path / "tensorboard"
                trainer.observer = TensorboardObserver(self.observer, folder, trainer.history)
        self._announce(run, trainer, net, store)
        interrupted = self._fit(trainer)
        for trouble in troubles(store):
            self.observer.say(trouble)
        if interrupted is None:
            if trainer.dynamics:
                self._keep_dynamics(run, trainer.dynamics)
            classifier = self._classifier(trainer, sources["val"])
            self.ranks.lead(lambda: classifier.save(run.classifier))
        return RunResult(
            run=str(run.path),
            steps=trainer.step,
            epochs=trainer.step / trainer.loader.steps,
            seconds=trainer.seconds,
            val_top1=trainer.history[-1]["val_top1"] if trainer.history else None,
            resumed_at=state.step if state else 0,
            data=recipe.data.data,
            interrupted=interrupted,
            waiting=round(trainer.waiting.share, 4),
        )

    def trainer(self, net: Network, sources: dict[str, Source], run: RunFolder) -> Trainer:
        """What trains the network on these images, which may be kept decoded."""
        recipe, transform = self.recipe, self.transform
        seen = replace(transform, size=recipe.data.image_size or transform.size)
        loader = Loader(
            sources["train"], seen, recipe.batch_size,
            augmentation=recipe.augmentation, seed=recipe.seed, workers=self.place.workers,
            ranks=(self.ranks.rank, self.ranks.count), device=self.place.device,
            balanced=recipe.balance.sampling == BALANCED,
        )  # fmt: skip

        def validate(net: Network):
            judge = Classifier(net, transform, self.record.classes)
            return judge.evaluate(
                sources["val"],
                batch_size=min(inference.BATCH_SIZE, recipe.batch_size),
                workers=self.place.workers,
                skip_bad=False,
                ranks=self.ranks,
                precision=recipe.precision,
            )[0]

        classes, device = self.record.classes, self.place.device
        return Trainer(
            net, recipe, loader, transform, validate, run, self.observer, self.ranks,
            self.place.room, Loss.of(recipe, classes, sources["train"].labels, device),
            Teacher.of(recipe, classes, self.dataset.task, transform, device),
        )  # fmt: skip

    def _fit(self, trainer: Trainer) -> int | None:
        """Train; returns the signal that stopped it before its end."""
        with StopRequest(self.observer.say, patient=self.ranks.count > 1) as stop:
            try:
                with self.ranks.watched(
                    lambda: f"at step {trainer.step:,}", lambda: stop.requested
                ):
                    trainer.fit(stop, self.session.checkpoint_seconds)
            except Interrupted as error:
                return error.signal
            finally:
                trainer.observer.close()
        return None

    def _keep_dynamics(self, run: RunFolder, dynamics: Dynamics) -> None:
        """Write the mean of what was said of every image; all ranks come here together."""
        own = {name: tensor.clone() for name, tensor in dynamics.tensors().items()}
        self.ranks.average(list(own.values()))  # of both: their ratio is that of the sums
        sums = {name: tensor.cpu().numpy() for name, tensor in own.items()}
        seen = np.flatnonzero(sums["times"])
        logits = sums["logits"][seen] / sums["times"][seen, None]
        place = places_of(self.sources["train"], self.dataset.parts["train"])[seen]
        arrays = named_by_image(self.dataset, place, logits)
        self.ranks.lead(lambda: write_arrays(run.dynamics, arrays))

    def _classifier(self, trainer: Trainer, val: Source) -> Classifier:
        """What the run was for; all ranks make it together."""
        training = self._training(trainer)
        classes, task = self.record.classes, self.dataset.task
        trained = trainer.trained
        inner = {net.layers: net for net in trained.all[1:]}
        made = Classifier(trained.net, self.transform, classes, training, task, inner)
        made.calibration = calibrate(
            made, val, batch_size=min(inference.BATCH_SIZE, self.recipe.batch_size),
            workers=self.place.workers, ranks=self.ranks, precision=self.recipe.precision,
        )  # fmt: skip
        return made

    def _announce(
        self, run: RunFolder, trainer: Trainer, net: Network, store: Store | None
    ) -> None:
        recipe, images = self.recipe, {p: len(s) for p, s in self.sources.items()}
        parameters = sum(p.numel() for p in net.parameters())
        self.observer.say(
            f"{recipe.model}: {net.layers} layers, {parameters:,} parameters; "
            f"{images['train']:,} training and {images['val']:,} validation images of "
            f"{recipe.data.image_size} px in {len(self.record.classes)} classes"
        )
        self.observer.say(
            f"on {self._machine()}; {counted(recipe.epochs, 'epoch')}, "
            f"{counted(trainer.steps, 'step')} of {recipe.batch_size} images into {run.path}"
            + (f", from step {trainer.step:,} on" if trainer.step else "")
        )
        for growth in trainer.growths:
            self.observer.say(f"grows into {growth.model} at step {growth.step:,}")
        if store:
            self.observer.say(store.told())
        for warning in few(trainer.steps, images["val"]):
            self.observer.say(f"warning: {warning}")

    def _machine(self) -> str:
        """What was chosen for this machine, in a few words."""
        words = [str(self.place.device), self.recipe.precision]
        words += ["compiled"] if self.recipe.compile else []
        words += [f"{torch.get_num_threads()} threads", f"{self.place.workers} workers"]
        if self.ranks.count == 1:
            return ", ".join(words)
        norms = "norms over all of them" if self.recipe.sync_bn else "norms over each rank's images"
        return f"{self.ranks.count} ranks, {norms}, each with {', '.join(words)}"

    def _training(self, trainer: Trainer) -> Training:
        recipe = self.recipe
        return Training(
            data=self.dataset.location,
            fingerprint=self.record.fingerprints.get("train", ""),
            images=len(self.sources["train"]),
            seed=recipe.seed,
            val_fraction=0.0 if "val" in self.dataset.parts else recipe.data.val_fraction,
            limit=recipe.data.limit,
            model=(recipe.growth.grow_to or (recipe.model or "",))[-1],
            epochs=recipe.epochs,
            val_images=len(self.sources["val"]),
            val_top1=trainer.history[-1]["val_top1"],
            val_map=trainer.history[-1].get("val_map"),
            inner_top1=trainer.history[-1].get("inner_top1", {}),
            folds=recipe.data.folds,
            fold=recipe.data.fold,
            ancestors=self.record.ancestors,
            teachers=recipe.teaching.teacher,
            labels=recipe.data.labels,
        )
