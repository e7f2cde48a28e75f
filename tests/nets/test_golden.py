"""Tensor names, shapes, counts and logits of 46 networks of torchvision 0.28 and timm 1.0.31.

`reference.json` is a copy of the reference outputs in which a digest stands for the names and
shapes of a network's tensors; where the outputs themselves lie beside the project they are read.
"""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from tests.nets.filled import fill, reference_images

import resnetkit as rk
from resnetkit.nets.naming import names, to_theirs
from resnetkit.nets.zoo import ZOO

COPY = Path(__file__).parent / "reference.json"
WHOLE = Path(__file__).parents[3] / "shared" / "golden" / "peers.json"
CASES = json.loads((WHOLE if WHOLE.exists() else COPY).read_text())["cases"]


def digest(tensors: list) -> str:
    """Of names and shapes, in any order."""
    return hashlib.sha256(json.dumps(sorted(tensors)).encode()).hexdigest()


def theirs(net: torch.nn.Module, library: str) -> dict[str, torch.Size]:
    """The names and shapes that a library has for a network's tensors, counters left out."""
    own = {n: t for n, t in net.state_dict().items() if not n.endswith("num_batches_tracked")}
    called = names(net.spec, own, library)
    return {called[n]: to_theirs(net.spec, n, t, library).shape for n, t in own.items()}


def test_the_copy_is_whole():
    copied = json.loads(COPY.read_text())["cases"]
    assert len(copied) == len(CASES) == 46
    for copy, case in zip(copied, CASES, strict=True):
        tensors = case.get("tensors")
        assert copy == {k: v for k, v in case.items() if k != "tensors"} | {
            "digest": digest(tensors) if tensors else case["digest"]
        }


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['library']}-{c['name']}")
def test_a_network_is_the_librarys(case):
    library = case["library"]
    with torch.device("meta"):
        net = rk.create(ZOO[case["name"]])
    assert sum(p.numel() for p in net.parameters()) == case["params"]
    tensors = theirs(net, library)
    listed = [[name, list(shape)] for name, shape in tensors.items()]
    if "tensors" in case:
        assert sorted(listed) == sorted(case["tensors"])
    else:
        assert digest(listed) == case["digest"]
    net = net.to_empty(device="cpu").eval()
    rk.load_weights(net, {name: fill(name, shape) for name, shape in tensors.items()}, library)
    with torch.no_grad():
        logits = net(reference_images())
    expected = torch.tensor(case["logits"])
    assert relative(logits[:, :10], expected) < 1e-4
    assert relative(logits.norm(dim=1), torch.tensor(case["norm"])) < 1e-4


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()
