"""Name -> spec, one line a network, under the names that the field has for them."""

import fnmatch
from dataclasses import dataclass, replace
from typing import Any

from resnetkit.errors import UserError, nearest
from resnetkit.nets.spec import Block, MLPSpec, ResNetSpec, Spec

_DEPTHS: dict[int, tuple[Block, tuple[int, ...]]] = {
    10: ("basic", (1, 1, 1, 1)),
    14: ("bottleneck", (1, 1, 1, 1)),
    18: ("basic", (2, 2, 2, 2)),
    26: ("bottleneck", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
    200: ("bottleneck", (3, 24, 36, 3)),
    269: ("bottleneck", (3, 30, 48, 8)),
}
"""Blocks a stage of ImageNet networks: He 2015 table 1; 200 of He 2016 section 5."""


def _imagenet(depth: int, **variant: Any) -> ResNetSpec:
    """He 2015, table 1, with the stride on the 3x3 as torchvision has it."""
    block, depths = _DEPTHS[depth]
    fields: dict[str, Any] = {"block": block, "depths": depths} | variant
    return ResNetSpec(**fields)


def _rs(*depths: int, dropout: float, drop_path: float = 0.0) -> ResNetSpec:
    """ResNet-RS (Bello 2021, sections 4 and 6, and its released settings)."""
    return ResNetSpec(
        block="bottleneck", depths=depths, **_D, stem_pool="conv", attention="se", se_reduction=4,
        dropout=dropout, drop_path=drop_path,
    )  # fmt: skip


def _small(n: int) -> ResNetSpec:
    """He 2015, section 4.2: 6n+2 layers for small images, shortcut A."""
    return ResNetSpec(
        depths=(n, n, n), widths=(16, 32, 64), strides=(1, 2, 2),
        stem="small", stem_width=16, shortcut="A", classes=10,
    )  # fmt: skip


def _small_preact(block: Block, n: int) -> ResNetSpec:
    """He 2016: full pre-activation; 6n+2 layers of basic blocks or 9n+2 of bottlenecks."""
    return replace(_small(n), block=block, order="e", shortcut="A" if block == "basic" else "B")


def _wrn(n: int, k: int) -> ResNetSpec:
    """WRN-n-k for small images (Zagoruyko 2016, table 1); n counts the shortcuts' convolutions."""
    spec = replace(_small((n - 4) // 6), order="e", shortcut="B", activates_first=False)
    return replace(spec, widths=(16 * k, 32 * k, 64 * k))


def _small_wide(n: int, k: int, *, halves_first: bool = False) -> ResNetSpec:
    """6n+2 layers, k times as wide, the stem half as much (Tian 2019, arXiv 1910.10699, 4.1).

    Where the first stage halves too, a step at 28 pixels is 2.7 times as quick.
    """
    widths = (16 * k, 32 * k, 64 * k)
    spec = replace(_small(n), widths=widths, stem_width=8 * k, shortcut="B")
    return replace(spec, strides=(2, 2, 2)) if halves_first else spec


_C: dict[str, Any] = {"stem": "deep"}
_D: dict[str, Any] = {"stem": "deep", "shortcut_pool": True}
_S: dict[str, Any] = {"stem": "deep", "stem_width": 128}
_T: dict[str, Any] = {"stem": "tiered", "shortcut_pool": True}
_SE: dict[str, Any] = {"attention": "se"}
_ECA: dict[str, Any] = {"attention": "eca"}
_AVERAGE: dict[str, Any] = {"antialias": "average"}
_BLUR: dict[str, Any] = {"antialias": "blur"}
_V2: dict[str, Any] = {"order": "e", "activates_first": False}
_32X4: dict[str, Any] = {"groups": 32, "inner": 2}
_32X8: dict[str, Any] = {"groups": 32, "inner": 4}
_32X16: dict[str, Any] = {"groups": 32, "inner": 8}
_32X32: dict[str, Any] = {"groups": 32, "inner": 16}
_64X4: dict[str, Any] = {"groups": 64, "inner": 4}
_SENET: dict[str, Any] = _SE | {"reduce_first": 2, "shortcut_kernel": 3}

_HE = {
    "resnet18": _imagenet(18),
    "resnet34": _imagenet(34),
    "resnet50": _imagenet(50),
    "resnet101": _imagenet(101),
    "resnet152": _imagenet(152),
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
"""The papers' own networks; each has a plain twin."""

_VARIANTS = {
    "resnet10t": _imagenet(10, **_T),
    "resnet14t": _imagenet(14, **_T),
    "resnet18d": _imagenet(18, **_D),
    "resnet26": _imagenet(26),
    "resnet26d": _imagenet(26, **_D),
    "resnet26t": _imagenet(26, **_T),
    "resnet34d": _imagenet(34, **_D),
    "resnet50c": _imagenet(50, **_C),
    "resnet50d": _imagenet(50, **_D),
    "resnet50s": _imagenet(50, **_S),
    "resnet50t": _imagenet(50, **_T),
    "resnet101c": _imagenet(101, **_C),
    "resnet101d": _imagenet(101, **_D),
    "resnet101s": _imagenet(101, **_S),
    "resnet152c": _imagenet(152, **_C),
    "resnet152d": _imagenet(152, **_D),
    "resnet152s": _imagenet(152, **_S),
    "resnet200": _imagenet(200),
    "resnet200d": _imagenet(200, **_D),
    "resnet50_gn": _imagenet(50, norm="group"),
    "wide_resnet50_2": _imagenet(50, inner=2),
    "wide_resnet101_2": _imagenet(101, inner=2),
    "resnext50_32x4d": _imagenet(50, **_32X4),
    "resnext50d_32x4d": _imagenet(50, **_32X4, **_D),
    "resnext101_32x4d": _imagenet(101, **_32X4),
    "resnext101_32x8d": _imagenet(101, **_32X8),
    "resnext101_32x16d": _imagenet(101, **_32X16),
    "resnext101_32x32d": _imagenet(101, **_32X32),
    "resnext101_64x4d": _imagenet(101, **_64X4),
    "seresnet18": _imagenet(18, **_SE),
    "seresnet34": _imagenet(34, **_SE),
    "seresnet50": _imagenet(50, **_SE),
    "seresnet50t": _imagenet(50, **_SE, **_T),
    "seresnet101": _imagenet(101, **_SE),
    "seresnet152": _imagenet(152, **_SE),
    "seresnet152d": _imagenet(152, **_SE, **_D),
    "seresnet200d": _imagenet(200, **_SE, **_D),
    "seresnet269d": _imagenet(269, **_SE, **_D),
    "seresnext26d_32x4d": _imagenet(26, **_SE, **_32X4, **_D),
    "seresnext26t_32x4d": _imagenet(26, **_SE, **_32X4, **_T),
    "seresnext50_32x4d": _imagenet(50, **_SE, **_32X4),
    "seresnext101_32x4d": _imagenet(101, **_SE, **_32X4),
    "seresnext101_32x8d": _imagenet(101, **_SE, **_32X8),
    "seresnext101_64x4d": _imagenet(101, **_SE, **_64X4),
    "seresnext101d_32x8d": _imagenet(101, **_SE, **_32X8, **_D),
    "senet154": _imagenet(152, **_SENET, **_64X4, **_S),
    "ecaresnet26t": _imagenet(26, **_ECA, **_T),
    "ecaresnet50d": _imagenet(50, **_ECA, **_D),
    "ecaresnet50t": _imagenet(50, **_ECA, **_T),
    "ecaresnet101d": _imagenet(101, **_ECA, **_D),
    "ecaresnet200d": _imagenet(200, **_ECA, **_D),
    "ecaresnet269d": _imagenet(269, **_ECA, **_D),
    "ecaresnetlight": _imagenet(50, depths=(1, 1, 11, 3), **_ECA, shortcut_pool=True),
    "ecaresnext26t_32x4d": _imagenet(26, **_ECA, **_32X4, **_T),
    "ecaresnext50t_32x4d": _imagenet(50, **_ECA, **_32X4, **_T),
    "resnetaa34d": _imagenet(34, **_AVERAGE, **_D),
    "resnetaa50": _imagenet(50, **_AVERAGE),
    "resnetaa50d": _imagenet(50, **_AVERAGE, **_D),
    "resnetaa101d": _imagenet(101, **_AVERAGE, **_D),
    "seresnetaa50d": _imagenet(50, **_SE, **_AVERAGE, **_D),
    "seresnextaa101d_32x8d": _imagenet(101, **_SE, **_AVERAGE, **_32X8, **_D),
    "seresnextaa201d_32x8d": _imagenet(
        200, depths=(3, 24, 36, 4), **_SE, **_AVERAGE, **_32X8, **_D, stem_width=128
    ),
    "resnetblur18": _imagenet(18, **_BLUR),
    "resnetblur50": _imagenet(50, **_BLUR),
    "resnetblur50d": _imagenet(50, **_BLUR, **_D),
    "resnetblur101d": _imagenet(101, **_BLUR, **_D),
    "resnetrs50": _rs(3, 4, 6, 3, dropout=0.25),
    "resnetrs101": _rs(3, 4, 23, 3, dropout=0.25),
    "resnetrs152": _rs(3, 8, 36, 3, dropout=0.25),
    "resnetrs200": _rs(3, 24, 36, 3, dropout=0.25, drop_path=0.1),
    "resnetrs270": _rs(4, 29, 53, 4, dropout=0.25, drop_path=0.1),
    "resnetrs350": _rs(4, 36, 72, 4, dropout=0.4, drop_path=0.1),
    "resnetrs420": _rs(4, 44, 87, 4, dropout=0.4, drop_path=0.1),
    "resnetv2_18": _imagenet(18, **_V2),
    "resnetv2_18d": _imagenet(18, **_V2, **_D),
    "resnetv2_34": _imagenet(34, **_V2),
    "resnetv2_34d": _imagenet(34, **_V2, **_D),
    "resnetv2_50": _imagenet(50, **_V2),
    "resnetv2_50d": _imagenet(50, **_V2, **_D),
    "resnetv2_50d_gn": _imagenet(50, **_V2, **_D, norm="group"),
    "resnetv2_50t": _imagenet(50, **_V2, **_T),
    "resnetv2_101": _imagenet(101, **_V2),
    "resnetv2_101d": _imagenet(101, **_V2, **_D),
    "resnetv2_152": _imagenet(152, **_V2),
    "resnetv2_152d": _imagenet(152, **_V2, **_D),
    "resnetv2_200": _imagenet(200, **_V2),
    "resnet8x4": _small_wide(1, 4),
    "resnet32x4": _small_wide(5, 4),
    "resnet8x2h": _small_wide(1, 2, halves_first=True),
    "resnet8x4h": _small_wide(1, 4, halves_first=True),
    "resnet14x2h": _small_wide(2, 2, halves_first=True),
    "resnet14x4h": _small_wide(2, 4, halves_first=True),
    "wrn16_4": _wrn(16, 4),
    "wrn16_8": _wrn(16, 8),
    "wrn16_10": _wrn(16, 10),
    "wrn22_8": _wrn(22, 8),
    "wrn22_10": _wrn(22, 10),
    "wrn28_2": _wrn(28, 2),
    "wrn28_10": _wrn(28, 10),
    "wrn28_12": _wrn(28, 12),
    "wrn40_1": _wrn(40, 1),
    "wrn40_2": _wrn(40, 2),
    "wrn40_4": _wrn(40, 4),
    "wrn40_8": _wrn(40, 8),
}

_FULLY_CONNECTED = {"mlp": MLPSpec(shortcut="none"), "resmlp": MLPSpec()}
"""Fully connected; of other widths and depths by `--width`, `--depths`."""

ZOO: dict[str, Spec] = (
    _HE
    | _VARIANTS
    | {name.replace("resnet", "plain"): replace(s, shortcut="none") for name, s in _HE.items()}
    | _FULLY_CONNECTED
)


@dataclass(frozen=True)
class Usual:
    """What images a network is usually compared on: side in pixels, a channel's mean, deviation."""

    size: int
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


_IMAGENET = Usual(224)
_HALF = Usual(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_CIFAR = Usual(32, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_FASHION = Usual(28, (0.286,), (0.353,))
_RS_SIZES = {"50": 160, "101": 192, "152": 256, "200": 256, "270": 256, "350": 256, "420": 320}
"""Bello 2021, table 8: larger networks are made for larger images."""


def usual(name: str) -> Usual:
    """The usual images of a network of the zoo."""
    spec = ZOO[name]
    if isinstance(spec, MLPSpec):
        return _FASHION
    if spec.stem == "small":
        return _CIFAR
    if name.startswith("resnetrs"):
        return replace(_IMAGENET, size=_RS_SIZES[name.removeprefix("resnetrs")])
    return _HALF if name.startswith("resnetv2") else _IMAGENET


def models(pattern: str = "*") -> list[str]:
    """Names of the zoo that match a shell pattern such as `resnet*`.

    Raises:
        UserError: nothing matches; the message has the nearest names.
    """
    names = fnmatch.filter(ZOO, pattern)
    if not names:
        raise UserError(f"no model matches {pattern!r}; {nearest(pattern.strip('*'), ZOO)}")
    return names


def name_of(spec: Spec) -> str | None:
    """The name of a network in the zoo, whatever its channels, classes and dropout; or None."""
    own = {"channels": spec.channels, "classes": spec.classes, "dropout": spec.dropout,
           "drop_path": spec.drop_path}  # fmt: skip
    if isinstance(spec, MLPSpec):
        own["size"] = spec.size
    kin = {name: known for name, known in ZOO.items() if type(known) is type(spec)}
    return next((name for name, known in kin.items() if replace(known, **own) == spec), None)


def spec_of(model: str) -> Spec:
    """The spec behind a name of the zoo; raises UserError with the nearest names."""
    if model not in ZOO:
        raise UserError(f"unknown model {model!r}; {nearest(model, ZOO)}")
    return ZOO[model]
