"""What tests need of the machine that they run on."""

import pytest
import torch

from resnetkit.machine import computes_bf16

needs_bf16 = pytest.mark.skipif(
    not computes_bf16(torch.device("cpu")), reason="the CPU does not compute in bf16"
)
