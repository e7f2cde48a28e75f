"""Norms over all ranks: in one process they are batch norm, told apart by their precision only."""

import copy

import torch
from torch import nn

import resnetkit as rk
from resnetkit.training.sync_norm import SyncBatchNorm2d, synchronised


def pair(channels: int = 5) -> tuple[nn.BatchNorm2d, SyncBatchNorm2d]:
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(channels).double()
    nn.init.normal_(plain.weight)
    nn.init.normal_(plain.bias)
    ours = SyncBatchNorm2d(channels)
    ours.load_state_dict(plain.state_dict())
    return plain, ours


def test_it_is_batch_norm():
    """Output, gradients and running statistics against torch's own in float64."""
    plain, ours = pair()
    x = torch.randn(6, 5, 4, 3, dtype=torch.float64) * 3 + 7
    one, two = x.clone().requires_grad_(), x.float().requires_grad_()
    weight = torch.randn_like(x)
    (plain(one) * weight).sum().backward()
    (ours(two) * weight.float()).sum().backward()
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(ours(x.float()), plain(x).float(), **close)
    torch.testing.assert_close(two.grad, one.grad.float(), **close)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(ours.get_parameter(name).grad, parameter.grad.float(), **close)
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), buffer.to(ours.get_buffer(name)), **close)
    torch.testing.assert_close(ours.eval()(x.float()), plain.eval()(x).float(), **close)


def test_a_part_without_images_changes_nothing(monkeypatch):
    """Two ranks in turn: one with all the images, one with none; sums are added by hand."""
    _, ours = pair()
    empty = copy.deepcopy(ours)
    x = torch.randn(4, 5, 3, 3)
    out = ours(x)
    assert torch.isfinite(out).all()
    monkeypatch.setattr(
        "resnetkit.training.sync_norm._over_ranks",
        lambda *parts: tuple(part + 1 for part in parts),
    )
    assert empty(x[:0]).shape == (0, 5, 3, 3)


def test_a_network_keeps_its_tensors():
    net = rk.create("resnet8", classes=3, channels=1)
    names = list(net.state_dict())
    first = next(net.parameters())
    synchronised(net)
    assert list(net.state_dict()) == names
    assert next(net.parameters()) is first
    assert not any(type(module) is nn.BatchNorm2d for module in net.modules())
