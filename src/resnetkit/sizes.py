"""Numbers of bytes, as people write and read them; and of pixels, how many there may be."""

from resnetkit.errors import UserError

_UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}

MOST_PIXELS_A_SIDE = 10_000


def check_side(pixels: int | None) -> None:
    """Raise UserError for an `--image-size` that cannot be meant."""
    if pixels is not None and not 1 <= pixels <= MOST_PIXELS_A_SIDE:
        raise UserError(f"--image-size must be 1 to {MOST_PIXELS_A_SIDE}, not {pixels}")


def parse_size(text: str, flag: str) -> int:
    """Bytes of a size such as 800MB or 4GB, given to a flag; raises UserError."""
    number = text.strip().upper().removesuffix("B")
    unit = number[-1:] if number[-1:] in _UNITS else ""
    try:
        size = float(number.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        size = 0.0
    if not 1 <= size < 1e18:
        raise UserError(f"{flag} must be a size such as 800MB or 4GB, not {text!r}")
    return int(size)


def gigabytes(size: float) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
