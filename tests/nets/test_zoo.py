"""Published counts, and equality with other libraries' networks on golden outputs."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

import resnetkit as rk
from resnetkit.nets.zoo import ZOO

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
REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())


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


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_published_multiply_adds(name):
    assert round(rk.summarise(ZOO[name], 224, 224).multiply_adds / 1e9, 3) == MULTIPLY_ADDS[name]


@pytest.mark.parametrize("name", [n for n in ZOO if "resnet" in n])
def test_the_plain_twin_has_the_same_layers_and_no_shortcuts(name):
    plain = ZOO[name.replace("resnet", "plain")]
    assert plain.layers == ZOO[name].layers
    with torch.device("meta"):
        names = [n for n, _ in rk.create(plain).named_modules()]
    assert not any("shortcut" in n for n in names)


def test_patterns_and_unknown_names():
    assert rk.models("resnet1?") == ["resnet18", "resnet14"]
    with pytest.raises(ValueError, match="did you mean .*resnet50"):
        rk.create("resnet5O")
    with pytest.raises(ValueError, match="no model matches 'resnext"):
        rk.models("resnext*")


def fill(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor made from its name, as reference.json describes."""
    seed = zlib.crc32(name.encode())
    u = np.random.Generator(np.random.PCG64(seed)).random(int(np.prod(shape))) * 2 - 1
    if len(shape) >= 2:
        u = u * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        u = 1 + 0.5 * u
    elif name.endswith("weight"):
        u = 0.5 + 0.2 * u
    else:
        u = 0.1 * u  # running_mean and biases
    return torch.from_numpy(u.astype(np.float32).reshape(shape))


def torchvision_name(name: str) -> str:
    head, *rest = name.split(".")
    if head == "stem":
        return {"conv": "conv1", "norm": "bn1"}[rest[0]] + "." + rest[1]
    if head == "head":
        return "fc." + rest[0]
    stage, block, *tail = rest
    inner = ".".join(tail).replace("norm", "bn").replace("shortcut.conv", "downsample.0")
    return f"layer{int(stage) + 1}.{block}.{inner.replace('shortcut.bn', 'downsample.1')}"


def timm_v2_name(name: str) -> str:
    head, *rest = name.split(".")
    if head == "head":
        return "head.fc." + rest[0]
    if head != "stages":
        return name
    stage, block, *tail = rest
    return f"stages.{stage}.blocks.{block}." + ".".join(tail).replace("shortcut", "downsample")


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda c: f"{c['library']}-{c['name']}")
def test_logits_equal_other_libraries(case):
    if case["library"] == "torchvision":
        spec, rename = ZOO[case["name"]], torchvision_name
    else:
        from dataclasses import replace

        spec = replace(ZOO["resnet" + case["name"].removeprefix("resnetv2_")], order="e")
        rename = timm_v2_name
    with torch.device("meta"):
        net = rk.create(spec)
    net = net.to_empty(device="cpu").eval()
    assert sum(p.numel() for p in net.parameters()) == case["params"]
    for name, tensor in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            filled = fill(rename(name), tuple(tensor.shape))
            if case["library"] == "timm" and name == "head.weight":
                # timm's head is a 1x1 convolution with a shape of its own
                filled = fill(rename(name), (*tensor.shape, 1, 1)).reshape(tensor.shape)
            tensor.copy_(filled)
    image = np.random.Generator(np.random.PCG64(20151210)).random((2, 3, 64, 64)) * 2 - 1
    with torch.no_grad():
        logits = net(torch.from_numpy(image.astype(np.float32)))
    expected = torch.tensor(case["logits"])
    torch.testing.assert_close(logits[:, :10], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits.norm(dim=1), torch.tensor(case["norm"]), rtol=1e-4, atol=0)
