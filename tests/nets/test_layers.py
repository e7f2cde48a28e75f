"""The small parts against their formulas, written out from the papers."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

import resnetkit as rk
from resnetkit.nets.blocks import make_block
from resnetkit.nets.layers import (
    Blur,
    DropPath,
    EfficientChannelAttention,
    Projection,
    SqueezeExcite,
    average_pool,
)
from resnetkit.nets.zoo import ZOO


@pytest.mark.parametrize("size", [(8, 8), (7, 12), (2, 3), (5, 2)])
def test_blur_is_the_binomial_filter_over_a_reflected_edge(size):
    x = torch.randn(2, 5, *size)
    line = torch.tensor([1.0, 2, 1]) / 4
    weight = (line[:, None] * line).expand(5, 1, 3, 3)
    padded = functional.pad(x, (1, 1, 1, 1), mode="reflect")
    expected = functional.conv2d(padded, weight, stride=2, groups=5)
    torch.testing.assert_close(Blur(2)(x), expected)


def test_blur_of_a_single_pixel_keeps_it():
    x = torch.randn(2, 5, 1, 1)
    torch.testing.assert_close(Blur(2)(x), x)


def test_average_pooling_counts_nothing_past_the_edge():
    x = torch.ones(1, 1, 5, 3)
    assert torch.equal(average_pool(2, 2)(x), torch.ones(1, 1, 3, 2))


def test_squeeze_and_excitation_follows_its_formula():
    layer, x = SqueezeExcite(64, 16), torch.randn(3, 64, 4, 5)
    squeezed = x.mean((2, 3))
    inner = functional.relu(squeezed @ layer.fc1.weight[:, :, 0, 0].T + layer.fc1.bias)
    gate = torch.sigmoid(inner @ layer.fc2.weight[:, :, 0, 0].T + layer.fc2.bias)
    torch.testing.assert_close(layer(x), x * gate[:, :, None, None])


@pytest.mark.parametrize(
    ("channels", "reduction", "inner"),
    [(64, 16, 8), (256, 16, 16), (512, 16, 32), (200, 16, 16), (256, 4, 64), (8, 16, 8)],
)
def test_the_inner_width_is_a_multiple_of_8(channels, reduction, inner):
    assert SqueezeExcite(channels, reduction).fc1.out_channels == inner


@pytest.mark.parametrize(("channels", "side"), [(64, 3), (256, 5), (512, 5), (1024, 5), (2048, 7)])
def test_eca_reaches_as_far_as_equation_12_says(channels, side):
    layer, x = EfficientChannelAttention(channels), torch.randn(2, channels, 2, 2)
    assert layer.conv.kernel_size == (side,)
    padded = functional.pad(x.mean((2, 3)), (side // 2, side // 2))
    gate = torch.sigmoid(padded.unfold(1, side, 1) @ layer.conv.weight[0, 0])
    torch.testing.assert_close(layer(x), x * gate[:, :, None, None])


def test_drop_path_leaves_out_whole_pictures_and_keeps_the_mean():
    torch.manual_seed(0)
    layer, x = DropPath(0.25), torch.ones(4000, 2, 1, 1)
    out = layer(x)
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert torch.equal(out[:, 0], out[:, 1])
    assert out.mean().item() == pytest.approx(1, abs=0.03)
    assert layer.eval()(x) is x


def test_drop_rates_rise_linearly_to_the_last_block():
    net = rk.create(replace(ZOO["resnet20"], drop_path=0.9))
    rates = [m.rate for m in net.modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0.1 * number for number in range(1, 10)])


def test_dropout_stands_before_the_head_and_rests_in_evaluation():
    net = rk.create("resnetrs50", classes=2)
    x = torch.randn(2, 3, 32, 32)
    assert (net.features(x) == 0).float().mean() > 0.2
    net.eval()
    assert torch.equal(net.head(net.features(x)), net(x))


@pytest.mark.parametrize("pooled", [False, True])
def test_where_the_shortcut_takes_its_stride(pooled):
    spec = replace(ZOO["resnet18"], shortcut_pool=pooled)
    shortcut = Projection(spec, 4, 8, 2)
    assert shortcut.conv.stride == ((1, 1) if pooled else (2, 2))
    x = torch.randn(2, 4, 5, 6)
    halved = functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    expected = halved if pooled else x[:, :, ::2, ::2]
    expected = functional.conv2d(expected, shortcut.conv.weight)
    torch.testing.assert_close(shortcut.eval()(x), shortcut.norm(expected))


@pytest.mark.parametrize("order", "abcde")
@pytest.mark.parametrize("kind", ["average", "blur"])
@pytest.mark.parametrize("stride_on", ["3x3", "1x1"])
def test_antialiasing_takes_the_stride_after_the_activation(order, kind, stride_on):
    spec = rk.ResNetSpec(
        block="bottleneck", widths=(8, 16), depths=(1, 1), strides=(1, 2), stem="small",
        stem_width=8, order=order, antialias=kind, stride_on=stride_on,
    )  # fmt: skip
    block = make_block(spec, 32, 16, 2, first=False)
    seen = []
    block.antialias.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    out = block(torch.randn(2, 32, 9, 6))
    assert out.shape == (2, 64, 5, 3)
    assert seen[0].shape[2:] == (9, 6)
    assert (seen[0] >= 0).all()
    assert all(getattr(block, f"conv{i}").stride == (1, 1) for i in (1, 2, 3))


@pytest.mark.parametrize(
    ("stem", "widths"), [("imagenet", [64]), ("deep", [32, 32, 64]), ("tiered", [24, 32, 64])]
)
def test_stems_quarter_the_image(stem, widths):
    for pool, antialias in (("max", "none"), ("conv", "none"), ("max", "blur"), ("max", "average")):
        net = rk.create(rk.ResNetSpec(stem=stem, stem_pool=pool, antialias=antialias))
        convs = [m for m in net.stem.modules() if isinstance(m, torch.nn.Conv2d)]
        assert [c.out_channels for c in convs] == widths + [64] * (pool == "conv")
        assert net.stem(torch.randn(1, 3, 37, 64)).shape == (1, 64, 10, 16)
