"""He normal, and the identity start: equality bit for bit, and a gradient that lives."""

import math
from dataclasses import replace

import pytest
import torch

import resnetkit as rk
from resnetkit.nets.blocks import Block
from resnetkit.nets.zoo import ZOO

SMALL = replace(ZOO["resnet20"], depths=(2, 2, 2))


def test_he_normal():
    torch.manual_seed(0)
    net = rk.create("resnet50")
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.Conv2d) and module.weight.numel() > 50_000:
            fan_out = module.weight.shape[0] * module.weight[0, 0].numel()
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.02), (
                name
            )
            assert abs(module.weight.mean().item()) < 1e-3


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("order", "ade")
def test_a_block_begins_as_the_identity_bit_for_bit(order, mode, dtype):
    for kind in ("basic", "bottleneck"):
        shortcut = "A" if kind == "basic" else "B"
        spec = replace(SMALL, order=order, block=kind, shortcut=shortcut)
        net = rk.create(spec, identity_start=True).to(dtype)
        for tensor in (b for n, b in net.named_buffers() if n.endswith(("mean", "var"))):
            tensor.uniform_(0.5, 1.5)
        getattr(net, mode)()
        blocks = [b for b in net.modules() if isinstance(b, Block)][1:]
        kept = [b for b in blocks if not b.changes_shape]
        assert kept
        for block in kept:
            x = torch.randn(4, block.conv1.in_channels, 8, 8).to(dtype)
            inside = x.relu() if order == "a" else x  # in (a) what arrives has passed a ReLU
            assert torch.equal(block(inside), inside)


@pytest.mark.parametrize(
    "name",
    ["resnet50d", "seresnet34", "ecaresnet50t", "resnext50_32x4d", "resnet50_gn", "resnetblur50",
     "resnetrs50", "resnetv2_50d_gn", "wrn16_4", "senet154"],
)  # fmt: skip
def test_blocks_of_every_variant_begin_as_the_identity(name):
    spec = replace(ZOO[name], depths=(2,) * len(ZOO[name].depths))
    net = rk.create(spec, identity_start=True)
    for block in [b for b in net.modules() if isinstance(b, Block) and not b.changes_shape]:
        x = torch.randn(3, block.conv1.in_channels, 6, 6).relu()
        first = spec.order == "e" and block.activates_both
        assert torch.equal(block(x), block.norm1(x).relu() if first else x)


@pytest.mark.parametrize("order", "ade")
def test_what_starts_at_zero_has_a_gradient_and_the_rest_at_the_second_step(order):
    torch.manual_seed(0)
    net = rk.create(replace(SMALL, order=order), identity_start=True)
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    x, labels = torch.randn(8, 3, 16, 16), torch.arange(8)
    for step in range(2):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(x), labels).backward()
        for name, block in net.named_modules():
            if isinstance(block, Block):
                last = f"{'conv' if order == 'e' else 'norm'}{block.convolutions}"
                assert block.get_submodule(last).weight.grad.abs().sum() > 0, name
                if step == 1:
                    assert block.conv1.weight.grad.abs().sum() > 0, name
        optimiser.step()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"order": "b"}, "norm after the addition"),
        ({"order": "c"}, "would never learn"),
        ({"shortcut": "none"}, "plain network"),
        ({"shortcut": "C"}, "projects in every block"),
    ],
)
def test_refused_with_the_reason(change, reason):
    with pytest.raises(ValueError, match=reason):
        rk.create(replace(SMALL, **change), identity_start=True)
