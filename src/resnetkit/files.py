"""Nothing half-written is ever read: write beside, flush to disk, rename, flush the folder."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from resnetkit.errors import UserError

if TYPE_CHECKING:
    import numpy as np

UNFINISHED = ".unfinished-"
"""How the names of files and folders begin that are still being written."""


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, or a crash at any moment, finds the old one or the new one.

    Raises UserError when the disk is full, or the place cannot be written.
    """
    try:
        with whole_file(path) as beside:
            beside.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


@contextlib.contextmanager
def whole_file(path: Path) -> Generator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends well."""
    beside = path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")
    try:
        yield beside
        beside.chmod(0o666 & ~_umask())
        flush(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    flush(path.parent)


def write_arrays(path: Path, arrays: Mapping[str, "np.ndarray"]) -> None:
    """Write an .npz file, whole; raises UserError where it cannot be written."""
    import numpy as np  # a command's --help does not wait for it

    try:
        with whole_file(path) as beside, beside.open("wb") as out:
            np.savez(out, **arrays)  # ty: ignore[invalid-argument-type]
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


@contextlib.contextmanager
def whole_folder(path: Path) -> Generator[Path]:
    """A folder beside `path` to fill; it becomes `path` by a rename when the block ends well.

    Raises UserError when `path` exists already, its parent cannot be written, or the disk is full.
    """
    if path.exists() or path.is_symlink():
        raise UserError(f"{path} exists already; choose another name or remove it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{path.name}-", dir=path.parent))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    try:
        beside.chmod(0o777 & ~_umask())
        yield beside
        for file in beside.rglob("*"):
            if file.is_file():
                file.chmod(0o666 & ~_umask())
            flush(file)
        flush(beside)
        beside.rename(path)
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, OSError) and str(error.filename or beside).startswith(str(beside)):
            raise UserError(f"cannot write {path}: {error.strerror or error}") from error
        raise
    flush(path.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder with what is in it: gone at once by a rename, then piece by piece."""
    doomed = folder.with_name(f"{UNFINISHED}{folder.name}")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers have left in a folder."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def flush(path: Path) -> None:
    """Make sure that a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_can_create(path: Path, *, may_exist: bool = False) -> None:
    """Find out early whether a folder can be made at `path`; leaves nothing behind.

    Raises:
        UserError: it exists already, or its place cannot be written.
    """
    if not may_exist and (path.exists() or path.is_symlink()):
        raise UserError(f"{path} exists already; choose another name or remove it")
    place = path
    while not place.exists():
        place = place.parent
    try:
        Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=place)).rmdir()
    except OSError as error:
        raise UserError(f"cannot write {path}: {place}: {error.strerror}") from None


PICTURE_ENDINGS = (".png", ".svg", ".pdf")


def check_can_draw(path: Path) -> None:
    """Find out early whether a picture can be drawn into a file.

    Raises:
        UserError: its name ends otherwise than pictures do, or its place is not there.
    """
    if path.suffix.lower() not in PICTURE_ENDINGS:
        raise UserError(f"cannot draw {path}: its name must end in {', '.join(PICTURE_ENDINGS)}")
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise UserError(f"cannot write {path}: no folder {path.parent}")
