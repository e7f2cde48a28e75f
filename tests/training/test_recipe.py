import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resnetkit import Recipe, UserError
from resnetkit.nets.zoo import spec_of
from resnetkit.training.recipe import DataRecipe, Facts, resolve
from resnetkit.training.recipe_files import named_recipes, parse_recipe, read_recipe
from resnetkit.training.settings import differences, flat_fields, override, settings_of

SMALL = Facts(frozenset({(28, 28)}), grey=True)
MIXED = Facts(frozenset({(400, 300), (500, 375)}), grey=False)


def test_flat_names_are_unique():
    parts = [f for f in dataclasses.fields(Recipe) if dataclasses.is_dataclass(f.default_factory)]
    inside = sum(len(dataclasses.fields(f.default_factory)) for f in parts)
    assert len(flat_fields()) == len(dataclasses.fields(Recipe)) - len(parts) + inside


@pytest.mark.parametrize("name", list(named_recipes()))
def test_yaml_round_trip(name):
    recipe = read_recipe(name)
    assert parse_recipe(recipe.to_yaml(), "x") == recipe
    assert name in named_recipes()


def test_the_textbooks_recipe():
    """Dive into Deep Learning, chapter ResNet: lr 0.05, 10 epochs, batch 256, 96 px."""
    recipe = read_recipe("textbook")
    assert (recipe.model, recipe.epochs, recipe.batch_size) == ("resnet18", 10, 256)
    assert recipe.data.image_size == 96
    o = recipe.optimiser
    assert (o.optimiser, o.lr, o.momentum, o.weight_decay, o.label_smoothing) == (
        "sgd",
        0.05,
        0,
        0,
        0,
    )
    assert recipe.schedule.schedule == "constant"
    how = recipe.augmentation
    assert (how.crop, how.flip, how.erase) == ("none", False, 0)


A1, A2, A3 = (
    {"image_size": 224, "epochs": 600, "lr": 5e-3, "weight_decay": 0.01, "label_smoothing": 0.1,
     "drop_path": 0.05, "repeats": 3, "policy_magnitude": 0.7, "mixup": 0.2},
    {"image_size": 224, "epochs": 300, "lr": 5e-3, "weight_decay": 0.02, "label_smoothing": 0,
     "drop_path": 0.05, "repeats": 3, "policy_magnitude": 0.7, "mixup": 0.1},
    {"image_size": 160, "epochs": 100, "lr": 8e-3, "weight_decay": 0.02, "label_smoothing": 0,
     "drop_path": 0, "repeats": 1, "policy_magnitude": 0.6, "mixup": 0.1},
)  # fmt: skip
"""Wightman 2021, table 2: what its procedures differ in."""

ALIKE = {
    "model": "resnet50", "eval_size": 224, "batch_size": 2048, "optimiser": "lamb",
    "schedule": "cosine", "warmup_epochs": 5, "dropout": None, "clip": None, "flip": True,
    "crop": "resized", "policy": "rand", "cutmix": 1, "erase": 0, "ema": None, "loss": "bce",
    "center_crop": 0.95,
}  # fmt: skip
"""And what is alike in them."""


@pytest.mark.parametrize(("name", "own"), [("a1", A1), ("a2", A2), ("a3", A3)])
def test_resnet_strikes_back_table_2(name, own):
    found = settings_of(read_recipe(name))
    for setting, value in (ALIKE | own).items():
        assert found[setting] == value, setting


TORCHVISION_V2 = {
    "model": "resnet50", "epochs": 600, "batch_size": 8 * 128, "lr": 0.5, "momentum": 0.9,
    "nesterov": False, "weight_decay": 2e-5, "decay_norms": False, "label_smoothing": 0.1,
    "schedule": "cosine", "warmup_epochs": 5, "image_size": 176, "eval_size": 224, "repeats": 4,
    "policy": "trivial", "erase": 0.1, "mixup": 0.2, "cutmix": 1.0, "interpolation": "bilinear",
}  # fmt: skip
"""Vryniotis 2021, the list of settings and the command under "The Training Recipe"."""


def test_torchvisions_second_weights():
    found = settings_of(read_recipe("torchvision-v2"))
    assert {name: found[name] for name in TORCHVISION_V2} == TORCHVISION_V2
    assert found["center_crop"] == pytest.approx(224 / 232, abs=1e-4)
    a_step = (1 - 0.99998) * (8 * 128 * 32 / 600) / 32  # every 32 steps, by batch and epochs
    assert 1 - found["ema"] == pytest.approx(a_step, rel=0.01)


RESNET_RS_50 = {
    "model": "resnetrs50", "batch_size": 4096, "dropout": 0.25, "drop_path": 0.0,
    "image_size": 160, "lr": 0.1 * 4096 / 256, "momentum": 0.9, "nesterov": False,
    "weight_decay": 4e-5, "ema": 0.9999, "label_smoothing": 0.1, "schedule": "cosine",
    "policy": "rand", "policy_ops": 2, "policy_magnitude": 10 / 10, "mixup": 0, "erase": 0,
}  # fmt: skip
"""Bello 2021, the authors' settings of ResNet-RS-50 at 160 pixels."""


def test_resnet_rs_50():
    found = settings_of(read_recipe("resnet-rs"))
    assert {name: found[name] for name in RESNET_RS_50} == RESNET_RS_50
    assert found["epochs"] * (1_281_167 // 4096) == pytest.approx(109_475, rel=0.005)
    assert found["warmup_epochs"] * (1_281_167 // 4096) == 1560
    assert found["center_crop"] == pytest.approx(160 / (160 + 32), abs=1e-4)


def test_he_2015_section_3_4():
    """Batches of 256, rate 0.1, up to 60 x 10^4 steps, decay 1e-4, shorter sides of 256 to 480."""
    found = settings_of(read_recipe("he2015-imagenet"))
    assert found["epochs"] * 1_281_167 / 256 == pytest.approx(600_000, rel=0.002)
    paper = {
        "batch_size": 256, "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "step_factor": 0.1,
        "image_size": 224, "crop": "scaled", "flip": True, "dropout": None,
    }  # fmt: skip
    assert {name: found[name] for name in paper} == paper
    assert 224 / found["most_side"] == pytest.approx(256)
    assert 224 / found["least_side"] == pytest.approx(480, abs=0.1)


BAG_OF_TRICKS = {
    "model": "resnet50d", "epochs": 200, "batch_size": 1024, "lr": 0.1 * 1024 / 256,
    "warmup_epochs": 5, "schedule": "cosine", "label_smoothing": 0.1, "mixup": 0.2,
    "weight_decay": 1e-4, "nesterov": True, "momentum": 0.9, "decay_norms": False,
    "identity_start": True, "least_area": 0.08, "jitter": 0.4, "lighting": 0.1, "erase": 0,
}  # fmt: skip
"""He 2019, sections 2.1, 3.1 and 5 with table 6: the last row but distillation."""


def test_the_bag_of_tricks():
    found = settings_of(read_recipe("bag-of-tricks"))
    assert {name: found[name] for name in BAG_OF_TRICKS} == BAG_OF_TRICKS


def test_he_2015_section_4_2():
    """Rate 0.1, divided by 10 at 32,000 and 48,000 of 64,000 steps of 128 images, decay 1e-4."""
    found = settings_of(read_recipe("he2015-cifar"))
    assert found["epochs"] * 45_000 / 128 == pytest.approx(64_000, rel=0.001)
    assert (found["step_at"], found["step_factor"]) == ((0.5, 0.75), 0.1)
    paper = {"batch_size": 128, "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "shift": 4}
    assert {name: found[name] for name in paper} == paper
    assert (found["flip"], found["erase"], found["label_smoothing"]) == (True, 0, 0)
    assert found["decay_norms"]


def test_a_file_of_ones_own_and_flags_above_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("epochs: 3\noptimiser: {lr: 0.5}\n")
    recipe = override(read_recipe(str(tmp_path / "mine.yaml")), {"lr": 0.25, "flip": False})
    assert (recipe.epochs, recipe.optimiser.lr, recipe.augmentation.flip) == (3, 0.25, False)
    assert recipe.optimiser.momentum == Recipe().optimiser.momentum
    assert differences(Recipe(), recipe) == {
        "epochs": "100 -> 3",
        "lr": "0.1 -> 0.25",
        "flip": "True -> False",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch: 3", "unknown key 'epoch'; did you mean epochs"),
        ("optimiser: {rl: 3}", "optimiser: unknown key 'rl'"),
        ("epochs: many", "epochs: expected a whole number, found 'many'"),
        ("epochs: 0", "epochs must be at least 1"),
        ("optimiser: {lr: .nan}", "lr must be a finite number"),
        ("schedule: {schedule: cosin}", "'cosin' is not one of constant, step"),
        ("!!python/object/apply:os.system [ls]", "not plain YAML"),
        ("a: b: c", "not plain YAML"),
        ("- 1", "expected keys and values"),
        ("optimiser: {momentum: 0.0}", "nesterov needs a momentum"),
        ("{batch_size: 2, optimiser: {accumulate: 3}}", "accumulate 3 is more than the batch's 2"),
        ("schedule: {warmup_steps: 2, warmup_epochs: 1}", "say the same thing: give one"),
        ("data: {channels: 2}", "channels must be 1 or 3"),
        ("schedule: cosine", "schedule is a heading: write schedule: {schedule: cosine}"),
        ("data: photos", "data is a heading: write data: {data: photos}"),
        ("0", "expected keys and values, found 0"),
    ],
)
def test_mistakes_in_a_file(text, said):
    with pytest.raises(UserError, match=said):
        parse_recipe(text, "mine.yaml")


def test_unknown_recipes():
    with pytest.raises(UserError, match="did you mean textbook"):
        read_recipe("texbook")
    with pytest.raises(UserError, match="unknown setting 'bach_size'; did you mean batch_size"):
        override(Recipe(), {"bach_size": 3})


@pytest.mark.parametrize(
    ("recipe", "settings", "lr"),
    [
        ("default", {"batch_size": 1024, "lr_scaling": "linear"}, 0.8),
        ("default", {"batch_size": 512, "lr_scaling": "sqrt"}, 0.2),
        ("a3", {"batch_size": 512, "lr_scaling": "linear"}, 0.002),
        ("default", {"lr_scaling": "linear"}, 0.1),
    ],
)
def test_the_rate_follows_the_batch(recipe, settings, lr):
    found = override(read_recipe(recipe), settings)
    assert found.optimiser.lr == pytest.approx(lr)
    assert override(found, {"batch_size": 64}).optimiser.lr == found.optimiser.lr  # once


def test_a_file_may_ask_for_it_and_a_flag_has_the_last_word(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("batch_size: 64\noptimiser: {lr: 0.05, lr_scaling: linear}\n")
    mine = read_recipe(str(file))
    assert override(mine, {"batch_size": 128}).optimiser.lr == pytest.approx(0.1)
    assert override(mine, {"batch_size": 128, "lr": 0.3}).optimiser.lr == 0.3
    file.write_text("batch_size: 1024\noptimiser: {lr_scaling: linear}\n")
    assert override(read_recipe(str(file)), {}).optimiser.lr == pytest.approx(0.8)
    assert override(read_recipe(str(file)), {"batch_size": 64}).optimiser.lr == pytest.approx(0.05)


def test_what_is_open_follows_the_data():
    small, mixed = resolve(Recipe(), SMALL), resolve(Recipe(), MIXED)
    assert (small.model, small.data.image_size, small.data.channels) == ("resnet20", 28, 1)
    assert small.augmentation.crop == "shift"
    assert (mixed.model, mixed.data.image_size, mixed.data.channels) == ("resnet18", 128, 3)
    assert mixed.augmentation.crop == "resized"
    textbook = read_recipe("textbook")
    assert resolve(textbook, SMALL).model == "resnet18"
    assert resolve(textbook, SMALL).augmentation.crop == "none"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
@example("\u3000")
@example("a\x85b")
@example(" a ")
@example("...")
@example("图片/a b: c # d" * 20)
def test_any_path_survives_yaml(path):
    recipe = override(Recipe(), {"data": path, "weights": path})
    assert parse_recipe(recipe.to_yaml(), "x") == recipe


def test_numbers_as_people_write_them():
    recipe = parse_recipe("optimiser: {lr: 1e-3, weight_decay: 0}", "x")
    assert (recipe.optimiser.lr, recipe.optimiser.weight_decay) == (0.001, 0.0)


def test_the_best_recipe_is_wider_and_judges_both_ways():
    best, default = (resolve(read_recipe(name), SMALL) for name in ("best", "default"))
    assert max(spec_of(best.model).widths) > max(spec_of(default.model).widths)
    assert best.data.mirror
    assert best.augmentation.erase > default.augmentation.erase


def test_the_fast_recipe():
    recipe = resolve(read_recipe("fast"), SMALL)
    assert (recipe.model, recipe.schedule.schedule) == ("resnet8x2h", "one-cycle")
    assert recipe.data.mirror
    assert recipe.augmentation.alternate
    assert recipe.data.val_fraction < DataRecipe().val_fraction
