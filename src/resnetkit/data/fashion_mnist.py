"""Fashion-MNIST: found on this machine, or downloaded from its public home and checked."""

import gzip
import hashlib
import os
import struct
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import numpy as np

from resnetkit.errors import UserError
from resnetkit.files import flush

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
           "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip

HOME = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")

CHECKSUMS = {
    f"{name}-ubyte.gz": checksum
    for name, checksum in {
        "train-images-idx3": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    }.items()
}
"""SHA-256 of the four files as the data set's authors publish them."""


def cache_folder() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME/resnetkit, by default ~/.cache/resnetkit."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "resnetkit"


def find_fashion_mnist(data_dir: str | None = None) -> Path:
    """The folder with the four files.

    Looked for in `data_dir`, in $RESNETKIT_DATA, in the user's cache folder, and where Debian's
    package puts it; when nowhere, downloaded into the cache folder.

    Raises:
        UserError: `data_dir` is given and lacks the files, or the download failed.
    """
    if data_dir is not None:
        missing = _missing(Path(data_dir))
        if missing:
            raise UserError(f"--data-dir {data_dir} has no {missing[0]}")
        return Path(data_dir)
    named = os.environ.get("RESNETKIT_DATA")
    cache = cache_folder() / "fashion-mnist"
    places = [Path(named), Path(named) / "fashion-mnist"] if named else []
    for place in [*places, cache, DEBIAN]:
        if not _missing(place):
            return place
    try:
        download(HOME, cache, CHECKSUMS)
    except (OSError, zlib.error) as error:
        raise UserError(
            f"Fashion-MNIST is not on this machine and could not be downloaded from {HOME} "
            f"({_why(error)}); install Debian's package dataset-fashion-mnist, or put its four "
            f".gz files into a folder and name it with --data-dir"
        ) from error
    return cache


def _missing(folder: Path) -> list[str]:
    return [name for name in CHECKSUMS if not (folder / name).is_file()]


def _why(error: BaseException) -> str:
    return str(getattr(error, "reason", None) or error)


def download(home: str, folder: Path, checksums: dict[str, str]) -> None:
    """Fetch files into a folder: resumed where cut, checked by SHA-256, put in place by rename.

    Args:
        home: the address that the names are appended to.
        folder: made when it is not there; files already in it are kept.
        checksums: file name -> SHA-256 in hex.

    Raises:
        OSError: the server or the network failed (three tries each), or the bytes that came
            have another checksum; nothing wrong is left under a file's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, checksum in checksums.items():
        if not (folder / name).is_file():
            _fetch(f"{home}/{name}", folder / name, checksum)


def _fetch(address: str, target: Path, checksum: str, tries: int = 3) -> None:
    part = target.with_name(target.name + ".part")
    for left in reversed(range(tries)):
        try:
            _continue(address, part)
            break
        except (OSError, ValueError):
            if not left:
                raise
    found = hashlib.sha256(part.read_bytes()).hexdigest()
    if found != checksum:
        part.unlink()
        raise OSError(
            f"{target.name} came with SHA-256 {found[:12]}..., expected {checksum[:12]}..."
        )
    flush(part)
    part.replace(target)
    flush(target.parent)


def _continue(address: str, part: Path) -> None:
    """Append to `part` what is still missing of the file at `address`."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(address, headers=headers), timeout=20
        )
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing
            return
        raise
    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with answer, Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        resumed = answer.status == 206
        length = answer.headers.get("Content-Length")
        start = have if resumed else 0
        total = start + int(length) if length else None
        bar = progress.add_task(address.rsplit("/", 1)[1], total=total, completed=start)
        with part.open("ab" if resumed else "wb") as out:
            while block := answer.read(1 << 16):
                out.write(block)
                progress.advance(bar, len(block))
            have = out.tell()
    if total is not None and have < total:
        raise OSError(f"the connection was cut after {have} of {total} bytes")


def read_idx(file: Path, *, dimensions: int) -> np.ndarray:
    """An IDX file of unsigned bytes, gzipped: (n,) or (n, height, width), uint8.

    Raises:
        UserError: the file is cut, damaged or of another kind.
    """
    try:
        data = gzip.decompress(file.read_bytes())
        magic, *shape = struct.unpack_from(f">{1 + dimensions}I", data)
        if magic != 0x800 + dimensions:
            raise ValueError("it is not an IDX file of bytes")
        return np.frombuffer(data, np.uint8, offset=4 * (1 + dimensions)).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise UserError(f"{file} is damaged ({error}); remove it and try again") from None
