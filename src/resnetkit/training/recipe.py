"""`Recipe`: everything that decides what a training run computes, in one frozen dataclass."""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from resnetkit.config import Precision, check_ranges, option, to_plain
from resnetkit.data.augmentation import Augmentation, Interpolation
from resnetkit.errors import UserError
from resnetkit.nets.spec import Order, Shortcut
from resnetkit.plain_yaml import yaml_line
from resnetkit.sizes import MOST_PIXELS_A_SIDE
from resnetkit.training.balance import BalanceRecipe


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """Which images, and how they are shown to the network."""

    data: str = option("", "what to train on")
    image_size: int | None = option(
        None,
        "pixels; by default those of --weights, else the images' own when all are equal, square "
        "and up to 64, else 128",
        least=1,
        most=MOST_PIXELS_A_SIDE,
    )
    eval_size: int | None = option(
        None,
        "pixels that evaluation and prediction see; by default as in training",
        least=1,
        most=MOST_PIXELS_A_SIDE,
    )
    channels: int | None = option(
        None, "1 grey, 3 RGB; by default as the images are", least=1, most=3
    )
    multi_label: bool = option(
        False, "an image may have several classes; always so where a CSV's labels are as cat;dog"
    )
    labels: str | None = option(
        None,
        "a CSV of path,label, such as `resnetkit labels` writes: these images are taken for these "
        "classes instead; an empty label leaves one out",
        metavar="CSV",
    )
    limit: int | None = option(None, "train on a stratified N images, for a quick try", least=1)
    val_fraction: float = option(
        0.1,
        "part of the training images to hold out where the data bring no val",
        least=1e-6,
        most=0.9,
    )
    folds: int | None = option(
        None, "cross-validate: N runs, each judged by a part that the others train on", least=2
    )
    fold: int | None = option(
        None, "with folds: train only the run that holds out fold N, from 1", least=1
    )
    center_crop: float | None = option(
        None,
        "part of the shorter side that evaluation sees; by default that of --weights, else 1",
        least=0.01,
        most=1,
    )
    interpolation: Interpolation | None = option(
        None, "how pixels are resized; by default as for --weights, else bilinear"
    )
    mirror: bool = option(False, "judge each picture together with its mirror image")
    mean: tuple[float, ...] | None = option(
        None, "a channel's mean; by default that of --weights, else measured"
    )
    std: tuple[float, ...] | None = option(
        None, "a channel's deviation; by default that of --weights, else measured"
    )


@dataclass(frozen=True, kw_only=True)
class OptimiserRecipe:
    """How weights follow gradients."""

    optimiser: Literal["sgd", "adamw", "lars", "lamb"] = option(
        "sgd", "SGD with momentum, AdamW; for large batches LARS or LAMB"
    )
    lr: float = option(0.1, "highest learning rate", least=0)
    lr_scaling: Literal["none", "linear", "sqrt"] = option(
        "none", "how lr follows another batch_size than the recipe's; needs no lr of its own"
    )
    momentum: float = option(0.9, "of SGD and LARS", least=0, most=0.9999)
    nesterov: bool = option(True, "SGD looks ahead (Nesterov)")
    trust: float = option(
        0.001, "of LARS: length of a step over that of the weights, at rate 1", least=0, most=1
    )
    weight_decay: float = option(5e-4, "pull towards zero", least=0)
    layer_decay: float = option(
        1.0, "rate of every stage as part of the next one's, the head's being 1", least=0.01, most=1
    )
    decay_norms: bool = option(False, "weight decay on norms and biases too")
    clip: float | None = option(None, "longest gradient; longer ones are scaled down", least=1e-9)
    ema: float | None = option(
        None, "keep a moving average of the weights, e.g. 0.999", least=0, most=0.999999
    )
    accumulate: int = option(1, "compute a batch in this many pieces, for less memory", least=1)
    loss: Literal["cross-entropy", "bce"] = option(
        "cross-entropy", "bce: a yes or no for each class; always so for several classes an image"
    )
    label_smoothing: float = option(
        0.1, "share of a label spread over all classes", least=0, most=0.99
    )


@dataclass(frozen=True, kw_only=True)
class ScheduleRecipe:
    """How the learning rate moves, step by step."""

    schedule: Literal["constant", "step", "cosine", "one-cycle"] = option(
        "cosine", "shape after the warm-up"
    )
    warmup_steps: int | None = option(
        None, "steps of linear rise at the start; by default 5% of all (one-cycle: 25%)", least=0
    )
    warmup_epochs: float | None = option(
        None, "instead of warmup_steps: the same in epochs", least=0
    )
    step_at: tuple[float, ...] = option(
        (0.5, 0.75), "schedule step: at which parts of the run", least=0, most=1
    )
    step_factor: float = option(
        0.1, "schedule step: what the rate is multiplied by", least=0, most=1
    )
    final_lr: float = option(0.0, "cosine, one-cycle: last rate as part of --lr", least=0, most=1)

    def __post_init__(self):
        """Check that the warm-up is said once."""
        check_ranges(self)
        if self.warmup_steps is not None and self.warmup_epochs is not None:
            raise UserError("warmup_steps and warmup_epochs say the same thing: give one of them")


@dataclass(frozen=True, kw_only=True)
class GrowthRecipe:
    """How the network becomes deeper while it is trained."""

    grow_at: tuple[float, ...] = option(
        (), "at which parts of the run the network grows, such as 0.5", least=0.001, most=0.999
    )
    grow_to: tuple[str, ...] = option(
        (), "into which deeper networks, such as resnet56", metavar="NAME,..."
    )

    def __post_init__(self):
        """Check that the two go together."""
        check_ranges(self)
        if len(self.grow_at) != len(self.grow_to):
            raise UserError(
                f"grow_at and grow_to go together: {len(self.grow_at)} times and "
                f"{len(self.grow_to)} networks"
            )
        if any(b <= a for a, b in pairwise(self.grow_at)):
            raise UserError("grow_at must rise from growth to growth")


@dataclass(frozen=True, kw_only=True)
class DepthRecipe:
    """Which of the networks inside the whole one are trained with it."""

    any_depth: bool = option(
        False, "train the shallower networks inside as well: one file for every depth"
    )
    inner_layers: tuple[int, ...] | None = option(
        None,
        "with any_depth: their layers, such as 8,14,20; by default those with half of the blocks, "
        "a quarter, and so on",
        least=1,
    )
    taught: float = option(
        0.0,
        "with any_depth: share of the whole network's answers in what those inside are to say",
        least=0,
        most=1,
    )

    def __post_init__(self):
        """Check that the two go together."""
        check_ranges(self)
        if self.inner_layers is not None and not self.any_depth:
            raise UserError("inner_layers says which depths any_depth trains: give both")
        layers = self.inner_layers or ()
        if len(set(layers)) < len(layers):
            raise UserError(f"inner_layers names a depth twice: {', '.join(map(str, layers))}")


@dataclass(frozen=True, kw_only=True)
class TeacherRecipe:
    """From which trained networks this one learns besides the labels."""

    teacher: tuple[str, ...] = option(
        (), "learn from what these say: run or Classifier folders; several: from their mean",
        metavar="RUN,...",
    )  # fmt: skip
    teacher_weight: float = option(
        0.5, "share of the teacher's answers in the loss; the labels have the rest", least=0, most=1
    )
    teacher_temperature: float = option(
        4.0, "both answers are softened by it before they are compared", least=0.01, most=1000
    )
    teacher_features: float = option(
        0.0, "weight of finding pictures as much alike as the teacher does; 20 is usual",
        least=0, most=1e6,
    )  # fmt: skip

    def __post_init__(self):
        """Check that there is a teacher where something is said of one."""
        check_ranges(self)
        for f in fields(self):
            if not self.teacher and getattr(self, f.name) != f.default:
                raise UserError(f"{f.name} is for a run with a teacher: give --teacher as well")

    def check_balance(self, balance: BalanceRecipe) -> None:
        """Raise UserError for what the teacher's answers would undo, or leave without a part."""
        if self.teacher and balance.logit_adjust:
            raise UserError(
                "logit_adjust does not go with a teacher, who answers by how rare classes are: let "
                "the teacher learn with it"
            )
        if self.teacher_weight == 1 and (balance.class_weights or balance.focal):
            raise UserError(
                "at teacher_weight 1 the labels have no part in the loss: leave class_weights and "
                "focal out"
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run is a pure function of its recipe and data.

    Fields that are None are decided from the data and the machine before step 0 (`resolve`); the
    run folder keeps the decided ones. Raises UserError for numbers that make no sense.
    """

    model: str | None = option(
        None,
        "a name of the zoo; by default that of --weights, else resnet20 up to 64 pixels, "
        "else resnet18",
    )
    depths: tuple[int, ...] | None = option(
        None, "blocks in each stage, such as 3,4,6,3; by default the network's own", least=1
    )
    width: int | None = option(
        None, "of the layers of a fully connected network; by default 256", least=1, most=100_000
    )
    norm: Literal["batch", "group", "layer", "none"] | None = option(
        None,
        "batch or group; of a fully connected network batch, layer or none; by default the "
        "network's own",
    )
    shortcut: Shortcut | None = option(
        None,
        "A: zeros for new channels; B: 1x1 convolutions where the shape changes; C: everywhere; "
        "none: a plain network; by default the network's own",
    )
    order: Order | None = option(
        None,
        "of norm and ReLU in a block, as in He 2016, figure 4; by default the network's own",
    )
    epochs: int = option(100, "times that every training image is seen", least=1)
    batch_size: int = option(128, "images in a step, those of all ranks together", least=1)
    seed: int = option(0, "of everything that is drawn", least=0, most=2**63 - 1)
    precision: Precision = option("auto", "bf16: autocast; auto: bf16 where that is quicker")
    channels_last: bool = option(True, "memory layout of images: quicker on most hardware")
    compile: bool = option(False, "torch.compile the network; on a CPU it needs g++")
    sync_bn: bool = option(False, "batch norm over the images of all ranks, not of each rank's")
    on_nonfinite: Literal["stop", "rollback"] = option(
        "stop", "rollback: back to the epoch's start with half the rate, three times at most"
    )
    dynamics: bool = option(
        False, "keep what the network says of its training images, for resnetkit labels"
    )
    identity_start: bool = option(False, "begin with every residual block as the identity")
    drop_path: float | None = option(
        None,
        "how often the last block's branch is left out, linear rule; by default the network's own",
        least=0,
        most=0.99,
    )
    dropout: float | None = option(
        None,
        "share of the head's inputs left out; by default the network's",
        least=0,
        most=0.99,
    )
    weights: str | None = option(
        None,
        "begin with these: a file, a run or a Classifier folder, or a name of the Hugging Face Hub "
        "such as resnet50.a1_in1k",
        metavar="PATH|NAME",
    )
    freeze: str = option(
        "none", "head: train the head alone; stages:N: keep stem and N stages", metavar="PART"
    )
    unfreeze_at: float | None = option(
        None, "part of the run after which all is trained; by default never", least=0, most=1
    )
    data: DataRecipe = field(default_factory=DataRecipe)
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)
    augmentation: Augmentation = field(default_factory=Augmentation)
    growth: GrowthRecipe = field(default_factory=GrowthRecipe)
    depth: DepthRecipe = field(default_factory=DepthRecipe)
    balance: BalanceRecipe = field(default_factory=BalanceRecipe)
    teaching: TeacherRecipe = field(default_factory=TeacherRecipe)

    def __post_init__(self):
        """Check every part's ranges, and that they go together."""
        for part in (self, self.data, self.optimiser):
            check_ranges(part)
        if self.optimiser.accumulate > self.batch_size:
            raise UserError(
                f"accumulate {self.optimiser.accumulate} is more than the batch's "
                f"{self.batch_size} images"
            )
        if self.optimiser.nesterov and not self.optimiser.momentum:
            raise UserError("nesterov needs a momentum above 0; say --no-nesterov as well")
        if self.freeze != "none" and self.weights is None:
            raise UserError("--freeze keeps what --weights brings: give --weights as well")
        if self.unfreeze_at is not None and self.freeze == "none":
            raise UserError("unfreeze_at is for a run that begins with --freeze")
        mixing = {name: getattr(self.augmentation, name) for name in ("mixup", "cutmix")}
        if self.dynamics and any(mixing.values()):
            named = " and ".join(name for name, value in mixing.items() if value)
            raise UserError(f"dynamics are of single images: leave it out, or set {named} to 0")
        if self.dynamics and self.data.folds:
            raise UserError("with --folds every image is judged out of fold: leave --dynamics out")
        if self.dynamics and self.data.multi_label:
            raise UserError("dynamics are of images with one class each: leave --dynamics out")
        if self.depth.any_depth and self.growth.grow_at:
            raise UserError("a network of any depth has its depth from the start: it cannot grow")
        self.teaching.check_balance(self.balance)
        self.balance.check_task(multi_label=self.data.multi_label, loss=self.optimiser.loss)
        if self.data.channels == 2:
            raise UserError("channels must be 1 or 3, not 2")
        if self.data.fold and not self.data.folds:
            raise UserError("fold says which of the folds to hold out; say how many with --folds")
        if self.data.folds and (self.data.fold or 1) > self.data.folds:
            raise UserError(f"fold {self.data.fold} is more than the {self.data.folds} folds")

    def to_yaml(self) -> str:
        """The recipe as YAML, a comment saying what each line means."""
        lines = []
        _write(self, lines, "")
        return "\n".join(lines) + "\n"


def _write(part: Any, lines: list[str], indent: str) -> None:
    for f in fields(part):
        value = getattr(part, f.name)
        if is_dataclass(value):
            lines += ["", f"{indent}{f.name}:"]
            _write(value, lines, indent + "  ")
        else:
            lines.append(f"{indent}{f.name}: {yaml_line(to_plain(value))}  # {f.metadata['help']}")


@dataclass(frozen=True)
class Facts:
    """What the data say, from which a recipe's open settings are decided."""

    sizes: frozenset[tuple[int, int]]
    grey: bool
    multi_label: bool = False


SMALL = 64
"""Up to so many pixels images count as small: a network with a small stem, shifts for crops."""


def resolve(recipe: Recipe, facts: Facts) -> Recipe:
    """Decide what is open by fixed rules on the data.

    Precision is the machine's to decide; mean, deviation and warm-up are left to the run.
    """
    data, augmentation = recipe.data, recipe.augmentation
    size = data.image_size
    if size is None:
        one = next(iter(facts.sizes)) if len(facts.sizes) == 1 else (SMALL + 1, 0)
        size = one[0] if one[0] == one[1] <= SMALL else 128
    channels = data.channels or (1 if facts.grey else 3)
    crop = augmentation.crop or ("shift" if size <= SMALL else "resized")
    return replace(
        recipe,
        model=recipe.model or ("resnet20" if size <= SMALL else "resnet18"),
        data=replace(
            data,
            image_size=size,
            channels=channels,
            multi_label=facts.multi_label,
            center_crop=data.center_crop or 1.0,
            interpolation=data.interpolation or "bilinear",
        ),
        augmentation=replace(augmentation, crop=crop),
    )
