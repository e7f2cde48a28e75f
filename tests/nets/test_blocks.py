"""The five orders against their formulas, written out from He 2016 figure 4."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

import resnetkit as rk
from resnetkit.nets.blocks import make_block

SMALL = rk.ResNetSpec(
    depths=(2, 2), widths=(8, 16), strides=(1, 2), stem="small", stem_width=8, classes=5
)
ORDERS, SHORTCUTS, BLOCKS = "abcde", ("A", "B", "C", "none"), ("basic", "bottleneck")


def randomise(module: torch.nn.Module) -> None:
    """Random norms too: an identity norm hides a wrong order."""
    generator = torch.Generator().manual_seed(1)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.2)
    for module_ in module.modules():
        if isinstance(module_, torch.nn.Conv2d):
            module_.weight.data.sub_(0.7).mul_(0.3)


def formula(block, order: str, x: torch.Tensor) -> torch.Tensor:
    """One basic block that keeps its shape, word by word."""
    relu, weight1, weight2 = functional.relu, block.conv1, block.conv2
    norm1, norm2 = block.norm1, block.norm2
    return {
        "a": lambda: relu(x + norm2(weight2(relu(norm1(weight1(x)))))),
        "b": lambda: relu(norm2(x + weight2(relu(norm1(weight1(x)))))),
        "c": lambda: x + relu(norm2(weight2(relu(norm1(weight1(x)))))),
        "d": lambda: x + norm2(weight2(relu(norm1(weight1(relu(x)))))),
        "e": lambda: x + weight2(relu(norm2(weight1(relu(norm1(x)))))),
    }[order]()


@pytest.mark.parametrize("order", ORDERS)
def test_orders_follow_figure_4(order):
    block = make_block(replace(SMALL, order=order), 8, 8, 1, first=False).eval()
    randomise(block)
    x = torch.randn(2, 8, 7, 5)
    torch.testing.assert_close(block(x), formula(block, order, x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("order", "de")
@pytest.mark.parametrize(("stride", "first"), [(1, True), (2, False)])
def test_shortcuts_begin_from_the_activated_input(order, stride, first):
    width = 8 * stride
    spec = replace(SMALL, order=order, shortcut="A")
    block = make_block(spec, 8, width, stride, first=first).eval()
    randomise(block)
    x = torch.randn(2, 8, 8, 8)
    seen = []
    block.shortcut.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    block(x)
    activated = functional.relu(block.norm1(x) if order == "e" else x)
    torch.testing.assert_close(seen[0], activated)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("stride_on", ["3x3", "1x1"])
def test_every_combination_runs_and_every_parameter_learns(order, shortcut, kind, stride_on):
    spec = replace(
        SMALL, order=order, shortcut=shortcut, block=kind, stride_on=stride_on, channels=2
    )
    net = rk.create(spec)
    x = torch.randn(4, 2, 9, 14, requires_grad=True)
    out = net(x)
    assert out.shape == (4, 5)
    (out * torch.randn(4, 5)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("stride", [1, 2])
def test_no_block_writes_its_input(order, stride):
    block = make_block(replace(SMALL, order=order), 8, 8, stride, first=False)
    x = torch.randn(2, 8, 6, 6)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


def test_shortcut_a_strides_and_pads_with_zeros():
    block = make_block(replace(SMALL, shortcut="A"), 8, 16, 2, first=False)
    x = torch.randn(1, 8, 5, 7)
    out = block.shortcut(x)
    assert out.shape == (1, 16, 3, 4)
    assert torch.equal(out[:, :8], x[:, :, ::2, ::2])
    assert not out[:, 8:].any()
    assert not list(block.shortcut.parameters())


def test_projections_stand_where_the_option_says():
    def projections(shortcut: str) -> list[str]:
        net = rk.create(replace(SMALL, shortcut=shortcut))
        return [n for n, _ in net.named_modules() if n.endswith("shortcut.conv")]

    assert projections("A") == []
    assert projections("B") == ["stages.1.0.shortcut.conv"]
    assert len(projections("C")) == 4


def test_where_the_stride_stands():
    def strides(where: str) -> list[int]:
        spec = replace(SMALL, block="bottleneck", stride_on=where)
        block = make_block(spec, 8, 16, 2, first=False)
        return [getattr(block, f"conv{i}").stride[0] for i in (1, 2, 3)]

    assert strides("3x3") == [1, 2, 1]
    assert strides("1x1") == [2, 1, 1]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 5), (33, 64)])
@pytest.mark.parametrize("name", ["resnet18", "resnet20", "preresnet164", "plain18"])
def test_any_image_size(name, size):
    net = rk.create(name, classes=3, channels=1).eval()
    with torch.no_grad():
        x = torch.randn(2, 1, *size)
        assert torch.equal(net.head(net.features(x)), net(x))
        assert net(x).shape == (2, 3)
