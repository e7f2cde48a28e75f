"""The network as a training step calls it: compiled where asked, its gradients averaged by DDP."""

import contextlib
import shutil
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from resnetkit.errors import UserError
from resnetkit.nets.resnet import ResNet
from resnetkit.ranks import Ranks
from resnetkit.training.freeze import frozen_at, set_frozen, train_mode
from resnetkit.training.recipe import Recipe
from resnetkit.training.sync_norm import synchronised

SETTLING = 2
"""Backward passes after which DDP's gradient buckets stay as they are."""


class Replica:
    """One rank's copy of the network: forward, backward, and gradients of all ranks' images.

    Args:
        net: on its device, in its memory layout; its norms are replaced where the recipe says so.
        recipe: resolved.
        ranks: who computes together.
        steps: of the whole run.
    """

    def __init__(self, net: ResNet, recipe: Recipe, ranks: Ranks, steps: int):
        if recipe.sync_bn:
            synchronised(net)
        self.net, self.recipe, self.ranks, self.steps = net, recipe, ranks, steps
        self.device = net.head.weight.device
        self.frozen: int | None = None
        self.model: Callable[[Tensor], Tensor] = net

    def ready_for(self, step: int) -> None:
        """Rebuild what a step needs otherwise than the one before: the one place where it is."""
        frozen = frozen_at(self.recipe, self.net.spec, step, self.steps)
        if frozen == self.frozen:
            return
        self.frozen = frozen
        set_frozen(self.net, frozen)
        model = torch.compile(self.net, dynamic=False) if self.recipe.compile else self.net
        if self.ranks.count > 1:
            warnings.filterwarnings("ignore", message="Grad strides do not match")  # costs a copy
            model = DistributedDataParallel(
                model, forward_sync_buffers=False, init_sync=False, gradient_as_bucket_view=True
            )
        self.model = model
        self.train()
        if self.ranks.count > 1:
            self._settle()

    def train(self) -> None:
        """Training mode; what is frozen keeps its statistics."""
        train_mode(self.net, self.frozen or 0)

    def forward(self, images: Tensor, model: Callable[[Tensor], Tensor]) -> Tensor:
        """float (N, channels, size, size) -> float32 logits (N, classes), by `model` or the net."""
        bf16 = self.recipe.precision == "bf16"
        if not self.recipe.channels_last:
            images = images.contiguous()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            logits = model(images)
        return logits.float()

    def last(self, *, is_last: bool) -> contextlib.AbstractContextManager:
        """Ranks talk about gradients only at the last piece of a batch."""
        if isinstance(self.model, DistributedDataParallel) and not is_last:
            return self.model.no_sync()
        return contextlib.nullcontext()

    def take_no_part(self) -> None:
        """A rank without images in this batch: gradients of zero, no statistics."""
        self.net.eval()
        (self.forward(self._blank(1), self.model).sum() * 0).backward()
        self.train()

    def _settle(self) -> None:
        """Let DDP lay out its buckets before step 0, or sums would come in another order later."""
        kept = [(buffer, buffer.clone()) for buffer in self.net.buffers()]
        for _ in range(SETTLING):
            (self.forward(self._blank(2), self.model).sum() * 0).backward()
        for buffer, value in kept:
            buffer.copy_(value)
        for parameter in self.net.parameters():
            parameter.grad = None

    def _blank(self, images: int) -> Tensor:
        data = self.recipe.data
        shape = (images, data.channels or 3, data.image_size or 1, data.image_size or 1)
        blank = torch.zeros(shape, device=self.device)
        return blank.to(memory_format=torch.channels_last)


def check_compiler(recipe: Recipe, device: torch.device) -> None:
    """Raise UserError where `compile` is asked for and there is no C++ compiler for the CPU."""
    if (
        recipe.compile
        and device.type == "cpu"
        and not (shutil.which("g++") or shutil.which("clang++"))
    ):
        raise UserError("--compile needs a C++ compiler on the CPU: install g++, or leave it out")
