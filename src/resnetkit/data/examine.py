"""A look at every image of a data set before hours are spent on it."""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from resnetkit.data.decode import DAMAGE, BadImage, decode
from resnetkit.data.duplicates import SIDE, near_pairs
from resnetkit.data.sources import IMAGE_ENDINGS, Dataset, FileSource, Source
from resnetkit.data.strata import class_counts, strata
from resnetkit.data.threads import in_threads

_ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "MPO": (".jpg", ".jpeg"), "PNG": (".png",),
    "GIF": (".gif",), "WEBP": (".webp",), "TIFF": (".tif", ".tiff"), "BMP": (".bmp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """One image: what it is, and what is odd about it; `reason` says why it cannot be read."""

    format: str = ""
    mode: str = ""
    size: tuple[int, int] = (0, 0)
    odd: tuple[str, ...] = ()
    digest: bytes = b""
    thumb: np.ndarray | None = None
    tint: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Twins:
    """Images that show the same picture: exact when pixel for pixel."""

    exact: bool
    images: tuple[tuple[str, str, str], ...]

    @property
    def leaks(self) -> bool:
        """Whether they lie in different parts: one would be judged on what it was trained on."""
        return len({part for part, _, _ in self.images}) > 1

    @property
    def disagree(self) -> bool:
        """Whether they are labelled differently."""
        return len({label for _, label, _ in self.images}) > 1


@dataclass(frozen=True)
class Examination:
    """What was found in a data set.

    Attributes:
        location: the data set.
        classes: part -> class -> images.
        unreadable: (part, path, reason).
        formats, modes: how many images have each.
        sizes: (width, height) -> images.
        odd: what is odd -> paths.
        twins: groups of the same picture.
        differences: what the parts' classes differ in, a line each.
        passed_over: files and folders that are no images: why -> paths.
    """

    location: str
    classes: dict[str, dict[str, int]]
    unreadable: list[tuple[str, str, str]]
    formats: dict[str, int]
    modes: dict[str, int]
    sizes: dict[tuple[int, int], int]
    odd: dict[str, list[str]] = field(default_factory=dict)
    twins: list[Twins] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    passed_over: dict[str, list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return {
            "location": self.location,
            "classes": self.classes,
            "unreadable": [
                {"part": part, "path": path, "error": reason}
                for part, path, reason in self.unreadable
            ],
            "formats": self.formats,
            "modes": self.modes,
            "sizes": [{"width": w, "height": h, "images": n} for (w, h), n in self.sizes.items()],
            "odd": self.odd,
            "duplicates": [
                {
                    "exact": group.exact, "across_parts": group.leaks,
                    "labels_differ": group.disagree,
                    "images": [
                        {"part": part, "class": label, "path": path}
                        for part, label, path in group.images
                    ],
                }
                for group in self.twins
            ],
            "class_differences": self.differences,
            "passed_over": self.passed_over,
        }  # fmt: skip


def examine(
    dataset: Dataset, workers: int, advance: Callable[[int], None] = lambda _: None
) -> Examination:
    """Decode every image of every part once, in threads.

    Args:
        dataset: opened without asking its parts to agree on their classes.
        workers: threads.
        advance: called with the number of images done.
    """
    names = [(part, row) for part, source in dataset.parts.items() for row in range(len(source))]
    seen = in_threads(lambda at: _see(dataset.parts[at[0]], at[1]), names, workers, advance)
    good = [i for i, image in enumerate(seen) if not image.reason]
    paths = [dataset.parts[part].name(row) for part, row in names]
    counts = {
        part: dict(zip(dataset.classes, _counted(source, dataset), strict=True))
        for part, source in dataset.parts.items()
    }
    odd: dict[str, list[str]] = {}
    for i in good:
        for what in seen[i].odd:
            odd.setdefault(what, []).append(paths[i])
    return Examination(
        location=dataset.location,
        classes=counts,
        unreadable=[(names[i][0], paths[i], s.reason) for i, s in enumerate(seen) if s.reason],
        formats=dict(Counter(seen[i].format for i in good).most_common()),
        modes=dict(Counter(seen[i].mode for i in good).most_common()),
        sizes=dict(Counter(seen[i].size for i in good).most_common()),
        odd=odd,
        twins=_twins(dataset, names, paths, seen, good),
        differences=_differences(counts),
        passed_over=_passed_over(Path(dataset.location)),
    )


def _counted(source: Source, dataset: Dataset) -> list[int]:
    return [int(n) for n in class_counts(source.labels, len(dataset.classes))]


def _see(source: Source, row: int) -> Seen:
    """Decode an image, and say what it is."""
    try:
        if isinstance(source, FileSource):
            return _see_file(source.paths[row])
        pixels = source.image(row)
    except BadImage as bad:
        return Seen(reason=bad.reason)
    mode = "L" if pixels.shape[2] == 1 else "RGB"
    return _described(pixels, "array", mode, ())


def _see_file(path: str) -> Seen:
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise BadImage(path, getattr(error, "strerror", None) or str(error)) from None
    pixels = decode(data, path)
    with Image.open(io.BytesIO(data)) as header:
        kind, mode = header.format or "", header.mode
        odd = {
            "wrong ending": not path.lower().endswith(_ENDINGS.get(kind, IMAGE_ENDINGS)),
            "turned by EXIF": header.getexif().get(_ORIENTATION, 1) != 1,
            "16-bit grey": mode.startswith("I;16"),
            "transparent": header.has_transparency_data,
        }
        try:
            # a phone's MPO holds one picture in several sizes
            several = kind != "MPO" and getattr(header, "n_frames", 1) > 1
            odd["animated: its first frame counts"] = several
        except DAMAGE:
            odd["damaged after its first frame"] = True
    return _described(pixels, kind, mode, tuple(what for what, is_so in odd.items() if is_so))


def _described(pixels: np.ndarray, kind: str, mode: str, odd: tuple[str, ...]) -> Seen:
    height, width, channels = pixels.shape
    digest = hashlib.blake2b(f"{pixels.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    tint = np.asarray(small.convert("RGB")).mean(axis=(0, 1)).astype(int).tolist()
    return Seen(
        kind, mode, (width, height), odd, digest.digest(), np.asarray(small.convert("L")),
        tuple(tint),
    )  # fmt: skip


def _twins(
    dataset: Dataset,
    names: list[tuple[str, int]],
    paths: list[str],
    seen: list[Seen],
    good: list[int],
) -> list[Twins]:
    """Groups of the same picture: exact ones, then near ones among one of each exact group."""
    labels = np.concatenate([strata(source.labels) for source in dataset.parts.values()])

    def told(i: int) -> tuple[str, str, str]:
        part, row = names[i]
        return part, _label(dataset, part, row), paths[i]

    same: dict[bytes, list[int]] = {}
    for i in good:
        same.setdefault(seen[i].digest, []).append(i)
    exact = [Twins(True, tuple(map(told, group))) for group in same.values() if len(group) > 1]
    first = [group[0] for group in same.values()]
    if not first:
        return exact
    thumbs = np.stack([thumb for i in first if (thumb := seen[i].thumb) is not None])
    tints = np.array([seen[i].tint for i in first], np.uint8)
    pairs = near_pairs(thumbs, tints, labels[first])
    near = [Twins(False, tuple(told(first[i]) for i in group)) for group in joined(pairs)]
    return exact + near


def _label(dataset: Dataset, part: str, row: int) -> str:
    label = dataset.parts[part].labels[row]
    if np.ndim(label):
        return ";".join(dataset.classes[i] for i in np.flatnonzero(label))
    return dataset.classes[int(label)]


def joined(pairs: np.ndarray) -> list[list[int]]:
    """Pairs that share an image make one group."""
    group: dict[int, list[int]] = {}
    for a, b in pairs.tolist():
        one, other = group.setdefault(a, [a]), group.setdefault(b, [b])
        if one is not other:
            if len(one) < len(other):
                one, other = other, one
            one += other
            for member in other:
                group[member] = one
    return [sorted(members) for members in {id(g): g for g in group.values()}.values()]


def _differences(counts: dict[str, dict[str, int]]) -> list[str]:
    """Classes with images in one part and none in another."""
    lines = []
    for part, classes in counts.items():
        missing = [
            name for name, n in classes.items()
            if not n and any(other[name] for other in counts.values())
        ]  # fmt: skip
        if missing and sum(classes.values()):
            more = f", and {len(missing) - 8} more" if len(missing) > 8 else ""
            lines.append(f"{part} has no image of {', '.join(missing[:8])}{more}")
    return lines


def _passed_over(root: Path) -> dict[str, list[str]]:
    """What lies in a folder and is no image of it."""
    found: dict[str, list[str]] = {}
    seen = set()
    for here, folders, files in os.walk(root, followlinks=True) if root.is_dir() else ():
        real = os.path.realpath(here)
        if real in seen:
            found.setdefault("link to a folder seen already", []).append(here)
            folders.clear()
            continue
        seen.add(real)
        hidden = [name for name in (*folders, *files) if name.startswith(".")]
        other = [
            name for name in files
            if not name.startswith(".") and not name.lower().endswith(IMAGE_ENDINGS)
        ]  # fmt: skip
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for why, some in (("hidden", hidden), ("no image by its ending", other)):
            if some:
                found.setdefault(why, []).extend(f"{here}{os.sep}{name}" for name in sorted(some))
        if not folders and not files:
            found.setdefault("empty folder", []).append(here)
    return found
