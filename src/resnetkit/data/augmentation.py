"""What may happen to training pictures: settings alone, part of a recipe."""

from dataclasses import dataclass
from typing import Literal

from resnetkit.config import check_ranges, option
from resnetkit.errors import UserError

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
"""How pixels are resized, in training and evaluation alike."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of training pictures, in the order of the fields."""

    crop: Literal["none", "shift", "resized", "scaled"] | None = option(
        None,
        "shift: by up to --shift pixels, the default up to 64 pixels; resized: a random box, "
        "above; scaled: a random square",
    )
    shift: int = option(2, "with crop shift: the most pixels to each side", least=0, most=1000)
    least_area: float = option(
        0.35, "with crop resized: least part of the picture's area", least=0.01, most=1
    )
    least_side: float = option(
        0.467,
        "with crop scaled: least side, as part of the picture's shorter one",
        least=0.01,
        most=1,
    )
    most_side: float = option(0.875, "with crop scaled: longest side, likewise", least=0.01, most=1)
    repeats: int = option(
        1, "show a batch's pictures so often, each time changed anew, and fewer of them", least=1
    )
    flip: bool = option(True, "mirror half of the pictures")
    alternate: bool = option(
        False, "with flip: mirror a picture in every other epoch, not by chance"
    )
    policy: Literal["none", "rand", "trivial", "auto"] = option(
        "none",
        "colours and shapes changed by Pillow's operations: RandAugment, TrivialAugment, or "
        "AutoAugment's for ImageNet",
    )
    policy_ops: int = option(2, "with policy rand: operations a picture", least=1, most=10)
    policy_magnitude: float = option(
        0.3, "with policy rand: how far they go, as part of their ranges", least=0, most=1
    )
    policy_chance: float = option(
        1.0, "with policy rand: how often each is carried out", least=0, most=1
    )
    policy_spread: float = option(
        0.0, "with policy rand: the magnitude's deviation, from picture to picture", least=0, most=1
    )
    jitter: float = option(
        0.0, "brightness, contrast and saturation changed by up to this part", least=0, most=1
    )
    lighting: float = option(
        0.0, "colours of the light changed as ImageNet's vary, this deviation; 0.1 is usual",
        least=0, most=10,
    )  # fmt: skip
    erase: float = option(0.25, "chance that a random box is made grey", least=0, most=1)
    mixup: float = option(
        0.0, "mix pictures and labels of a batch; alpha of its Beta distribution", least=0, most=100
    )
    cutmix: float = option(
        0.0,
        "put boxes of pictures into others, labels by area; alpha, as of mixup",
        least=0,
        most=100,
    )

    def __post_init__(self):
        """Check the ranges, and that they go together."""
        check_ranges(self)
        if self.least_side > self.most_side:
            raise UserError("least_side must not be above most_side")

    @property
    def cuts(self) -> bool:
        """Whether a part of each picture is cut out and resized, by who reads it."""
        return self.crop in ("resized", "scaled")

    @property
    def by_pillow(self) -> bool:
        """Whether pictures are changed by the CPU, in worker threads, before they move."""
        return self.policy != "none" or self.recolours

    @property
    def recolours(self) -> bool:
        """Whether pictures come in another light."""
        return self.jitter > 0 or self.lighting > 0
