"""Optimisers against the formulas of their papers, in float64."""

import copy
import gc
import weakref

import pytest
import torch

import resnetkit as rk
from resnetkit.training.optim import Ema, Optimiser
from resnetkit.training.recipe import OptimiserRecipe


class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, 4, dtype=torch.float64))
        self.bias = torch.nn.Parameter(torch.randn(3, dtype=torch.float64))


def steps(net: Two, recipe: OptimiserRecipe, gradients: list) -> None:
    optimiser = Optimiser(net, recipe)
    for weight, bias in gradients:
        net.weight.grad, net.bias.grad = weight.clone(), bias.clone()
        optimiser.step()


def some_gradients(count: int = 4) -> list:
    return [
        (torch.randn(3, 4, dtype=torch.float64), torch.randn(3, dtype=torch.float64))
        for _ in range(count)
    ]


@pytest.mark.parametrize("decay_norms", [False, True])
def test_sgd_with_nesterov_momentum(decay_norms):
    torch.manual_seed(0)
    net, gradients = Two(), some_gradients()
    expected = {name: p.detach().clone() for name, p in net.named_parameters()}
    velocity = {name: torch.zeros_like(p) for name, p in expected.items()}
    for pair in gradients:
        for name, g in zip(("weight", "bias"), pair, strict=True):
            decay = 0.01 if name == "weight" or decay_norms else 0.0
            pull = g + decay * expected[name]
            velocity[name] = 0.9 * velocity[name] + pull
            expected[name] = expected[name] - 0.1 * (pull + 0.9 * velocity[name])
    steps(net, OptimiserRecipe(weight_decay=0.01, decay_norms=decay_norms), gradients)
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.data, expected[name])


def test_adamw():
    """Loshchilov & Hutter 2017, algorithm 2."""
    torch.manual_seed(0)
    net, gradients = Two(), some_gradients()
    w = net.weight.detach().clone()
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for t, (g, _) in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        step = (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        w = w - 0.01 * step - 0.01 * 0.05 * w
    steps(net, OptimiserRecipe(optimiser="adamw", lr=0.01, weight_decay=0.05), gradients)
    torch.testing.assert_close(net.weight.data, w)


def test_lars():
    """You 2017, algorithm 1: the momentum holds steps, the rate in them; biases as by SGD."""
    torch.manual_seed(0)
    net, gradients = Two(), some_gradients()
    w, b = net.weight.detach().clone(), net.bias.detach().clone()
    v, u = torch.zeros_like(w), torch.zeros_like(b)
    for g, h in gradients:
        local = 0.02 * w.norm() / (g.norm() + 0.05 * w.norm())
        v, u = 0.9 * v + 0.5 * local * (g + 0.05 * w), 0.9 * u + 0.5 * h
        w, b = w - v, b - u
    steps(net, OptimiserRecipe(optimiser="lars", lr=0.5, weight_decay=0.05, trust=0.02), gradients)
    torch.testing.assert_close(net.weight.data, w)
    torch.testing.assert_close(net.bias.data, b)


def test_lamb():
    """You 2019, algorithm 2, with corrected means; biases as by Adam."""
    torch.manual_seed(0)
    net, gradients = Two(), some_gradients()
    x = [p.detach().clone() for p in net.parameters()]
    m, v = [0 * p for p in x], [0 * p for p in x]
    for t, pair in enumerate(gradients, 1):
        for i, g in enumerate(pair):
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g**2
            r = (m[i] / (1 - 0.9**t)) / ((v[i] / (1 - 0.999**t)).sqrt() + 1e-6)
            r = r + (0.05 * x[i] if i == 0 else 0)
            x[i] = x[i] - 0.01 * (x[i].norm() / r.norm() if i == 0 else 1) * r
    steps(net, OptimiserRecipe(optimiser="lamb", lr=0.01, weight_decay=0.05), gradients)
    for p, expected in zip(net.parameters(), x, strict=True):  # steps are counted in float32
        torch.testing.assert_close(p.data, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["lars", "lamb"])
def test_without_decay_steps_are_as_long_as_weights_say(kind):
    torch.manual_seed(0)
    net, ((weight, bias),) = Two(), some_gradients(1)
    before = net.weight.detach().clone()
    recipe = OptimiserRecipe(optimiser=kind, lr=0.5, weight_decay=0.0, trust=0.02)
    steps(net, recipe, [(1000 * weight, bias)])
    length = (net.weight.detach() - before).norm() / before.norm()
    assert length == pytest.approx(0.5 * (0.02 if kind == "lars" else 1), rel=1e-4)


@pytest.mark.parametrize("kind", ["sgd", "adamw", "lars", "lamb"])
def test_putting_back_forgets_what_came_since(kind):
    """The state of step 0 is none: what a failed attempt has gathered is not to stay."""
    recipe, gradients = OptimiserRecipe(optimiser=kind, lr=0.01), some_gradients(3)
    torch.manual_seed(1)
    net = Two()
    start = copy.deepcopy(net.state_dict())
    optimiser = Optimiser(net, recipe)
    begun = {name: t.clone() for name, t in optimiser.tensors().items()}
    for weight, bias in gradients:
        net.weight.grad, net.bias.grad = weight.clone(), bias.clone()
        optimiser.step()
    net.load_state_dict(start)
    optimiser.load_tensors(begun)
    net.weight.grad, net.bias.grad = (each.clone() for each in gradients[0])
    optimiser.step()
    torch.manual_seed(1)
    fresh = Two()
    steps(fresh, recipe, gradients[:1])
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), fresh.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["lars", "lamb"])
def test_weights_of_zero_can_leave_it(kind):
    net = Two()
    torch.nn.init.zeros_(net.weight)
    steps(net, OptimiserRecipe(optimiser=kind, lr=0.01), some_gradients(1))
    assert net.weight.isfinite().all()
    assert (net.weight != 0).all()


@pytest.mark.parametrize("kind", ["sgd", "adamw", "lars", "lamb"])
def test_a_step_that_is_left_out_changes_nothing(kind):
    torch.manual_seed(0)
    net, (once, again) = Two(), some_gradients(2)
    optimiser = Optimiser(net, OptimiserRecipe(optimiser=kind, lr=0.01))
    net.weight.grad, net.bias.grad = once
    optimiser.step(skip=torch.zeros(()))
    before = [t.clone() for t in (*net.parameters(), *optimiser.tensors().values())]
    net.weight.grad, net.bias.grad = (float("nan") * each for each in again)
    optimiser.step(skip=torch.ones(()))
    after = [*net.parameters(), *optimiser.tensors().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", ["sgd", "adamw", "lars", "lamb"])
def test_state_goes_into_tensors_and_back(kind):
    recipe, gradients = OptimiserRecipe(optimiser=kind, lr=0.01), some_gradients(6)
    torch.manual_seed(1)
    whole = Two()
    torch.manual_seed(1)
    broken = Two()
    steps(whole, recipe, gradients)
    first = Optimiser(broken, recipe)
    for i, (weight, bias) in enumerate(gradients):
        if i == 3:
            kept = {name: t.clone() for name, t in first.tensors().items()}
            first = Optimiser(broken, recipe)
            first.load_tensors(kept)
        broken.weight.grad, broken.bias.grad = weight.clone(), bias.clone()
        first.step()
    assert torch.equal(whole.weight, broken.weight)
    assert torch.equal(whole.bias, broken.bias)


@pytest.mark.parametrize("kind", ["sgd", "adamw", "lars", "lamb"])
def test_weights_that_lie_channels_last_learn_the_same(kind):
    """What is learnt does not depend on the layout, and the state has the weights' shape."""
    recipe = OptimiserRecipe(optimiser=kind, lr=0.01)
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Conv2d(5, 6, 3), torch.nn.Conv2d(6, 4, 1))
    lying = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    optimisers = [Optimiser(net, recipe) for net in (plain, lying)]
    for _ in range(3):
        for pair in zip(plain.parameters(), lying.parameters(), strict=True):
            gradient = torch.randn(pair[0].shape)
            for p in pair:
                p.grad = torch.empty_like(p).copy_(gradient)
        for optimiser in optimisers:
            optimiser.step()
    first, second = (optimiser.tensors() for optimiser in optimisers)
    assert first.keys() == second.keys()
    for one, other in (*zip(first.values(), second.values(), strict=True),
                       *zip(plain.parameters(), lying.parameters(), strict=True)):  # fmt: skip
        torch.testing.assert_close(one, other)


def test_gradients_do_not_outlive_a_step():
    net = torch.nn.Conv2d(5, 6, 3).to(memory_format=torch.channels_last)
    optimiser = Optimiser(net, OptimiserRecipe())
    net.weight.grad = torch.ones_like(net.weight)
    kept = weakref.ref(net.weight.grad)
    optimiser.step()
    net.zero_grad()
    gc.collect()
    assert kept() is None


def test_ema_is_its_recurrence():
    net = rk.create("resnet8", classes=3, channels=1)
    ema = Ema(net, 0.95)
    name = "stages.0.0.norm1.running_var"
    expected = {key: net.state_dict()[key].clone() for key in ("head.weight", name)}
    for step in range(300):
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.normal_()
        net.state_dict()["stem.norm.num_batches_tracked"].fill_(step)
        ema.update(net, step)
        decay = min(0.95, (1 + step) / (10 + step))
        for key, value in expected.items():
            expected[key] = decay * value + (1 - decay) * net.state_dict()[key]
    for key, value in expected.items():
        torch.testing.assert_close(ema.net.state_dict()[key], value, rtol=1e-5, atol=1e-6)
    assert ema.net.state_dict()["stem.norm.num_batches_tracked"] == 299
