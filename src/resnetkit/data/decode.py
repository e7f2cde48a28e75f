"""Bytes -> image, safely: a size limit before decoding, and damage is named, never guessed over."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from resnetkit.errors import UserError

DECODERS = ("pillow", "simplejpeg")
"""Packages of which another version may give other pixels."""

MOST_PIXELS = 100_000_000
"""Images whose header announces more pixels are refused before any of them is decoded."""

_ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held


DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, MemoryError, TypeError, KeyError, IndexError,
    ZeroDivisionError, OverflowError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""What decoders raise at damaged bytes."""


class BadImage(UserError):
    """An image that cannot be read: where it is, and why."""

    def __init__(self, path: str, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


def decode(
    data: bytes, path: str, channels: int | None = None, least_side: int | None = None
) -> np.ndarray:
    """Decode an image file.

    EXIF rotation is applied; transparent pixels are laid on white; 16-bit grey is divided by
    257; of an animation the first frame is taken. A JPEG that is damaged in the middle is
    refused, where Pillow would return a picture without a word.

    Args:
        data: the file's bytes, in any format that Pillow reads.
        path: the name for error messages.
        channels: 1 for grey (ITU-R 601 luma), 3 for RGB; None keeps what the file has.
        least_side: a JPEG may come at a half, a quarter or an eighth of its size, which its
            blocks give almost for nothing, as long as its shorter side keeps so many pixels.

    Returns:
        uint8, shape (height, width, 1 or 3).

    Raises:
        BadImage: not an image, damaged, or larger than MOST_PIXELS.
    """
    if not data:
        raise BadImage(path, "the file is empty")
    try:
        pixels = _plain_jpeg(data, path, least_side)
        if pixels is not None:
            return _with_channels(pixels, channels)
        with Image.open(io.BytesIO(data)) as image:
            _check_size(image.size, path)
            if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB", "CMYK"):
                pixels = _decode_jpeg(data, image, _reduction(image.size, least_side))
            else:
                pixels = np.array(ImageOps.exif_transpose(_simple_mode(image, path)))
    except BadImage:
        raise
    except DAMAGE as error:
        raise BadImage(path, _reason(error)) from None
    return _with_channels(pixels, channels)


def _check_size(size: tuple[int, int], path: str) -> None:
    width, height = size
    if width * height > MOST_PIXELS:
        megapixels = width * height / 1e6
        limit = MOST_PIXELS / 1e6
        raise BadImage(path, f"{width} x {height} is {megapixels:.0f} megapixels, over {limit:.0f}")


REDUCTIONS = (8, 4, 2)
"""By which a JPEG is decoded smaller: its blocks have 8 x 8 pixels."""


def _reduction(size: tuple[int, int], least_side: int | None) -> int:
    """The largest reduction that leaves the shorter side `least_side` pixels, else 1."""
    if least_side is None:
        return 1
    return next((by for by in REDUCTIONS if -(-min(size) // by) >= least_side), 1)


_PLAIN = {"YCbCr": "RGB", "RGB": "RGB", "Gray": "GRAY"}


def _plain_jpeg(data: bytes, path: str, least_side: int | None) -> np.ndarray | None:
    """A JPEG in grey or colours that nothing turns; None for all others, which take longer."""
    if not data.startswith(b"\xff\xd8") or b"Exif\0" in data or b"Orientation" in data:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None  # Pillow says better what is wrong
    if colours not in _PLAIN:
        return None
    size = (int(width), int(height))
    _check_size(size, path)
    return _libjpeg(data, _PLAIN[colours], size, _reduction(size, least_side))


def _libjpeg(data: bytes, colours: str, size: tuple[int, int], by: int) -> np.ndarray:
    """libjpeg-turbo by simplejpeg: quicker than Pillow, and strict about damage."""
    width, height = (-(-side // by) for side in size)
    return simplejpeg.decode_jpeg(
        data, colours, min_height=height, min_width=width, min_factor=by, strict=True
    )


def _decode_jpeg(data: bytes, image: Image.Image, by: int) -> np.ndarray:
    """Any JPEG, turned as its EXIF data say."""
    colours = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}[image.mode]
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    if image.mode == "CMYK":
        simplejpeg.decode_jpeg(data, colorspace=colours, strict=True)
        pixels = np.array(image.convert("RGB"))
    else:
        pixels = _libjpeg(data, colours, image.size, by)
    return turn(pixels) if turn else pixels


_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""What the EXIF orientation asks for: mirrored or turned, (height, width, channels) each."""


def _simple_mode(image: Image.Image, path: str) -> Image.Image:
    """The first frame as L or RGB, its EXIF data kept for the rotation."""
    image.load()
    exif = image.getexif()
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint32)
        plain = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise BadImage(
            path, f"pixels of mode {image.mode} have no known range; save as 8 or 16 bit"
        )
    elif image.has_transparency_data:
        seen = image.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        plain = Image.alpha_composite(white, seen)
        plain = plain.convert("L" if image.mode in ("L", "LA", "La") else "RGB")
    else:
        plain = image.convert("L" if image.mode in ("1", "L") else "RGB")
    plain.getexif().update(exif)
    return plain


def _with_channels(pixels: np.ndarray, channels: int | None) -> np.ndarray:
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if channels in (None, pixels.shape[2]):
        return np.ascontiguousarray(pixels)
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return np.array(Image.fromarray(pixels).convert("L"))[:, :, None]


def _reason(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    if "cannot identify image file" in text:
        return "not an image that can be read"
    return text
