"""What a first look at image files has found, remembered: a second start need not decode them.

It is kept in the user's cache folder, a file a data set, by path, size and time of every image.
What is damaged or cannot be written there is passed over: then images are looked at once more.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from resnetkit.data.decode import BadImage, decode
from resnetkit.data.fashion_mnist import cache_folder
from resnetkit.data.threads import in_threads
from resnetkit.errors import UserError
from resnetkit.files import write_arrays

_FORMAT = "1"
_NOT_THERE = -1


@dataclass(frozen=True)
class Looks:
    """A row a file, in the order of the paths.

    Attributes:
        sizes, times: bytes, and nanoseconds of the last change; -1 where there is no such file.
        sums: CRC-32 of the bytes.
        shapes: (files, 3): height, width, channels; 0 where it cannot be read.
        reasons: row -> why it cannot be read.
    """

    sizes: np.ndarray
    times: np.ndarray
    sums: np.ndarray
    shapes: np.ndarray
    reasons: dict[int, str]


def look_at(
    paths: Sequence[str], workers: int, advance: Callable[[int], None] = lambda _: None
) -> Looks:
    """Decode every image file once, in threads, or remember what it was.

    Args:
        paths: the files.
        workers: threads.
        advance: called with the number of files done.
    """
    looks = _unknown(paths)
    place = _place(paths)
    new = np.flatnonzero(~_remember(place, paths, looks))
    advance(len(paths) - len(new))
    found = in_threads(_look, [paths[row] for row in new], workers, advance)
    for row, (total, shape, reason) in zip(new.tolist(), found, strict=True):
        looks.sums[row], looks.shapes[row] = total, shape
        if reason:
            looks.reasons[row] = reason
    if found:
        _keep(place, paths, looks)
    return looks


def _unknown(paths: Sequence[str]) -> Looks:
    """Sizes and times of the files, and nothing known of what is in them."""
    states = np.full((2, len(paths)), _NOT_THERE, np.int64)
    for row, path in enumerate(paths):
        try:
            state = os.stat(path)  # noqa: PTH116 (1.8 us a file, Path 4.6)
            states[:, row] = state.st_size, state.st_mtime_ns
        except (OSError, ValueError):
            continue
    sums, shapes = np.zeros(len(paths), np.int64), np.zeros((len(paths), 3), np.int64)
    return Looks(states[0], states[1], sums, shapes, {})


def _look(path: str) -> tuple[int, tuple[int, ...], str]:
    """CRC-32 and shape of an image file, or why it cannot be read."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        return 0, (0, 0, 0), getattr(error, "strerror", None) or str(error)
    try:
        return zlib.crc32(data), decode(data, path).shape, ""
    except BadImage as bad:
        return zlib.crc32(data), (0, 0, 0), bad.reason


def _folders(paths: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The folder that all files have in common, and every file's folder by its name from there."""
    folders = set(map(os.path.dirname, paths))
    whole = {folder: os.path.normpath(Path(folder).absolute()) for folder in folders}
    home = os.path.commonpath(whole.values()) if whole else ""
    return home, {folder: full[len(home) :] for folder, full in whole.items()}


def _place(paths: Sequence[str]) -> Path:
    """Where the looks at a data set are kept: by its folder, and by the versions that decode."""
    home, _ = _folders(paths)
    decoders = [f"{name} {version(name)}" for name in ("pillow", "simplejpeg")]
    key = "\0".join([_FORMAT, *decoders, home])
    name = hashlib.sha256(os.fsencode(key)).hexdigest()[:24]
    return cache_folder() / "looks" / f"{name}.npz"


def _kept(place: Path) -> tuple[list[bytes], np.ndarray, dict[int, str]]:
    """Names, numbers (a row each: size, time, sum, shape) and reasons that were written down."""
    try:
        with np.load(place, allow_pickle=False) as kept:
            names = kept["names"].tobytes().split(b"\0")
            numbers = kept["numbers"]
            reasons = {int(row): why for row, why in json.loads(kept["reasons"].tobytes()).items()}
        if numbers.shape == (len(names), 6):
            return names, numbers, reasons
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        pass
    return [], np.empty((0, 6), np.int64), {}


def _remember(place: Path, paths: Sequence[str], looks: Looks) -> np.ndarray:
    """Fill in what is known of unchanged files; returns for which ones it is."""
    known = np.zeros(len(paths), bool)
    names, numbers, reasons = _kept(place)
    rows = {name: row for row, name in enumerate(names)}
    where = np.array([rows.get(os.fsencode(path), _NOT_THERE) for path in paths], np.int64)
    found = np.flatnonzero(where >= 0)
    old = numbers[where[found]]
    same = (old[:, 0] == looks.sizes[found]) & (old[:, 1] == looks.times[found])
    found, old, where = found[same], old[same], where[found][same]
    looks.sums[found], looks.shapes[found] = old[:, 2], old[:, 3:]
    known[found] = looks.sizes[found] >= 0
    for row, before in zip(found.tolist(), where.tolist(), strict=True):
        if before in reasons:
            looks.reasons[row] = reasons[before]
    return known


def _keep(place: Path, paths: Sequence[str], looks: Looks) -> None:
    """Write down what was found; where that cannot be, it is found again next time.

    What is kept of other files stays while they are there: the parts that a CSV names may lie in
    one folder.
    """
    names = [os.fsencode(path) for path in paths]
    mine, (before, old, why) = set(names), _kept(place)
    others = (i for i, name in enumerate(before) if name not in mine)
    stay = [i for i in others if Path(os.fsdecode(before[i])).exists()]
    numbers = np.column_stack([looks.sizes, looks.times, looks.sums, looks.shapes])
    kept = {len(names) + at: why[i] for at, i in enumerate(stay) if i in why}
    names, numbers = names + [before[i] for i in stay], np.concatenate([numbers, old[stay]])
    reasons = json.dumps(looks.reasons | kept).encode()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        bytes_of = {"names": b"\0".join(names), "reasons": reasons}
        arrays = {name: np.frombuffer(text, np.uint8) for name, text in bytes_of.items()}
        write_arrays(place, arrays | {"numbers": numbers})
    except (OSError, UserError):
        return


def digest(paths: Sequence[str], looks: Looks) -> bytes:
    """What the files are, whatever their times: names from their common folder on, and contents."""
    total = hashlib.sha256()
    _, folders = _folders(paths)
    for path, size, crc in zip(paths, looks.sizes.tolist(), looks.sums.tolist(), strict=True):
        folder, name = os.path.split(path)
        total.update(os.fsencode(f"{folders[folder]}/{name}\0{size} {crc}\0"))
    return total.digest()
