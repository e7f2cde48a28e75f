"""A convolution as a product of matrices gives what torch's own gives."""

import pytest
import torch
from torch.nn import functional

from resnetkit.nets import convolution
from resnetkit.nets.convolution import Convolution3x3


@pytest.mark.parametrize(("size", "stride"), [((3, 3), 1), ((6, 6), 2), ((5, 3), 2), ((1, 1), 1),
                                              ((4, 4), 1), ((7, 8), 2), ((2, 1), 2)])  # fmt: skip
def test_sums_and_gradients(size, stride, monkeypatch):
    monkeypatch.setattr(convolution, "LEAST_WIDTH", 1)
    torch.manual_seed(0)
    layer = Convolution3x3(8, 12, stride, 1).to(memory_format=torch.channels_last)
    x = torch.randn(5, 8, *size).to(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer._as_product(x)
        out = layer(x)
    weight = layer.weight.detach().clone().requires_grad_()
    given = x.detach().clone().requires_grad_()
    exact = functional.conv2d(given, weight, stride=stride, padding=1)
    assert out.shape == exact.shape
    assert out.dtype == torch.bfloat16
    gradient = torch.randn_like(exact)
    out.backward(gradient.to(torch.bfloat16))
    exact.backward(gradient)
    for near, true in ((out, exact), (layer.weight.grad, weight.grad), (x.grad, given.grad)):
        assert near.shape == true.shape
        assert (near - true).abs().max() < 0.02 * true.abs().max()


def test_when_it_is_a_product():
    layer = Convolution3x3(512, 512, 1, 1)
    small, large = torch.zeros(2, 512, 4, 4), torch.zeros(2, 512, 5, 4)
    assert not layer._as_product(small)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer._as_product(small)
        assert not layer._as_product(large)
        assert not Convolution3x3(512, 256, 1, 1)._as_product(small)
        assert not Convolution3x3(512, 512, 1, 2)._as_product(small)
        with torch.no_grad():
            assert not layer._as_product(small)


def test_nothing_flows_to_an_image_that_needs_no_gradient(monkeypatch):
    monkeypatch.setattr(convolution, "LEAST_WIDTH", 1)
    layer = Convolution3x3(3, 4, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.ones(1, 3, 3, 3)).sum().backward()
    assert layer.weight.grad is not None
