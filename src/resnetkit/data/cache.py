"""Decoded images kept, in memory or on disk, within a budget: the same pixels, sooner."""

import contextlib
import hashlib
import math
import os
import shutil
import stat
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np

from resnetkit.data.decode import DECODERS
from resnetkit.data.sources import Source
from resnetkit.errors import UserError
from resnetkit.sizes import gigabytes, parse_size

_MAGIC = b"resnetkit pixels 1\n"
_SHAPE = struct.Struct("<4I")  # height, width, channels, CRC-32 of the pixels
_HEAD = len(_MAGIC) + _SHAPE.size
ENDING = ".pixels"
_UNFINISHED_AFTER = 3600  # seconds without a rename after which whoever wrote a file was killed
_NO_FOLDERS = ("", "auto", "disk", "false", "no", "none", "on", "true", "yes")


class Store(Protocol):
    """Where decoded images are kept by key.

    Attributes:
        full: whether an image has found no room.
        failed: why nothing can be written, where that is so.
        damaged: images that were found damaged.
    """

    full: bool
    failed: str
    damaged: int

    def get(self, key: str) -> np.ndarray | None:
        """What was kept under a key, uint8 (height, width, channels)."""
        ...

    def put(self, key: str, image: np.ndarray) -> None:
        """Keep an image, where there is room."""
        ...

    def told(self) -> str:
        """Where images are kept and how much there is room for, in a few words."""
        ...


class MemoryStore:
    """Images in this process's memory.

    Args:
        budget: bytes of pixels at most.
    """

    def __init__(self, budget: int):
        self.budget, self.used, self.full = budget, 0, False
        self.failed, self.damaged = "", 0
        self._images: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> np.ndarray | None:
        """What was kept under a key."""
        return self._images.get(key)

    def put(self, key: str, image: np.ndarray) -> None:
        """Keep an image, where there is room."""
        with self._lock:
            if self.used + image.nbytes > self.budget:
                self.full = True
            elif key not in self._images:
                self._images[key] = image
                self.used += image.nbytes

    def told(self) -> str:
        """Where images are kept."""
        return f"decoded images kept in memory, up to {gigabytes(self.budget)}"


class DiskStore:
    """Images in a folder, a file each, for this run and later ones.

    A file's pixels are checked when they are read for the first time; what is damaged or of
    another version is passed over and written anew. When the disk is full nothing more is written.

    Args:
        folder: others may use it at the same time; it is made for the first image.
        budget: bytes of files at most; the oldest go when there are more at the start. None: half
            of what the disk would have free without them.
        sharers: processes that begin to fill the folder at the same time.
    """

    def __init__(self, folder: str | Path, budget: int | None, sharers: int = 1):
        self.folder, self.full = Path(folder), False
        self.damaged, self.failed = 0, ""
        self._checked: set[str] = set()
        self._lock = threading.Lock()
        files = self._files()
        held = sum(size for _, size, _ in files)
        if budget is None:
            budget = (held + shutil.disk_usage(_place(self.folder)).free) // 2
        self.budget, self.used = budget, _oldest_removed(files, held, budget)
        self.own_limit = self.used + (budget - self.used) // sharers

    def get(self, key: str) -> np.ndarray | None:
        """What was kept under a key; None where there is nothing, or nothing whole."""
        try:
            descriptor = os.open(self._file(key), os.O_RDONLY | os.O_NONBLOCK)  # a pipe would hang
            with os.fdopen(descriptor, "rb") as file:
                data = np.fromfile(file, np.uint8)
        except OSError:
            return None
        head, pixels = data[:_HEAD].tobytes(), data[_HEAD:]
        if len(head) == _HEAD and head.startswith(_MAGIC):
            *shape, total = _SHAPE.unpack_from(head, len(_MAGIC))
            if 0 < pixels.size == math.prod(shape) and self._whole(key, shape, pixels, total):
                return pixels.reshape(shape)
        with self._lock:
            self.damaged += 1
        return None

    def put(self, key: str, image: np.ndarray) -> None:
        """Write an image beside its place and rename it, where there is room."""
        size = _HEAD + image.nbytes
        with self._lock:
            if self.failed or self.used + size > self.own_limit:
                self.full = True
                return
            self.used += size
        file = self._file(key)
        beside = file.with_suffix(f".{uuid.uuid4().hex}")
        head = _MAGIC + _SHAPE.pack(*image.shape, _checksum(image.shape, image))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(head + image.tobytes())
            beside.replace(file)
        except OSError as error:
            self.failed, self.full = error.strerror or str(error), True
            with contextlib.suppress(OSError):
                beside.unlink()

    def told(self) -> str:
        """Where images are kept."""
        return f"decoded images kept in {self.folder}, up to {gigabytes(self.budget)}"

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / (key + ENDING)

    def _whole(self, key: str, shape: list[int], pixels: np.ndarray, total: int) -> bool:
        if key not in self._checked and _checksum(shape, pixels) != total:
            return False
        self._checked.add(key)
        return True

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time, bytes and path of every image; what killed writers left is removed."""
        files, killed = [], time.time() - _UNFINISHED_AFTER
        for entry in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):
                state = entry.lstat()
                if not stat.S_ISREG(state.st_mode):
                    continue
                if entry.suffix == ENDING:
                    files.append((state.st_mtime_ns, state.st_size, entry))
                elif len(entry.suffix) == 33 and state.st_mtime < killed:
                    entry.unlink()
        return files


def _oldest_removed(files: list[tuple[int, int, Path]], held: int, budget: int) -> int:
    """Bytes that stay: the oldest files go until they are within the budget.

    Others may do the same at this moment, and a file that cannot be removed stays.
    """
    for _, size, entry in sorted(files):
        if held <= budget:
            break
        with contextlib.suppress(OSError):
            entry.unlink(missing_ok=True)
            held -= size
    return held


def check_store(cache: str, size: str | None) -> None:
    """Raise UserError for a cache that cannot be meant."""
    if size is not None:
        parse_size(size, "--cache-size")
        if cache == "off":
            raise UserError("--cache-size is for a cache: leave it out, or --cache off")
    if cache.lower() in _NO_FOLDERS:
        raise UserError(f"--cache is memory, off, or a folder such as ./kept, not {cache!r}")


def check_folder(cache: str, data: str) -> None:
    """Find out early whether a cache can be kept in a folder; leaves nothing behind.

    Raises:
        UserError: it cannot be made, or lies in the data: its folders would be classes of a later
            run.
    """
    if cache in ("off", "memory"):
        return
    folder = Path(cache)
    try:
        if Path(data).is_dir() and folder.resolve().is_relative_to(Path(data).resolve()):
            raise UserError(f"--cache {cache} lies in {data}: choose a folder outside the data")
        place = _place(folder)
        if not place.is_dir():
            raise UserError(f"--cache {cache}: {place} is no folder")
    except OSError as error:
        raise UserError(f"--cache {cache}: {error.strerror}") from None
    there = place == folder  # even read-only it is of use, where others have filled it
    if not there and not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"--cache {cache}: {place} cannot be written")


def _place(folder: Path) -> Path:
    """The folder itself, or what there is of the way to it."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def open_store(
    cache: str, size: str | None, available: Callable[[], int], sharers: int = 1
) -> Store | None:
    """The store that `--cache` and `--cache-size` ask for.

    Args:
        cache: `off`, `memory`, or a folder.
        size: the budget of all sharers together, such as 4GB; by default half of what is
            available, or of what the folder's disk has free.
        available: tells the bytes of memory that a sharer can have.
        sharers: processes of this machine that keep images at the same time.
    """
    budget = None if size is None else parse_size(size, "--cache-size")
    if cache == "off":
        return None
    if cache != "memory":
        return DiskStore(cache, budget, sharers)
    return MemoryStore(max(0, available() // 2) if budget is None else budget // sharers)


def _checksum(shape: Sequence[int], pixels: np.ndarray) -> int:
    """CRC-32 of an image's shape and pixels."""
    return zlib.crc32(pixels.tobytes(), zlib.crc32(repr([*shape]).encode()))


class Cached:
    """A source of image files whose decoded images are kept.

    Args:
        source: named by the files' paths.
        store: where images are kept.
    """

    def __init__(self, source: Source, store: Store):
        self.source, self.store, self.labels = source, store, source.labels
        self._keys: dict[tuple, str] = {}
        self._decoders = [version(name) for name in DECODERS]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.source)

    def name(self, index: int) -> str:
        """The file's path."""
        return self.source.name(index)

    def image(
        self, index: int, channels: int | None = None, least_side: int | None = None
    ) -> np.ndarray:
        """The image as the source decodes it; raises BadImage."""
        key = self._key(index, channels, least_side)
        image = self.store.get(key) if key else None
        if image is None:
            image = self.source.image(index, channels, least_side)
            if key:
                self.store.put(key, image)
        return image

    def _key(self, index: int, channels: int | None, least_side: int | None) -> str:
        """A digest of the file, its size and time, how and by what it is decoded; empty without."""
        asked = (index, channels, least_side)
        if asked not in self._keys:
            path = os.path.realpath(self.source.name(index))
            try:
                state = Path(path).stat()
            except (OSError, ValueError):
                return ""
            times = (state.st_mtime_ns, state.st_ctime_ns)  # an archive may bring the old mtime
            what = (path, state.st_size, *times, channels, least_side, self._decoders)
            self._keys[asked] = hashlib.sha1(
                repr(what).encode(errors="surrogateescape"), usedforsecurity=False
            ).hexdigest()
        return self._keys[asked]
