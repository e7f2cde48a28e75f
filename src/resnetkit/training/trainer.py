"""Network + recipe + loader -> trained weights. The loop fits on one screen."""

import json
import time
from collections.abc import Callable

import torch

from resnetkit.data.augment import step_seed
from resnetkit.data.loader import Batch, Loader
from resnetkit.data.transform import Transform
from resnetkit.errors import UserError
from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.nets.depth import deepen
from resnetkit.nets.nested import Nested
from resnetkit.nets.network import Network
from resnetkit.ranks import Ranks
from resnetkit.training import checkpoint, snapshot
from resnetkit.training.depths import inner_at, inner_loss
from resnetkit.training.dynamics import Dynamics
from resnetkit.training.freeze import layer_rates
from resnetkit.training.growth import growths, spec_at
from resnetkit.training.loss import Loss, more_metrics
from resnetkit.training.mixing import mixed
from resnetkit.training.nonfinite import Diverged, ForwardWatch, NonFinite, first_bad_gradient
from resnetkit.training.observer import Observer, Pulse
from resnetkit.training.optim import Ema, Optimiser
from resnetkit.training.pieces import Piece, Said, pieces_of
from resnetkit.training.recipe import Recipe
from resnetkit.training.replica import Model, Replica
from resnetkit.training.room import Room, piece_images
from resnetkit.training.run_folder import RunFolder
from resnetkit.training.schedule import factor
from resnetkit.training.stop import StopRequest
from resnetkit.training.teacher import Teacher
from resnetkit.training.waiting import Waiting

CHECKED_EVERY = 50
"""Steps after which the host asks the device whether all gradients were finite."""

_ALL = Room()

MOST_ROLLBACKS = 3
"""So often a run goes back and halves its learning rate before it gives up."""


class Interrupted(Exception):
    """The run was asked to stop by a signal; it has saved a checkpoint."""

    def __init__(self, signal: int):
        super().__init__(signal)
        self.signal = signal


class _NotFinite(UserError):
    """A step was not applied, for its loss or gradient is not finite."""

    def __init__(self, found: NonFinite):
        super().__init__(str(found))
        self.found = found


class Trainer:
    """Trains a network by a recipe; what it does at a step depends on that step alone.

    Args:
        net: on its device, in the memory layout that the recipe asks for.
        recipe: resolved.
        loader: this rank's share of the batches of training images.
        transform: the preprocessing.
        validate: judges a network on the validation part; all ranks call it together.
        run: where checkpoints and metrics go.
        observer: is told how it goes.
        ranks: who trains together.
        room: the memory that a step may take.
        loss: what is made small; by default the recipe's, of classes that are all as frequent.
        teacher: from whom the network learns besides.
    """

    def __init__(
        self,
        net: Network,
        recipe: Recipe,
        loader: Loader,
        transform: Transform,
        validate: Callable[[Network], Result | MultiLabelResult],
        run: RunFolder,
        observer: Observer,
        ranks: Ranks,
        room: Room = _ALL,
        loss: Loss | None = None,
        teacher: Teacher | None = None,
    ):
        self.recipe, self.loader, self.ranks, self.room = recipe, loader, ranks, room
        self.transform, self.validate, self.run, self.observer = transform, validate, run, observer
        self.loss_of, self.teacher = loss or Loss.of(recipe), teacher
        self.device = net.head.weight.device
        self.step, self.steps = 0, recipe.epochs * loader.steps
        self.first = net.spec
        self.growths = growths(recipe, net.spec, self.steps)
        self.hold(net)
        exact = torch.float32 if self.device.type == "mps" else torch.float64  # MPS has no other
        self.sums = torch.zeros(3, dtype=exact, device=self.device)
        self.dynamics = (
            Dynamics(len(loader.source), net.spec.classes, self.device) if recipe.dynamics else None
        )
        self.bad_step = torch.full((), -1, device=self.device)
        self.seconds = self.epoch_seconds = 0.0
        self.history: list[dict] = []
        self.rollbacks: list[dict] = []
        self.waiting = Waiting()
        self.saved = time.monotonic()

    def hold(self, net: Network) -> None:
        """Train this network from now on: all that belongs to its tensors is made anew."""
        recipe = self.recipe.optimiser
        self.net = net
        self.replica = Replica(net, self.recipe, self.ranks, self.steps)
        images = piece_images(self.recipe, self.ranks)
        self.room.arrange(self.replica.nested, self.recipe, images)
        told = self.room.told(net)
        if told:
            self.observer.say(told)
        self.optimiser = Optimiser(net, recipe, layer_rates(net, recipe.layer_decay))
        self.ema = Ema(self.replica.nested, recipe.ema) if recipe.ema else None

    def fit(self, stop: StopRequest, checkpoint_seconds: float) -> None:
        """Train from where the run stands to its end.

        Raises:
            Interrupted: `stop` asked for it; a checkpoint is saved.
            UserError: loss or gradient is no longer finite.
        """
        self.saved = time.monotonic()
        if self.recipe.on_nonfinite == "rollback" and self.step == 0:
            self.save()
        while self.step < self.steps:
            try:
                self.train_epoch(stop, checkpoint_seconds)
            except _NotFinite as error:
                self.roll_back(error.found)

    def train_epoch(self, stop: StopRequest, checkpoint_seconds: float) -> None:
        """The rest of the epoch that the run stands in, its validation and its checkpoint."""
        epoch, first = divmod(self.step, self.loader.steps)
        pulse = Pulse(self.observer, self.steps, self.recipe.epochs)
        self.ready()
        self.replica.train()
        clock = time.perf_counter()
        for batch in self.waiting.watched(self.loader.epoch(epoch, first)):
            self.train_step(batch)
            pulse.beat(self.step, batch.whole, self.sums)
            now = time.perf_counter()
            self.seconds, self.epoch_seconds = (
                total + now - clock for total in (self.seconds, self.epoch_seconds)
            )
            if self.step % self.loader.steps:
                self.save_or_stop(stop, checkpoint_seconds)
            clock = time.perf_counter()
        self.finish_epoch(epoch)
        (signal,) = self.ranks.largest(stop.signal or 0)
        if signal and self.step < self.steps:
            raise Interrupted(signal)

    def save_or_stop(self, stop: StopRequest, checkpoint_seconds: float) -> None:
        """Save when it is time, or when any rank was asked to stop: all ranks at the same step."""
        due = self.ranks.first and time.monotonic() - self.saved >= checkpoint_seconds
        signal, due = self.ranks.largest(stop.signal or 0, int(due))
        if signal or due:
            self.save()
        if signal:
            raise Interrupted(signal)

    def train_step(self, batch: Batch) -> None:
        """One step: gradients of the batch, then the optimiser."""
        self.ready()
        lr = self.recipe.optimiser.lr * factor(self.recipe.schedule, self.step, self.steps)
        self.optimiser.set_rate(lr * 0.5 ** len(self.rollbacks))
        self.optimiser_step(self.gradients(batch))
        if self.ema:
            self.ema.update(self.replica.nested, self.step)
        self.step += 1
        if self.step % CHECKED_EVERY == 0:
            self.check_finite()

    def gradients(self, batch: Batch) -> torch.Tensor:
        """Every piece of the batch forwards and backwards; returns whether the loss is finite."""
        self.net.zero_grad()
        finite = torch.ones((), dtype=torch.bool, device=self.device)
        self.seed_draws(self.step)
        if len(batch.labels) or self.recipe.sync_bn:
            for piece in self.pieces(batch):
                with self.replica.last(is_last=piece.last):
                    finite &= self.backward(piece, batch.whole)
        else:
            self.replica.take_no_part()
        return finite

    def ready(self) -> None:
        """The network as this step needs it: grown, compiled, partly frozen."""
        self.grow()
        self.replica.ready_for(self.step)

    def grow(self) -> None:
        """Become the deeper network that the recipe has for this step, where it has one.

        New blocks are a function of (seed, step); what the old ones have gathered stays theirs.
        """
        spec = spec_at(self.growths, self.first, self.step)
        if spec == self.net.spec:
            return
        before, averaged = self.net, self.ema.net.net.state_dict() if self.ema else {}
        state = self.optimiser.tensors()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(self.recipe.seed, self.step, 0))
            self.hold(deepen(before, depths=spec.depths))
        self.optimiser.load_tensors(state)
        if self.ema:
            self.ema.net.net.load_state_dict(self.net.state_dict() | averaged)
        self.observer.say(
            f"step {self.step:,}: grown from {before.layers} to {self.net.layers} layers"
        )

    def seed_draws(self, step: int) -> None:
        """What a step leaves out by chance is a function of (seed, step, rank)."""
        if self.net.spec.draws:
            torch.manual_seed(step_seed(self.recipe.seed, step, self.ranks.rank))

    def pieces(self, batch: Batch) -> list[Piece]:
        """What a batch is computed in."""
        count = min(self.recipe.optimiser.accumulate, max(1, batch.whole // self.ranks.count))
        return pieces_of(batch, count)

    def backward(self, piece: Piece, whole: int) -> torch.Tensor:
        """Gradients of a piece by its share of the whole batch, and the sums of epoch and run.

        DDP takes the mean over ranks, hence the factor. Returns whether the loss is finite.
        """
        said = self.loss(self.step, piece, self.replica.model)
        (said.loss * (self.ranks.count / whole)).backward()
        count = said.right.new_full((), len(piece.labels))
        self.sums += torch.stack([said.own.detach(), said.right, count])
        if self.dynamics:
            self.dynamics.add(piece.indices, said.logits)
        return said.loss.isfinite()

    def loss(self, step: int, piece: Piece, model: Model) -> Said:
        """What the network says of a piece's images, and how wrong that is."""
        x = self.transform.normalise(piece.images.to(self.device, non_blocking=True))
        labels = piece.labels.to(self.device, non_blocking=True)
        recipe, loss_of = self.recipe, self.loss_of
        x, labels = mixed(
            x, labels, recipe.augmentation, self.net.spec.classes,
            seed=recipe.seed, step=step,
        )  # fmt: skip
        features, logits, *inside = self.replica.forward(x, model, *inner_at(recipe, step))
        own, right = loss_of(logits, labels)
        loss = own
        if self.teacher:
            loss = self.teacher.loss(own, x, features, logits, loss_of)
        for answers in inside:
            loss = loss + inner_loss(loss_of, answers, logits, labels, recipe.depth.taught)
        return Said(loss, own, right, logits)

    def optimiser_step(self, finite: torch.Tensor) -> None:
        """Clip when asked to; step only if all ranks' losses and gradients are finite.

        It is decided on the device; from the first such step on none is applied.
        """
        parameters = [p for p in self.net.parameters() if p.grad is not None]
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.recipe.optimiser.clip:
            total = torch.nn.utils.get_total_norm(gradients)
            torch.nn.utils.clip_grads_with_norm_(parameters, self.recipe.optimiser.clip, total)
        elif self.device.type == "cuda":  # it costs few kernels
            total = torch.nn.utils.get_total_norm(gradients)
        else:  # sums are as telling and quicker: infinities of both signs add up to no number
            total = torch.stack([gradient.sum() for gradient in gradients])
        finite = self.ranks.all_true(finite & total.isfinite().all())
        self.bad_step = torch.where((self.bad_step < 0) & ~finite, self.step, self.bad_step)
        self.optimiser.step(skip=(self.bad_step >= 0).float())

    def check_finite(self) -> None:
        """Stop before anything that is not a number is saved."""
        if self.bad_step >= 0:
            raise _NotFinite(self.diagnose(int(self.bad_step)))

    def diagnose(self, step: int) -> NonFinite:
        """Compute a step that was not applied once more, to see where it went wrong.

        Weights are still those of that step, and its batch is a function of its number.
        """
        batch = self.loader.batch(*divmod(step, self.loader.steps))
        self.net.zero_grad()
        first = ""
        self.seed_draws(step)
        with ForwardWatch(self.net) as watch:
            for piece in self.pieces(batch) if len(batch.labels) else ():
                loss = self.loss(step, piece, self.replica.nested).loss
                loss.backward()
                first = first or watch.first or ("" if loss.isfinite() else "the loss")
        first = first or first_bad_gradient(self.net)
        told = [
            json.loads(t) for t in self.ranks.exchange(json.dumps([first, batch.indices.tolist()]))
        ]
        named = [
            what if self.ranks.count == 1 else f"{what} on rank {rank}"
            for rank, (what, _) in enumerate(told)
            if what
        ]
        indices = tuple(index for _, own in told for index in own)
        return NonFinite(step, named[0] if named else "the gradient's norm", indices)

    def roll_back(self, found: NonFinite) -> None:
        """Go back to the start of the epoch with half the learning rate, or raise Diverged."""
        if self.recipe.on_nonfinite == "stop":
            raise Diverged(
                f"{found}; the step was not applied: lower --lr, lengthen --warmup-steps, limit "
                f"the gradient with --clip 1, or start with --on-nonfinite rollback"
            )
        if len(self.rollbacks) == MOST_ROLLBACKS:
            raise Diverged(f"{found}, after {MOST_ROLLBACKS} rollbacks: start anew at a lower --lr")
        start = found.step // self.loader.steps * self.loader.steps
        happened = {"step": found.step, "tensor": found.tensor, "back_to": start}
        rollbacks = [*self.rollbacks, happened | {"indices": list(found.indices)}]
        self.restore(checkpoint.load(checkpoint.checkpoint_file(self.run.checkpoints, start)))
        self.rollbacks = rollbacks
        self.bad_step.fill_(-1)
        if self.ranks.first:
            checkpoint.remove_after(self.run.checkpoints, start)
        self.observer.say(
            f"{found}; back to step {start} with half the learning rate, "
            f"{len(rollbacks)} of {MOST_ROLLBACKS} times"
        )

    def finish_epoch(self, epoch: int) -> None:
        """Validate, write the line of metrics.jsonl, save a checkpoint."""
        self.check_finite()
        loss, right, images = torch.cat(self.ranks.gather(self.sums[None])).sum(0).tolist()
        self.average_statistics()
        judged = self.validate(self.trained.net)
        inside = {str(net.layers): self.validate(net).top1 for net in self.trained.all[1:]}
        row = {
            "epoch": epoch + 1,
            "step": self.step,
            "lr": self.optimiser.rate,
            "train_loss": loss / images,
            "train_top1": right / images,
            "val_loss": judged.loss,
            "val_top1": judged.top1,
            "images_per_second": images / self.epoch_seconds,
            "seconds": self.seconds,
            **more_metrics(judged),
        }
        grown = [
            {"step": growth.step, "to": growth.model}
            for growth in self.growths
            if growth.step // self.loader.steps == epoch
        ]
        row |= {"grown": grown} if grown else {}
        row |= {"inner_top1": inside} if inside else {}
        back = [r for r in self.rollbacks if r["step"] // self.loader.steps == epoch]
        self.history.append(row | ({"rollbacks": back} if back else {}))
        if self.ranks.first:
            self.run.rewrite_metrics(self.history)
        self.sums.zero_()
        self.epoch_seconds = 0.0
        self.save()
        self.observer.epoch_done(row, self.recipe.epochs)
        advice = self.waiting.advice(self.loader)
        if advice and self.step < self.steps:
            self.observer.say(advice)

    def average_statistics(self) -> None:
        """Every rank's norms take the mean of all ranks' running statistics."""
        nets = [self.replica.nested, *([self.ema.net] if self.ema else [])]
        buffers = [b for net in nets for b in net.buffers() if b.is_floating_point()]
        self.ranks.average(buffers)

    @property
    def trained(self) -> Nested:
        """What counts: the moving average where it is on, else the last weights."""
        return self.ema.net if self.ema else self.replica.nested

    def save(self) -> None:
        """Write a checkpoint of where the run stands."""
        self.check_finite()
        state = snapshot.take(self)
        epoch_start = self.step // self.loader.steps * self.loader.steps
        keep = epoch_start if self.recipe.on_nonfinite == "rollback" else -1
        if self.ranks.first:
            checkpoint.save(self.run.checkpoints, state, keep=keep)
        self.saved = time.monotonic()

    def restore(self, state: checkpoint.State) -> None:
        """Go on from a checkpoint; raises UserError where equal bits could not be promised."""
        snapshot.put_back(self, state)
        if self.ranks.first:
            self.run.rewrite_metrics(self.history)
