"""The one preprocessing: data that is saved with the network and used wherever it runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from resnetkit.config import check_ranges, option
from resnetkit.data.augmentation import Interpolation
from resnetkit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Transform:
    """Resize the shorter side, crop the centre, normalise.

    The geometry works on one uint8 image at a time; normalising, on a whole batch on the device.
    """

    size: int = option(224, "side of the square that the network sees, in pixels", least=1)
    crop: float = option(
        1.0, "part of the shorter side that the centre crop keeps", least=0.01, most=1
    )
    interpolation: Interpolation = option("bilinear", "how pixels are resized, antialiased")
    channels: int = option(3, "1 for grey, 3 for RGB", least=1)
    mean: tuple[float, ...] = option((0.485, 0.456, 0.406), "a channel's mean, pixels in 0..1")
    std: tuple[float, ...] = option((0.229, 0.224, 0.225), "a channel's deviation", least=1e-6)
    mirror: bool = option(False, "show the network each picture and its mirror image")

    def __post_init__(self):
        """Check that the values belong together."""
        check_ranges(self)
        if self.channels not in (1, 3):
            raise UserError(f"channels must be 1 or 3, not {self.channels}")
        if not len(self.mean) == len(self.std) == self.channels:
            raise UserError(f"mean and std must have {self.channels} numbers, a number a channel")

    @property
    def least_side(self) -> int:
        """Pixels of a picture's shorter side that evaluation wants: twice what the crop keeps."""
        return math.ceil(2 * self.size / self.crop)

    def image(self, image: np.ndarray) -> np.ndarray:
        """uint8 (height, width, channels) -> uint8 (size, size, channels): the picture's centre."""
        height, width = image.shape[:2]
        side = min(height, width) * self.crop
        left, top = (width - side) / 2, (height - side) / 2
        return self.resize(image, (left, top, left + side, top + side))

    def resize(self, image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
        """A box (left, top, right, bottom) of a uint8 image -> uint8 (size, size, channels)."""
        height, width = image.shape[:2]
        if box == (0, 0, width, height) and height == width == self.size:
            return image
        grey = image.shape[2] == 1
        pillow = Image.fromarray(image[:, :, 0] if grey else image)
        how = Image.Resampling[self.interpolation.upper()]
        pixels = np.asarray(pillow.resize((self.size, self.size), how, box=box))
        return pixels[:, :, None] if grey else pixels

    def cut(
        self, image: np.ndarray, box: tuple[int, int, int, int], *, mirrored: bool = False
    ) -> np.ndarray:
        """A box (left, top, right, bottom) of whole pixels, cut out and then resized, for training.

        As `resize`, but pixels outside the box have no part in it, and several times as quick:
        torch's antialiased bilinear resizing of bytes is within one level of Pillow's.
        """
        left, top, right, bottom = box
        part = image[top:bottom, left:right]
        if part.shape[:2] == (self.size, self.size):
            return part[:, ::-1] if mirrored else part
        if self.interpolation not in ("bilinear", "bicubic"):
            resized = self.resize(part, (0, 0, right - left, bottom - top))
            return resized[:, ::-1] if mirrored else resized
        height, width, channels = part.shape
        if not part.flags.writeable or part.strides[1:] != (channels, 1):
            part = part.copy()
        tensor = torch.from_numpy(part)
        rows = tensor.stride(0)  # of one picture torch has to be told that it is channels-last
        batch = tensor.as_strided(
            (1, channels, height, width), (height * rows, 1, rows, channels)
        )  # fmt: skip
        resized = functional.interpolate(
            batch, (self.size, self.size), mode=self.interpolation, antialias=True
        )
        pixels = resized[0].permute(1, 2, 0)
        return (pixels.flip(1) if mirrored else pixels).numpy()

    def features(
        self, batch: torch.Tensor, of: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """What a network makes of a batch of bytes, float32 (N, features).

        Where the transform says so it is the mean over each picture and its mirror image, and so
        are the logits, since the head is linear.

        Args:
            batch: uint8 (N, size, size, channels), on the network's device.
            of: float (N, channels, size, size) -> (N, features).
        """
        batch = self.normalise(batch)
        found = of(batch).float()
        return (found + of(batch.flip(3)).float()) / 2 if self.mirror else found

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, size, size, channels) -> float32 (N, channels, size, size), channels last."""
        mean, scale = _constants(self.mean, self.std, batch.device)
        # NHWC bytes seen as NCHW are channels-last already: nothing is copied around.
        return ((batch.float() - mean) * scale).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and inverse deviation of bytes, sent to the device once: sending waits for it."""
    with torch.inference_mode(mode=False):
        return (
            torch.tensor(mean, device=device) * 255,
            1 / (torch.tensor(std, device=device) * 255),
        )
