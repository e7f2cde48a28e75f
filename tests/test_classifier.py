import json

import pytest
import torch

import resnetkit as rk
from resnetkit.classifier import CHECKED
from resnetkit.sums import SUMS, sums_text


def test_round_trip_bit_for_bit(classifier, tmp_path):
    classifier.save(tmp_path / "again")
    again = rk.load(tmp_path / "again")
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == [
        "README.md", "SHA256SUMS", "config.json", "model.safetensors",
    ]  # fmt: skip
    assert (again.spec, again.classes, again.transform) == (
        classifier.spec, classifier.classes, classifier.transform,
    )  # fmt: skip
    batch = torch.randint(0, 256, (3, 28, 28, 1), dtype=torch.uint8)
    assert torch.equal(again(batch), classifier(batch))
    assert again.features(batch).shape == (3, classifier.spec.features)


def test_the_card_says_what_it_is(finished_run):
    card = (finished_run / "classifier" / "README.md").read_text()
    for fact in (
        "resnet8, 10 classes",
        "8 layers",
        "300 images of `fashion-mnist`",
        "28 x 28",
        "grey",
    ):
        assert fact in card


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("format", 99, "has format 99"),
        ("classes", ["a"], "do not belong together"),
        ("task", "several", "'several' is not one of single-label, multi-label"),
        ("spec", {"depth": [1]}, "unknown key 'depth'"),
        ("transform", {"size": 0}, "size must be at least 1"),
        ("inner", [[9, 9, 9]], "is not inside"),
        ("inner", [[1, 1, 1]], "lacks stages.1.0.norm1.running_mean of its network of 8 layers"),
        ("calibration", {"temperatures": {"8": 0}}, "temperature of 8 layers cannot be 0"),
        ("calibration", {"temperatures": {"8": "warm"}}, "cannot be 'warm'"),
    ],
)
def test_a_config_that_lies_is_refused(finished_run, tmp_path, key, value, said):
    import shutil

    shutil.copytree(finished_run / "classifier", tmp_path / "x")
    config = json.loads((tmp_path / "x" / "config.json").read_text())
    config[key] = value
    (tmp_path / "x" / "config.json").write_text(json.dumps(config))
    (tmp_path / "x" / SUMS).write_text(sums_text(tmp_path / "x", CHECKED))
    with pytest.raises(rk.UserError, match=said):
        rk.load(tmp_path / "x")
