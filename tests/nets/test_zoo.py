"""Names, published counts, and every network of the zoo at work."""

import json
import re
from dataclasses import fields, replace

import pytest
import torch

import resnetkit as rk
from resnetkit.nets.spec import read_spec
from resnetkit.nets.zoo import ZOO, usual

CONVOLUTIONAL = {name: spec for name, spec in ZOO.items() if isinstance(spec, rk.ResNetSpec)}
PUBLISHED = {  # torchvision's documentation, exact
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}
ROUNDED = {  # He 2015 table 6, in millions; He 2016 table 4 and its released code
    "resnet20": (0.27, 2),
    "resnet32": (0.46, 2),
    "resnet44": (0.66, 2),
    "resnet56": (0.85, 2),
    "resnet110": (1.7, 1),
    "resnet1202": (19.4, 1),
    "preresnet110": (1.7, 1),
    "preresnet164": (1.7, 1),
    "preresnet1001": (10.33, 2),  # the paper says 10.2: counted from its own description, 10.33
}
MULTIPLY_ADDS = {  # He 2015 table 1, in units of 10^9, as torchvision counts (V1.5: stride on 3x3)
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "resnet101": 7.801,
    "resnet152": 11.514,
}
WIDE = {  # Zagoruyko 2016, tables 4 and 5, in millions
    "wrn16_8": 11.0, "wrn16_10": 17.1, "wrn22_8": 17.2, "wrn22_10": 26.8, "wrn28_10": 36.5,
    "wrn28_12": 52.5, "wrn40_1": 0.6, "wrn40_2": 2.2, "wrn40_4": 8.9, "wrn40_8": 35.7,
}  # fmt: skip
OTHER_RULE = {  # layers as they are counted here; the name counts otherwise
    # a wide network's name counts the three shortcuts' convolutions, and not the head
    "wrn16_4": 14, "wrn16_8": 14, "wrn16_10": 14, "wrn22_8": 20, "wrn22_10": 20, "wrn28_2": 26,
    "wrn28_10": 26, "wrn28_12": 26, "wrn40_1": 38, "wrn40_2": 38, "wrn40_4": 38, "wrn40_8": 38,
    "resnetrs270": 272, "resnetrs420": 419,  # near their names
    "senet154": 152,  # the name counts the deep stem's three convolutions
    "seresnextaa201d_32x8d": 203,
    "ecaresnetlight": 50,  # of 50 layers, and no number in its name
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED | ROUNDED)
def test_published_parameters_and_layers(name):
    spec = ZOO[name]
    with torch.device("meta"):
        net = rk.create(spec)
    parameters = sum(p.numel() for p in net.parameters())
    if name in PUBLISHED:
        assert parameters == PUBLISHED[name]
    else:
        millions, digits = ROUNDED[name]
        assert round(parameters / 1e6, digits) == millions
    assert net.layers == int(name.removeprefix("pre").removeprefix("resnet"))


@pytest.mark.parametrize(
    ("name", "parameters"), {"resnet8x4": 1_233_540, "resnet32x4": 7_433_860}.items()
)
def test_parameters_of_networks_four_times_as_wide(name, parameters):
    """As the code of Tian 2019 counts them, with the 100 classes of CIFAR-100."""
    net = rk.create(name, classes=100)
    assert sum(p.numel() for p in net.parameters()) == parameters


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_published_multiply_adds(name):
    assert round(rk.summarise(ZOO[name], 224, 224).multiply_adds / 1e9, 3) == MULTIPLY_ADDS[name]


@pytest.mark.parametrize("name", WIDE)
def test_published_parameters_of_wide_networks(name):
    assert round(rk.summarise(ZOO[name], 32, 32).parameters / 1e6, 1) == WIDE[name]


def test_layers_are_those_of_the_name_or_listed_here():
    assert len(ZOO) >= 100
    for name, spec in CONVOLUTIONAL.items():
        named = re.search(r"\d+", name.replace("v2_", ""))
        number = OTHER_RULE.get(name) or int(named[0])
        assert spec.layers == number, name


def test_every_spec_goes_through_json():
    for spec in ZOO.values():
        assert read_spec(json.loads(json.dumps(spec.to_dict()))) == spec


def test_usual_images():
    assert usual("resnet50d").size == 224
    assert usual("resnetrs350").size == 256
    assert usual("resnetv2_50").mean == (0.5, 0.5, 0.5)
    assert usual("wrn28_10").size == 32


def kind(spec: rk.ResNetSpec) -> tuple:
    """What a network is apart from its size."""
    sizes = ("depths", "widths", "inner", "groups")
    others = tuple(getattr(spec, f.name) for f in fields(spec) if f.name not in sizes)
    wide = (spec.inner > 1, spec.stem_width == spec.widths[0])
    return (*others, *wide, spec.groups > 1, len(spec.depths))


def narrowest(specs: dict[str, rk.ResNetSpec]) -> list[str]:
    """Of every kind the network of the fewest channels."""
    found: dict[tuple, str] = {}
    for name in sorted(specs, key=lambda name: sum(specs[name].widths) * specs[name].inner):
        found.setdefault(kind(specs[name]), name)
    return list(found.values())


SHORT = {
    replace(ZOO[name], depths=tuple(min(d, 2) for d in ZOO[name].depths)): name
    for name in narrowest(CONVOLUTIONAL)
}
"""A convolutional network of every kind, the narrowest, with two blocks a stage at most."""


@pytest.mark.parametrize("spec", SHORT, ids=SHORT.values())
def test_every_kind_runs_both_ways_at_two_sizes(spec):
    net = rk.create(replace(spec, classes=3))
    for height, width in ((33, 40), (64, 17)):
        net.zero_grad()
        logits = net(torch.randn(2, 3, height, width))
        assert logits.shape == (2, 3)
        logits.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


RESIDUAL = [n.replace("plain", "resnet") for n in ZOO if "plain" in n]


@pytest.mark.parametrize("name", RESIDUAL)
def test_the_plain_twin_has_the_same_layers_and_no_shortcuts(name):
    plain = ZOO[name.replace("resnet", "plain")]
    assert plain.layers == ZOO[name].layers
    with torch.device("meta"):
        names = [n for n, _ in rk.create(plain).named_modules()]
    assert not any("shortcut" in n for n in names)


def test_patterns_and_unknown_names():
    assert rk.models("resnet?8*") == ["resnet18", "resnet18d"]
    assert rk.models("resnet*d")[:3] == ["resnet18d", "resnet26d", "resnet34d"]
    with pytest.raises(ValueError, match="did you mean .*resnet50"):
        rk.create("resnet5O")
    with pytest.raises(ValueError, match="no model matches 'densenet"):
        rk.models("densenet*")
