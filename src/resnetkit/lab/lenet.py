"""LeNet, a network from before residual connections and norms, and how the lab trains it."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from resnetkit.lab.pictures import accuracy
from resnetkit.training.optim import Optimiser
from resnetkit.training.recipe import Recipe
from resnetkit.training.schedule import factor


@dataclass(frozen=True)
class LeNetSpec:
    """LeNet-5 (LeCun 1998, figure 2) as textbooks have it, for grey images of 28 pixels.

    Attributes:
        kind: `original`, sigmoid and average pooling; `modern`, ReLU and max pooling.
        classes: outputs.
    """

    kind: Literal["original", "modern"] = "modern"
    classes: int = 10


class LeNet(nn.Module):
    """Two convolutions of 5x5 and three linear layers; no norm anywhere."""

    def __init__(self, spec: LeNetSpec):
        super().__init__()
        act, pool = (nn.ReLU, nn.MaxPool2d) if spec.kind == "modern" else (nn.Sigmoid, nn.AvgPool2d)
        self.spec = spec
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), act(), pool(2), nn.Conv2d(6, 16, 5), act(), pool(2),
            nn.Flatten(), nn.Linear(400, 120), act(), nn.Linear(120, 84), act(),
            nn.Linear(84, spec.classes),
        )  # fmt: skip
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)  # Glorot 2010, equation 16
            else:
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 28, 28) -> logits (N, classes)."""
        return self.layers(x)


Pictures = tuple[Tensor, Tensor]
"""float (N, 1, 28, 28), int64 (N,)."""


def train_lenet(
    spec: LeNetSpec, recipe: Recipe, seed: int, train: Pictures, val: Pictures
) -> float:
    """The validation error after `recipe.epochs`, pictures as they are, in fp32.

    Args:
        spec: the network.
        recipe: its batch size, optimiser, schedule and epochs.
        seed: of the start and of the order of the pictures.
        train: to learn from.
        val: to be judged by.

    Raises:
        FloatingPointError: loss or weights are not finite; the message has the step.
    """
    torch.manual_seed(seed)
    net, batch = LeNet(spec), recipe.batch_size
    optimiser = Optimiser(net, recipe.optimiser)
    an_epoch = max(1, len(train[0]) // batch)
    for step in range(recipe.epochs * an_epoch):
        if step % an_epoch == 0:
            order = torch.randperm(len(train[0]))
        chosen = order[step % an_epoch * batch :][:batch]
        net.zero_grad()
        loss = functional.cross_entropy(net(train[0][chosen]), train[1][chosen])
        if not loss.isfinite():
            raise FloatingPointError(f"step {step}: the loss is not finite")
        loss.backward()
        rate = factor(recipe.schedule, step, recipe.epochs * an_epoch)
        optimiser.set_rate(recipe.optimiser.lr * rate)
        optimiser.step()
    if not all(bool(p.isfinite().all()) for p in net.parameters()):
        raise FloatingPointError(f"step {step}: weights are not finite")
    return 1 - accuracy(net, *val)
