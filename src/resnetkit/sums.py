"""SHA256SUMS: a folder's own list of what its files are, as `sha256sum --check` reads it."""

import hashlib
import re
import time
from collections.abc import Iterable
from pathlib import Path

from resnetkit.errors import UserError
from resnetkit.files import write_whole

SUMS = "SHA256SUMS"
_LOOKS, _PAUSE = 3, 0.05  # seconds between looks at a file that is being replaced


def sums_text(folder: Path, names: Iterable[str]) -> str:
    """What SHA256SUMS says of these files of a folder."""
    return "".join(sum_line(name, file_sum(folder / name)) for name in names)


def sum_line(name: str, digest: str) -> str:
    """A line of SHA256SUMS."""
    return f"{digest}  {name}\n"


def file_sum(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def check_sum(file: Path, changed: str = "is damaged or was changed", hint: str = "") -> None:
    """Compare a file with the SHA256SUMS that lies beside it.

    A file that is being replaced may be listed twice, as it was and as it will be.

    Raises:
        UserError: SHA256SUMS is not there or does not list the file, or the file has become
            another; `changed` and `hint` are the words for that.
    """
    if file_sum(file) not in require_listed(file):
        raise UserError(f"{file} {changed}: its SHA-256 is not the one in {SUMS}{hint}")


def read_listed(file: Path, changed: str) -> bytes:
    """A file's bytes, compared with its sum; in a folder without SHA256SUMS they are as they are.

    Raises:
        UserError: SHA256SUMS does not list the file, or the file has become another; `changed`
            are the words for that.
    """
    for look in range(_LOOKS):
        content = file.read_bytes()
        if not file.with_name(SUMS).exists():
            return content
        if hashlib.sha256(content).hexdigest() in require_listed(file):
            return content
        if look < _LOOKS - 1:  # a training may be replacing it this very moment
            time.sleep(_PAUSE)
    raise UserError(f"{file} {changed}: its SHA-256 is not the one in {SUMS}")


def replace_listed(file: Path, text: str) -> None:
    """Give a file other content: whenever this is cut off, SHA256SUMS lists what there is.

    The lines of other files stay as they are. Where there is no SHA256SUMS none is made.

    Raises:
        UserError: the folder cannot be read or written any more.
    """
    sums = file.with_name(SUMS)
    try:
        before = sums.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        write_whole(file, text)
        return
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None
    before = [f"{line}\n" for line in before if line]
    after = sum_line(file.name, hashlib.sha256(text.encode()).hexdigest())
    write_whole(sums, "".join([*before, after]))
    write_whole(file, text)
    others = [line for line in before if not line.endswith(f"  {file.name}\n")]
    write_whole(sums, "".join([*others, after]))


def require_listed(file: Path) -> list[str]:
    """The SHA-256 that SHA256SUMS has for a file; raises UserError when it has none."""
    listed = sums_of(file)
    if not listed:
        raise UserError(f"{file.with_name(SUMS)} is damaged or missing: no line for {file.name}")
    return listed


def sums_of(file: Path) -> list[str]:
    """The SHA-256 that the SHA256SUMS beside a file has for it; none where there is no such."""
    try:
        text = file.with_name(SUMS).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    found = (re.fullmatch(r"([0-9a-f]{64})  (.+)", line) for line in text.split("\n"))
    return [match[1] for match in found if match and match[2] == file.name]
