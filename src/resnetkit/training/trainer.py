"""Network + recipe + loader -> trained weights. The loop fits on one screen."""

import time
from collections.abc import Callable

import torch

from resnetkit.config import from_plain, to_plain
from resnetkit.data.loader import Batch, Loader
from resnetkit.data.transform import Transform
from resnetkit.errors import UserError
from resnetkit.machine import environment
from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.nets.resnet import ResNet
from resnetkit.training import checkpoint
from resnetkit.training.loss import loss_and_right, more_metrics
from resnetkit.training.observer import Observer, Pulse
from resnetkit.training.optim import Ema, load_optimiser_tensors, make_optimiser, optimiser_tensors
from resnetkit.training.recipe import Recipe, differences
from resnetkit.training.run_folder import RunFolder
from resnetkit.training.schedule import depends_on_length, factor
from resnetkit.training.stop import StopRequest

CHECKED_EVERY = 50
"""Steps after which the host asks the device whether all gradients were finite."""


class Interrupted(Exception):
    """The run was asked to stop; it has saved a checkpoint."""


class Trainer:
    """Trains a network by a recipe; what it does at a step depends on that step alone.

    Args:
        net: on its device, in the memory layout that the recipe asks for.
        recipe: resolved.
        loader: batches of training images.
        transform: the preprocessing.
        validate: judges a network on the validation part.
        run: where checkpoints and metrics go.
        observer: is told how it goes.
    """

    def __init__(
        self,
        net: ResNet,
        recipe: Recipe,
        loader: Loader,
        transform: Transform,
        validate: Callable[[ResNet], Result | MultiLabelResult],
        run: RunFolder,
        observer: Observer,
    ):
        self.net, self.recipe, self.loader = net, recipe, loader
        self.transform, self.validate, self.run, self.observer = transform, validate, run, observer
        self.device = net.head.weight.device
        self.optimiser = make_optimiser(net, recipe.optimiser)
        self.ema = Ema(net, recipe.optimiser.ema) if recipe.optimiser.ema else None
        exact = torch.float32 if self.device.type == "mps" else torch.float64  # MPS has no other
        self.sums = torch.zeros(3, dtype=exact, device=self.device)
        self.finite = torch.ones((), dtype=torch.bool, device=self.device)
        self.step, self.steps = 0, recipe.epochs * loader.steps
        self.seconds = self.epoch_seconds = 0.0
        self.history: list[dict] = []

    def fit(self, stop: StopRequest, checkpoint_seconds: float) -> None:
        """Train from where the run stands to its end.

        Raises:
            Interrupted: `stop` asked for it; a checkpoint is saved.
            UserError: loss or gradient is no longer finite.
        """
        saved = time.monotonic()
        while self.step < self.steps:
            epoch, first = divmod(self.step, self.loader.steps)
            pulse = Pulse(self.observer, self.steps, self.recipe.epochs)
            self.net.train()
            clock = time.perf_counter()
            for batch in self.loader.epoch(epoch, first):
                self.train_step(batch)
                pulse.beat(self.step, len(batch.labels), self.sums)
                now = time.perf_counter()
                self.seconds, self.epoch_seconds = (
                    total + now - clock for total in (self.seconds, self.epoch_seconds)
                )
                if self.step % self.loader.steps:
                    if stop.requested or time.monotonic() - saved >= checkpoint_seconds:
                        self.save()
                        saved = time.monotonic()
                    if stop.requested:
                        raise Interrupted
                clock = time.perf_counter()
            self.finish_epoch(epoch)
            saved = time.monotonic()
            if stop.requested and self.step < self.steps:
                raise Interrupted

    def train_step(self, batch: Batch) -> None:
        """One step: every piece of the batch forwards and backwards, then the optimiser."""
        recipe, images = self.recipe.optimiser, len(batch.labels)
        lr = recipe.lr * factor(self.recipe.schedule, self.step, self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.zero_grad(set_to_none=True)
        pieces = min(recipe.accumulate, images)
        for piece, labels in zip(
            batch.images.tensor_split(pieces), batch.labels.tensor_split(pieces), strict=True
        ):
            self.backward(piece, labels, images)
        self.optimiser_step()
        if self.ema:
            self.ema.update(self.net, self.step)
        self.step += 1
        if self.step % CHECKED_EVERY == 0:
            self.check_finite()

    def backward(self, images: torch.Tensor, labels: torch.Tensor, batch: int) -> None:
        """Gradients of a piece, weighted by its share of the batch; sums for the epoch's line."""
        x = self.transform.normalise(images.to(self.device, non_blocking=True))
        labels = labels.to(self.device, non_blocking=True)
        if not self.recipe.channels_last:
            x = x.contiguous()
        bf16 = self.recipe.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            logits = self.net(x)
        logits = logits.float()
        smoothing = self.recipe.optimiser.label_smoothing
        loss, right = loss_and_right(logits, labels, smoothing)
        (loss / batch).backward()
        self.sums += torch.stack([loss.detach(), right, right.new_full((), len(labels))])

    def optimiser_step(self) -> None:
        """Clip when asked to; step only if all gradients are finite, decided on the device."""
        parameters = [p for p in self.net.parameters() if p.grad is not None]
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.recipe.optimiser.clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.recipe.optimiser.clip, norm)
        self.finite &= norm.isfinite()
        self.optimiser.found_inf = (~self.finite).float()  # ty: ignore[missing-attribute]
        self.optimiser.step()

    def check_finite(self) -> None:
        """Stop before anything that is not a number is saved."""
        if not self.finite:
            raise UserError(
                f"the gradient was no longer finite within the {CHECKED_EVERY} steps before step "
                f"{self.step}: lower --lr, lengthen --warmup-steps, or limit it with --clip 1"
            )

    def finish_epoch(self, epoch: int) -> None:
        """Validate, write the line of metrics.jsonl, save a checkpoint."""
        self.check_finite()
        loss, right, images = self.sums.tolist()
        judged = self.validate(self.trained)
        row = {
            "epoch": epoch + 1,
            "step": self.step,
            "lr": self.optimiser.param_groups[0]["lr"],
            "train_loss": loss / images,
            "train_top1": right / images,
            "val_loss": judged.loss,
            "val_top1": judged.top1,
            "images_per_second": images / self.epoch_seconds,
            "seconds": self.seconds,
            **more_metrics(judged),
        }
        self.history.append(row)
        self.run.rewrite_metrics(self.history)
        self.sums.zero_()
        self.epoch_seconds = 0.0
        self.save()
        self.observer.epoch_done(row, self.recipe.epochs)

    @property
    def trained(self) -> ResNet:
        """The network that counts: the moving average where it is on, else the last weights."""
        return self.ema.net if self.ema else self.net

    def save(self) -> None:
        """Write a checkpoint of where the run stands."""
        self.check_finite()
        tensors = {f"net/{name}": t for name, t in self.net.state_dict().items()}
        if self.ema:
            tensors |= {f"ema/{name}": t for name, t in self.ema.net.state_dict().items()}
        state = optimiser_tensors(self.net, self.optimiser)
        tensors |= {f"optimiser/{name}": t for name, t in state.items()}
        tensors["sums"] = self.sums
        state = checkpoint.State(
            step=self.step,
            recipe=to_plain(self.recipe),
            spec=self.net.spec.to_dict(),
            environment=environment(self.device),
            history=self.history,
            seconds=self.seconds,
            epoch_seconds=self.epoch_seconds,
            tensors=tensors,
        )
        checkpoint.save(self.run.checkpoints, state)

    def restore(self, state: checkpoint.State) -> None:
        """Go on from a checkpoint; raises UserError where equal bits could not be promised."""
        began = from_plain(Recipe, state.recipe, where="checkpoint")
        others = differences(began, self.recipe)
        if not depends_on_length(self.recipe.schedule):
            others.pop("epochs", None)
        if others or state.step > self.steps or state.spec != self.net.spec.to_dict():
            raise UserError(
                f"the checkpoint in {self.run.path} belongs to another run: "
                f"{', '.join(f'{k}: {v}' for k, v in others.items()) or 'another network'}"
            )
        here = environment(self.device)
        changed = [
            f"{name}: {state.environment.get(name)} -> {value}"
            for name, value in here.items()
            if state.environment.get(name) != value
        ]
        if changed:
            raise UserError(
                f"{self.run.path} cannot go on in the same bits: {'; '.join(changed)}; resume it "
                f"as it was started, or start anew with --weights {self.run.path}"
            )
        groups: dict[str, dict[str, torch.Tensor]] = {"net": {}, "ema": {}, "optimiser": {}}
        for name, tensor in state.tensors.items():
            if "/" in name:
                group, rest = name.split("/", 1)
                groups[group][rest] = tensor
        self.net.load_state_dict(groups["net"])
        if self.ema:
            self.ema.net.load_state_dict(groups["ema"])
        load_optimiser_tensors(self.net, self.optimiser, groups["optimiser"])
        self.sums.copy_(state.tensors["sums"])
        self.step, self.history = state.step, state.history
        self.seconds, self.epoch_seconds = state.seconds, state.epoch_seconds
        self.run.rewrite_metrics(self.history)
