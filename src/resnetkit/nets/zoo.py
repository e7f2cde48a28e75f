"""Name -> spec, one line a network. For every residual network there is its plain twin."""

import fnmatch
from dataclasses import replace

from resnetkit.errors import UserError, nearest
from resnetkit.nets.spec import Block, ResNetSpec


def _imagenet(block: Block, *depths: int) -> ResNetSpec:
    """He 2015, table 1, with the stride on the 3x3 as torchvision has it."""
    return ResNetSpec(block=block, depths=depths)


def _small(n: int) -> ResNetSpec:
    """He 2015, section 4.2: 6n+2 layers for small images, shortcut A."""
    return ResNetSpec(
        depths=(n, n, n), widths=(16, 32, 64), strides=(1, 2, 2),
        stem="small", stem_width=16, shortcut="A", classes=10,
    )  # fmt: skip


def _small_preact(block: Block, n: int) -> ResNetSpec:
    """He 2016: full pre-activation; 6n+2 layers of basic blocks or 9n+2 of bottlenecks."""
    return replace(_small(n), block=block, order="e", shortcut="A" if block == "basic" else "B")


_RESIDUAL = {
    "resnet18": _imagenet("basic", 2, 2, 2, 2),
    "resnet34": _imagenet("basic", 3, 4, 6, 3),
    "resnet50": _imagenet("bottleneck", 3, 4, 6, 3),
    "resnet101": _imagenet("bottleneck", 3, 4, 23, 3),
    "resnet152": _imagenet("bottleneck", 3, 8, 36, 3),
    "resnet8": _small(1),
    "resnet14": _small(2),
    "resnet20": _small(3),
    "resnet32": _small(5),
    "resnet44": _small(7),
    "resnet56": _small(9),
    "resnet110": _small(18),
    "resnet1202": _small(200),
    "preresnet110": _small_preact("basic", 18),
    "preresnet164": _small_preact("bottleneck", 18),
    "preresnet1001": _small_preact("bottleneck", 111),
}

ZOO: dict[str, ResNetSpec] = _RESIDUAL | {
    name.replace("resnet", "plain"): replace(spec, shortcut="none")
    for name, spec in _RESIDUAL.items()
}


def models(pattern: str = "*") -> list[str]:
    """Names of the zoo that match a shell pattern such as `resnet*`.

    Raises:
        UserError: nothing matches; the message has the nearest names.
    """
    names = fnmatch.filter(ZOO, pattern)
    if not names:
        raise UserError(f"no model matches {pattern!r}; {nearest(pattern.strip('*'), ZOO)}")
    return names


def spec_of(model: str) -> ResNetSpec:
    """The spec behind a name of the zoo; raises UserError with the nearest names."""
    if model not in ZOO:
        raise UserError(f"unknown model {model!r}; {nearest(model, ZOO)}")
    return ZOO[model]
