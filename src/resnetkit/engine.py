"""What evaluation and prediction call: a network made ready for one device and precision."""

import torch
from torch import Tensor

from resnetkit.config import Precision
from resnetkit.data.transform import Transform
from resnetkit.machine import choose_precision
from resnetkit.nets.folded import FoldedResNet, can_fold
from resnetkit.nets.network import Network


class Engine:
    """Calling it on a uint8 NHWC batch gives logits, as calling the Classifier does, but sooner.

    Norms are folded into convolutions (`FoldedResNet`), images are channels-last.

    Args:
        net: the network, in evaluation mode; later changes to its weights are not seen.
        transform: the preprocessing.
        precision: as `machine.choose_precision` has it.
        temperature: what logits are divided by.

    Attributes:
        precision: fp32 or bf16, as decided.
    """

    def __init__(
        self,
        net: Network,
        transform: Transform,
        precision: Precision = "auto",
        temperature: float = 1.0,
    ):
        self.transform, self.device = transform, net.head.weight.device
        self.temperature = temperature
        self.precision = choose_precision(precision, self.device)
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        self._net = FoldedResNet(net, dtype) if can_fold(net) else net

    @torch.inference_mode()
    def features(self, batch: Tensor) -> Tensor:
        """uint8 (N, size, size, channels) -> float32 pooled features (N, features)."""
        batch = batch.to(self.device, non_blocking=True)
        return self.transform.features(batch, self.normalised_features)

    @torch.inference_mode()
    def normalised_features(self, x: Tensor) -> Tensor:
        """Float (N, channels, size, size), normalised -> float32 pooled features (N, features)."""
        bf16 = self.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            return self._net.features(x).float()

    @torch.inference_mode()
    def head(self, features: Tensor) -> Tensor:
        """float32 (N, features) -> float32 logits (N, classes)."""
        logits = self._net.head(features)
        return logits if self.temperature == 1 else logits / self.temperature

    def __call__(self, batch: Tensor) -> Tensor:
        """uint8 (N, size, size, channels) -> float32 logits (N, classes)."""
        return self.head(self.features(batch))
