"""The folded network computes what the network computes."""

import pytest
import torch
from tests.hardware import needs_bf16
from tests.nets.filled import fill

import resnetkit as rk
from resnetkit.nets.folded import FoldedResNet, can_fold
from resnetkit.nets.resnet import ResNet
from resnetkit.nets.zoo import ZOO

KINDS = [
    "resnet18", "resnet50", "resnet50d", "resnet50t", "resnet20", "preresnet110", "preresnet164",
    "wrn16_4", "plain20", "preplain110", "resnext50_32x4d", "seresnet50", "ecaresnet50t",
    "senet154", "resnetaa50d", "resnetblur50", "resnetrs50", "resnetv2_50", "resnetv2_50d",
]  # fmt: skip
ORDERS = ["a", "b", "c", "d", "e"]


def filled(spec: rk.ResNetSpec | str) -> ResNet:
    """A network with statistics of its norms as a trained one has them."""
    net = rk.create(spec, **({"classes": 10} if isinstance(spec, str) else {})).eval()
    net.load_state_dict(
        {name: t if t.ndim == 0 else fill(name, t.shape) for name, t in net.state_dict().items()}
    )
    return net


def specs():
    for name in KINDS:
        spec = ZOO[name]
        depths = tuple(min(depth, 2) for depth in spec.depths)
        yield pytest.param(rk.ResNetSpec(**vars(spec) | {"depths": depths}), id=name)
    for order in ORDERS:
        for shortcut in ("A", "B", "C", "none"):
            fields = {"widths": (8, 16), "depths": (2, 2), "strides": (1, 2), "stem_width": 8}
            spec = rk.ResNetSpec(order=order, shortcut=shortcut, classes=7, **fields)
            yield pytest.param(spec, id=f"{order}-{shortcut}")


@pytest.mark.parametrize("spec", list(specs()))
@pytest.mark.parametrize("size", [33])
def test_features_and_logits(spec, size):
    net = filled(spec)
    x = torch.randn(3, spec.channels, size, size, generator=torch.Generator().manual_seed(1))
    given = x.clone()
    with torch.no_grad():
        features = net.features(x)
        logits = net(x)
    folded = FoldedResNet(net, torch.float32)
    assert torch.equal(x, given)
    torch.testing.assert_close(folded.features(x), features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(folded(x), logits, rtol=1e-4, atol=1e-4)
    assert torch.equal(folded(x), folded(x))


@needs_bf16
def test_bf16_is_near():
    net = filled("resnet18")
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact = net(x)
    near = FoldedResNet(net, torch.bfloat16)(x)
    assert near.dtype == torch.float32
    assert (near - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("order", ["b", "e"])
def test_norms_that_stay_keep_their_precision(order):
    """bf16 has 8 bits: of a mean of 301 it would make 302."""
    spec = rk.ResNetSpec(order=order, widths=(8,), depths=(1,), strides=(1,), stem_width=8)
    folded = FoldedResNet(filled(spec), torch.bfloat16)
    kept = [folded._norm, folded._blocks[0].first_norm, folded._blocks[0].last_norm]
    norms = [norm for norm in kept if isinstance(norm, torch.nn.BatchNorm2d)]
    assert norms
    assert all(norm.running_mean.dtype == torch.float32 for norm in norms)


def test_later_changes_are_not_seen():
    net = filled("resnet8")
    x = torch.randn(2, 3, 32, 32)
    folded = FoldedResNet(net, torch.float32)
    before = folded(x)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.zero_()
    assert torch.equal(folded(x), before)


def test_what_cannot_be_folded():
    with pytest.raises(ValueError, match="batch norm can be folded"):
        FoldedResNet(rk.create("resnet50_gn"), torch.float32)


@pytest.mark.parametrize("name", ["stem.conv.weight", "stages.0.0.norm1.running_mean"])
def test_a_broken_network_is_not_folded(name):
    """A fused ReLU would make 0 of what is no number."""
    net = filled("resnet8")
    net.state_dict()[name].view(-1)[0] = float("nan")
    assert not can_fold(net)
    with pytest.raises(ValueError, match="finite"):
        FoldedResNet(net, torch.float32)
