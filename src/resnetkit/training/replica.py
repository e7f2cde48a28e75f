"""The network as a training step calls it: compiled where asked, its gradients averaged by DDP."""

import contextlib
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from resnetkit.errors import UserError
from resnetkit.nets.network import Network
from resnetkit.ranks import Ranks
from resnetkit.training.depths import with_inner
from resnetkit.training.freeze import frozen_at, set_frozen, train_mode
from resnetkit.training.recipe import Recipe
from resnetkit.training.sync_norm import synchronised

Model = Callable[..., tuple[Tensor, ...]]
"""As `Nested`: images, and the layers of those inside that are wanted -> features, and logits."""

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

    def __init__(self, net: Network, recipe: Recipe, ranks: Ranks, steps: int):
        self.net, self.recipe, self.ranks, self.steps = net, recipe, ranks, steps
        self.nested = with_inner(net, recipe)
        if recipe.sync_bn:
            synchronised(self.nested)
        self.device = net.head.weight.device
        self.frozen: int | None = None
        self.model: Model = self.nested

    def ready_for(self, step: int) -> None:
        """Rebuild what a step needs otherwise than the one before: the one place where it is."""
        frozen = frozen_at(self.recipe, self.net.spec, step, self.steps)
        if frozen == self.frozen:
            return
        self.frozen = frozen
        set_frozen(self.net, frozen)
        model: Any = self.nested
        if self.recipe.compile:
            model = torch.compile(model, dynamic=False)
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
        for net in self.nested.all:
            train_mode(net, self.frozen or 0)

    def forward(self, images: Tensor, model: Model, *inner: int) -> tuple[Tensor, ...]:
        """Float images (N, channels, size, size), by `model` -> as `Nested.forward`, in float32."""
        bf16 = self.recipe.precision == "bf16"
        if not self.recipe.channels_last:
            images = images.contiguous()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            every = model(images, *inner)
        return tuple(each.float() for each in every)

    def last(self, *, is_last: bool) -> contextlib.AbstractContextManager:
        """Ranks talk about gradients only at the last piece of a batch."""
        if isinstance(self.model, DistributedDataParallel) and not is_last:
            return self.model.no_sync()
        return contextlib.nullcontext()

    def take_no_part(self) -> None:
        """A rank without images in this batch: gradients of zero, no statistics."""
        self.net.eval()
        self._blank_pass(1)
        self.train()

    def _settle(self) -> None:
        """Let DDP lay out its buckets before step 0, or sums would come in another order later."""
        kept = [(buffer, buffer.clone()) for buffer in self.net.buffers()]
        for _ in range(SETTLING):
            self._blank_pass(2)
        for buffer, value in kept:
            buffer.copy_(value)
        for parameter in self.net.parameters():
            parameter.grad = None

    def _blank_pass(self, images: int) -> None:
        """Forward and backward with gradients of zero."""
        data = self.recipe.data
        shape = (images, data.channels or 3, data.image_size or 1, data.image_size or 1)
        blank = torch.zeros(shape, device=self.device)
        blank = blank.to(memory_format=torch.channels_last)
        (self.forward(blank, self.model)[1].sum() * 0).backward()


def check_compiler(recipe: Recipe, device: torch.device) -> None:
    """Raise UserError where `compile` is asked for and there is no C++ compiler for the CPU."""
    if (
        recipe.compile
        and device.type == "cpu"
        and not (shutil.which("g++") or shutil.which("clang++"))
    ):
        raise UserError("--compile needs a C++ compiler on the CPU: install g++, or leave it out")
