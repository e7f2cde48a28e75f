"""A convolution as a product of matrices gives what torch's own gives."""

import pytest
import torch
from torch.nn import functional

import resnetkit as rk
from resnetkit.nets import convolution
from resnetkit.nets.convolution import Convolution1x1, Convolution3x3, make_convolution


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize(("size", "stride"), [((3, 3), 1), ((6, 6), 2), ((5, 3), 2), ((1, 1), 1),
                                              ((4, 4), 1), ((7, 8), 2), ((2, 1), 2)])  # fmt: skip
def test_sums_and_gradients(side, size, stride, monkeypatch):
    monkeypatch.setattr(convolution, "LEAST_WIDTH", 1)
    torch.manual_seed(0)
    layer = make_convolution(8, 12, side, stride, 1).to(memory_format=torch.channels_last)
    x = torch.randn(5, 8, *size).to(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    assert "Convolution" not in out.grad_fn.name()
    weight = layer.weight.detach().clone().requires_grad_()
    given = x.detach().clone().requires_grad_()
    exact = functional.conv2d(given, weight, stride=stride, padding=side // 2)
    assert out.shape == exact.shape
    assert out.dtype == torch.bfloat16
    gradient = torch.randn_like(exact)
    out.backward(gradient.to(torch.bfloat16))
    exact.backward(gradient)
    for near, true in ((out, exact), (layer.weight.grad, weight.grad), (x.grad, given.grad)):
        assert near.shape == true.shape
        assert (near - true).abs().max() < 0.02 * true.abs().max()


@pytest.mark.parametrize(
    ("layer", "side", "product"),
    [
        (Convolution3x3(512, 512, 1, 1), 4, True),
        (Convolution3x3(512, 512, 1, 1), 5, False),
        (Convolution3x3(512, 512, 2, 1), 8, True),
        (Convolution3x3(512, 256, 1, 1), 4, False),
        (Convolution3x3(512, 512, 1, 2), 4, False),
        (Convolution1x1(8, 16, 1), 7, True),
        (Convolution1x1(8, 16, 1), 8, False),
        (Convolution1x1(8, 16, 2), 14, True),
        (Convolution1x1(8, 16, 1, groups=2), 7, False),
    ],
)
def test_when_it_is_a_product(layer, side, product):
    x = torch.zeros(2, layer.in_channels, side, side)
    assert "Convolution" in layer(x).grad_fn.name()
    with torch.autocast("cpu", torch.bfloat16):
        assert ("Convolution" not in layer(x).grad_fn.name()) == product


def test_nothing_flows_to_an_image_that_needs_no_gradient(monkeypatch):
    monkeypatch.setattr(convolution, "LEAST_WIDTH", 1)
    layer = Convolution3x3(3, 4, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.ones(1, 3, 3, 3)).sum().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize("order", ["a", "b", "c", "d", "e"])
def test_a_block_of_every_order_learns_as_with_torchs_own(order, monkeypatch):
    """Gradients in bf16 are as near to those in fp32 with products as without."""
    monkeypatch.setattr(convolution, "LEAST_WIDTH", 32)
    spec = rk.ResNetSpec(
        depths=(1, 1),
        widths=(16, 32),
        strides=(1, 2),
        stem="small",
        stem_width=16,
        order=order,
        classes=4,
    )
    torch.manual_seed(0)
    net = rk.create(spec).to(memory_format=torch.channels_last)
    x = torch.randn(16, 3, 8, 8).to(memory_format=torch.channels_last)

    def gradients(most_pixels: int, *, bf16: bool) -> torch.Tensor:
        monkeypatch.setattr(convolution, "MOST_PIXELS", most_pixels)
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = functional.cross_entropy(net(x).float(), torch.arange(16) % 4)
        loss.backward()
        return torch.cat([p.grad.flatten() for p in net.parameters()])

    exact = gradients(0, bf16=False)
    with_products, without = (
        (gradients(pixels, bf16=True) - exact).norm() / exact.norm() for pixels in (16, 0)
    )
    assert with_products < 1.5 * without + 0.005
    assert without < 0.2
