"""torchvision and timm beside a CPU torch, for what runs in the environment of `make peers`."""

from functools import cache
from types import ModuleType

from torch import library

_OPERATORS = library.Library("torchvision", "DEF")
"""torchvision's wheel is built for CUDA: its import looks for operators that its networks do not
use. Names are enough."""


@cache
def peer_libraries() -> tuple[ModuleType, ModuleType]:
    """torchvision, with its models, transforms and datasets, and timm."""
    for name in ("nms", "qnms"):
        _OPERATORS.define(f"{name}() -> ()")
    import timm
    import torchvision

    return torchvision, timm
