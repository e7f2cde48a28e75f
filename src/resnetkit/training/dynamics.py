"""What a network said of every training image while it learned from them.

Wrong labels are learned late, so that the mean over a run tells them (Pleiss 2020, arXiv
2001.10528; Swayamdipta 2020, arXiv 2009.10795).
"""

from collections.abc import Mapping

import torch
from torch import Tensor


class Dynamics:
    """Sums over a run's steps, each of an image as the step saw it, before it learned from it.

    Attributes:
        logits: (images, classes).
        times: that each image was seen, (images,).
    """

    def __init__(self, images: int, classes: int, device: torch.device):
        self.logits = torch.zeros(images, classes, device=device)
        self.times = torch.zeros(images, device=device)

    def add(self, indices: Tensor, logits: Tensor) -> None:
        """What is said at a step of these images: (n,), (n, classes)."""
        indices = indices.to(logits.device, non_blocking=True)
        self.logits.index_add_(0, indices, logits.detach())
        self.times.index_add_(0, indices, logits.new_ones(len(indices)))

    def tensors(self) -> dict[str, Tensor]:
        """The sums, by name."""
        return {"logits": self.logits, "times": self.times}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
