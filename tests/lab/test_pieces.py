"""What experiments do to networks, checked by itself."""

import pytest
import torch

import resnetkit as rk
from resnetkit.lab.arms import LOST
from resnetkit.lab.experiments import bad_g, batch_size, inside_out, landscape, propagation
from resnetkit.lab.lenet import LeNet, LeNetSpec, train_lenet
from resnetkit.lab.pictures import some_pictures
from resnetkit.training.recipe_files import read_recipe
from resnetkit.training.settings import override


def filled(name="resnet14"):
    torch.manual_seed(0)
    net = rk.create(name, classes=10, channels=1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


def test_the_table_of_batches_says_where_numbers_were_lost():
    errors = {rule: [[0.2, 0.4], [0.5, 0.5]] for rule in batch_size.RULES}
    lost = errors | {"same": [[0.2, 0.4], [0.5, LOST]]}
    said = {"LeNet same/4096": "step 7: the loss is not finite (batch of images 1, 2)"}
    data = {"batches": [64, 4096], "errors": errors, "lenet": lost, "said": said}
    rows = batch_size.table(data, "en").splitlines()
    assert "| ResNet-8 | the same rate | 30.0% | 50.0% |" in rows
    assert "| LeNet | the same rate | 30.0% | 1/2 nan: step 7: the loss is not finite |" in rows
    assert len(rows) == 2 + 2 * len(batch_size.RULES)


def test_a_deleted_block_hands_on_what_it_gets_and_a_negated_one_subtracts():
    net, x = filled(), torch.rand(2, 16, 9, 9)
    block = net.stages[0][1]
    out = block(x.clone())
    negated = bad_g.Negated(block, residual=True)(x)
    torch.testing.assert_close(negated - x, -(out - x))
    (deleted,) = bad_g.harmed_networks(net, "deleted", residual=True)[:1]
    torch.testing.assert_close(deleted.stages[0][1](x), x)
    assert len(bad_g.harmed_networks(net, "deleted", residual=True)) == 3
    assert bad_g.harmed_networks(net, "swapped", residual=True) == []
    longer = bad_g.harmed_networks(filled("resnet20"), "swapped", residual=True)
    assert len(longer) == 3


def test_a_harmed_copy_leaves_the_network_alone():
    net, x = filled(), torch.rand(2, 1, 12, 12)
    before = net(x)
    for harm in bad_g.HARMS:
        for other in bad_g.harmed_networks(net, harm, residual=True):
            assert not torch.equal(other.eval()(x), before)
    assert torch.equal(net(x), before)


def test_directions_are_as_long_as_the_filters():
    net = filled()
    found = landscape.direction(net, torch.Generator().manual_seed(3))
    for name, drawn in found.items():
        own = net.get_parameter(name).detach().flatten(1).norm(dim=1)
        torch.testing.assert_close(drawn.flatten(1).norm(dim=1), own)
    assert {name.split(".")[-1] for name in found} == {"weight"}


def test_the_middle_of_the_surface_is_the_network_itself():
    net, x, y = filled(), torch.rand(16, 1, 12, 12), torch.arange(16) % 10
    rows = landscape.losses_around(net, x, y, 3)
    own = torch.nn.functional.cross_entropy(net.train()(x), y).detach()
    assert abs(rows[1][1] - float(own)) < 1e-5
    assert rows[0][0] != rows[1][1] != rows[2][2]


def test_a_set_of_features_is_like_itself_and_unlike_noise():
    features = torch.randn(200, 7, 3)
    assert abs(propagation.alike(features, features * 3 + 1) - 1) < 1e-5
    assert propagation.alike(features, torch.randn(200, 7, 3)) < 0.3


def test_a_prefix_has_the_layers_asked_for_and_the_same_weights():
    net, x = filled("resnet20"), torch.rand(64, 1, 12, 12)
    inner = inside_out.prefix(net, 8, x)
    assert inner.layers == 8
    assert torch.equal(inner.stages[1][0].conv1.weight, net.stages[1][0].conv1.weight)
    assert inside_out.prefix(net, 20, x) is net
    assert len(inside_out.branch_lengths(net, x)) == 6


def test_rates_follow_the_batch_by_each_rule():
    assert batch_size.rule_settings("same", 4096)["lr"] == batch_size.RATE
    assert batch_size.rule_settings("linear", 256)["lr"] == 4 * batch_size.RATE
    assert batch_size.rule_settings("sqrt", 256)["lr"] == 2 * batch_size.RATE
    assert batch_size.rule_settings("linear, cold", 128)["warmup_steps"] == 0
    assert batch_size.rule_settings("lars", 256)["optimiser"] == "lars"


def test_lenet_learns_and_says_where_it_diverges():
    recipe = override(read_recipe("default"), {"batch_size": 32, "epochs": 8, "lr": 0.05})
    pictures, labels = some_pictures(512, None)
    seen = (pictures[:384], labels[:384])
    error = train_lenet(LeNetSpec(), recipe, 0, seen, (pictures[384:], labels[384:]))
    assert error < 0.5
    wild = override(recipe, {"lr": 1000.0})
    with pytest.raises(ArithmeticError, match=r"step \d+: .* not finite"):
        train_lenet(LeNetSpec(), wild, 0, seen, seen)
    original = LeNet(LeNetSpec(kind="original", classes=3))
    assert original(pictures[:2]).shape == (2, 3)
