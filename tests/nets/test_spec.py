import json

import pytest

from resnetkit import ResNetSpec, UserError, create


def test_json_round_trip():
    spec = ResNetSpec(depths=(1, 2), widths=(8, 16), strides=(1, 2), stem="small", shortcut="C")
    assert ResNetSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"block": "wide"}, "block: 'wide' is not one of basic, bottleneck"),
        ({"order": "f"}, "not one of a, b, c, d, e"),
        ({"shortcut": "D"}, "not one of A, B, C, none"),
        ({"stem": "large"}, "not one of imagenet, deep, tiered, small"),
        ({"stride_on": "5x5"}, "not one of 3x3, 1x1"),
        ({"depths": (2, 2)}, "one length"),
        ({"depths": (2, 0, 2, 2)}, "at least 1"),
        ({"classes": 0}, "classes must be at least 1"),
        ({"shortcut": "A", "stem_width": 128}, "cannot lower the number of channels"),
        ({"groups": 2}, "belong to bottlenecks"),
        ({"inner": 2}, "belong to bottlenecks"),
        ({"block": "bottleneck", "groups": 3}, "must divide the width of every 3x3"),
        ({"block": "bottleneck", "reduce_first": 3}, "must divide the width of every 3x3"),
        ({"stem": "tiered", "stem_width": 36}, "a tiered stem's width must be a multiple of 8"),
        ({"stem": "small", "stem_pool": "conv"}, "a small stem does not pool"),
        ({"shortcut": "none", "shortcut_pool": True}, "need projections"),
        ({"shortcut": "A", "shortcut_kernel": 3}, "need projections"),
        ({"shortcut_pool": True, "shortcut_kernel": 3}, "shortcut_kernel must be 1"),
        ({"shortcut_kernel": 2}, "shortcut_kernel: 2 is not one of 1, 3"),
        ({"norm": "group", "stem": "tiered"}, "norm_groups 32 must divide"),
        ({"depths": 2}, "depths: expected a list"),
        ({"depths": (2.5, 2, 2, 2)}, "depths: expected a whole number"),
        ({"stem_width": None}, "stem_width: expected a whole number"),
        ({"classes": True}, "classes: expected a whole number"),
        ({"shortcut_pool": "no"}, "shortcut_pool: expected true or false"),
        ({"shortcut_kernel": 1.0}, "shortcut_kernel: 1.0 is not one of 1, 3"),
        ({"classes": 10_000_001}, "classes must be at most 10000000, not 10000001"),
        ({"norm": "layer"}, "not one of batch, group"),
        ({"drop_path": 1.0}, "drop_path must be at most 0.99"),
        ({"dropout": -0.1}, "dropout must be at least 0"),
    ],
)
def test_what_describes_no_network_is_refused(change, said):
    with pytest.raises(UserError, match=said):
        ResNetSpec(**change)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"depth": (2,)}, "unknown key 'depth'; did you mean depths"),
        ({"classes": "ten"}, "classes: expected a whole number"),
        ({"classes": True}, "expected a whole number"),
        ({"depths": 2}, "expected a list"),
        ([], "expected keys and values"),
    ],
)
def test_plain_data_that_is_no_spec_is_refused(data, said):
    with pytest.raises(UserError, match=said):
        ResNetSpec.from_dict(data)


def test_lists_become_tuples():
    assert hash(ResNetSpec(depths=[1, 1, 1, 1])) == hash(ResNetSpec(depths=(1, 1, 1, 1)))


@pytest.mark.parametrize("model", [None, 5, ("resnet18",)])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(UserError, match="a model is a name, a ResNetSpec or an MLPSpec"):
        create(model)
