"""Where labelled images come from: index -> image and label. Files, CSV lists, arrays."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from resnetkit.data.csv_list import Row, read_rows
from resnetkit.data.decode import BadImage, decode
from resnetkit.data.fashion_mnist import CLASSES, find_fashion_mnist, read_idx
from resnetkit.data.strata import Task, multi_hot, task_of
from resnetkit.errors import UserError, nearest

IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp",
    ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
FASHION_MNIST = "fashion-mnist"
_FOLDER_NAMES = {"train": ["train", "training"], "val": ["val", "valid", "validation"],
                 "test": ["test"]}  # fmt: skip


class Source(Protocol):
    """Labelled images by index.

    Labels are positions in the data set's list of classes, int64 (images,); where an image may
    have several classes they are uint8 (images, classes), 1 for each that it has.
    """

    labels: np.ndarray

    def __len__(self) -> int:
        """The number of images."""
        ...

    def name(self, index: int) -> str:
        """Where an image is, for people: a path, or a place in a file."""
        ...

    def image(
        self, index: int, channels: int | None = None, least_side: int | None = None
    ) -> np.ndarray:
        """An image: uint8, (height, width, channels); raises BadImage.

        It may come smaller than it is, its shorter side at least `least_side` pixels.
        """
        ...


class ArraySource:
    """Images in memory, all of one size: uint8, (images, height, width, channels)."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, name: str):
        self.images, self.labels, self._name = images, labels.astype(np.int64), name

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def name(self, index: int) -> str:
        """The array's name and the place in it."""
        return f"{self._name}[{index}]"

    def image(
        self, index: int, channels: int | None = None, least_side: int | None = None
    ) -> np.ndarray:
        """The image, grey repeated or RGB mixed (ITU-R 601) where other channels are asked for."""
        del least_side  # it is at hand as it is
        image = self.images[index]
        if channels is None or channels == image.shape[2]:
            return image
        if image.shape[2] == 1:
            return np.repeat(image, channels, axis=2)
        luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        return luma.round().astype(np.uint8)[:, :, None]


class FileSource:
    """Image files, read and decoded when asked for."""

    def __init__(self, paths: Sequence[str | Path], labels: np.ndarray | None = None):
        self.paths = [str(path) for path in paths]
        self.labels = np.full(len(paths), -1) if labels is None else labels

    def __len__(self) -> int:
        """The number of files."""
        return len(self.paths)

    def name(self, index: int) -> str:
        """The file's path."""
        return self.paths[index]

    def image(
        self, index: int, channels: int | None = None, least_side: int | None = None
    ) -> np.ndarray:
        """The file decoded; raises BadImage."""
        path = self.paths[index]
        try:
            data = Path(path).read_bytes()
        except (OSError, ValueError) as error:
            raise BadImage(path, getattr(error, "strerror", None) or str(error)) from None
        return decode(data, path, channels, least_side)


class Subset:
    """Some images of another source, in the order given."""

    def __init__(self, source: Source, chosen: np.ndarray):
        self.source, self.chosen = source, chosen
        self.labels = source.labels[chosen]

    def __len__(self) -> int:
        """The number of images chosen."""
        return len(self.chosen)

    def name(self, index: int) -> str:
        """The name that the other source has for it."""
        return self.source.name(self.chosen[index])

    def image(
        self, index: int, channels: int | None = None, least_side: int | None = None
    ) -> np.ndarray:
        """The image from the other source; raises BadImage."""
        return self.source.image(self.chosen[index], channels, least_side)


def places_of(source: Source, whole: Source) -> np.ndarray:
    """Where the images of a subset lie in the whole that it was taken from."""
    place = np.arange(len(source))
    while source is not whole and isinstance(source, Subset):
        place, source = source.chosen[place], source.source
    return place


def array_of(source: Source) -> np.ndarray | None:
    """All images of a source as one array, where they are in memory as such."""
    if isinstance(source, Subset):
        found = array_of(source.source)
        return None if found is None else found[source.chosen]
    return source.images if isinstance(source, ArraySource) else None


@dataclass(frozen=True)
class Dataset:
    """Named classes and up to three parts of images.

    Attributes:
        name: short, for file names.
        location: what was opened, so that it is known again: a path, or a data set's name.
        classes: names in sorted order (a fixed data set: in its own order).
        parts: `train`, `val`, `test`; a flat folder or a CSV without parts is all `train`.
    """

    name: str
    location: str
    classes: tuple[str, ...]
    parts: dict[str, Source]

    @property
    def task(self) -> Task:
        """Whether an image has one class or any number of them."""
        return task_of(next(iter(self.parts.values())).labels)


def open_dataset(
    data: str, data_dir: str | None = None, *, multi_label: bool = False, agree: bool = True
) -> Dataset:
    """Open `fashion-mnist`, a folder with a subfolder a class, or a CSV `path,label[,part]`.

    Args:
        data: the word or the path.
        data_dir: where the files of `fashion-mnist` are; by default it is looked for.
        multi_label: every image may have several classes, or none. A CSV is opened so by itself
            when any of its labels holds a `;`.
        agree: parts must have the same classes; otherwise the classes are those of any part.

    Raises:
        UserError: there is no such thing, or it holds no classes or no images.
    """
    dataset = _open(data, data_dir, multi_label, agree)
    if multi_label and dataset.task == "single-label":
        for source in dataset.parts.values():
            source.labels = multi_hot(source.labels, len(dataset.classes))
    return dataset


def _open(data: str, data_dir: str | None, multi_label: bool, agree: bool) -> Dataset:
    path = Path(data)
    if data == FASHION_MNIST:
        return _fashion_mnist(find_fashion_mnist(data_dir))
    if not path.exists():
        hint = "give fashion-mnist, a folder with one subfolder a class, or a CSV of path,label"
        if "/" not in data and nearest(data, [FASHION_MNIST]).startswith("did"):
            hint = "did you mean fashion-mnist?"
        raise UserError(f"no such file or folder: {data}; {hint}")
    if path.is_dir():
        return _folder(path, agree)
    if path.suffix.lower() not in (".csv", ".txt"):
        raise UserError(f"{data} is neither a folder nor a CSV of path,label")
    return _csv(path, multi_label, agree)


def locate(data: str) -> str:
    """The same data set by a name that holds from any folder: an absolute path, or the word."""
    if data == FASHION_MNIST or not Path(data).exists():
        return data
    return os.path.normpath(Path(data).absolute())  # links stay links


def _fashion_mnist(folder: Path) -> Dataset:
    """Fashion-MNIST (Xiao 2017, arXiv 1708.07747): 60,000 + 10,000 grey images of 28 x 28."""
    parts: dict[str, Source] = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        images = read_idx(folder / f"{stem}-images-idx3-ubyte.gz", dimensions=3)
        labels = read_idx(folder / f"{stem}-labels-idx1-ubyte.gz", dimensions=1)
        if len(images) != len(labels) or labels.max(initial=0) >= len(CLASSES):
            raise UserError(f"{folder}: images and labels of {stem} do not belong together")
        parts[part] = ArraySource(images[..., None], labels, f"fashion-mnist/{part}")
    return Dataset(FASHION_MNIST, FASHION_MNIST, CLASSES, parts)


def _folder(root: Path, agree: bool) -> Dataset:
    """A folder with a subfolder a class, or with `train/`, `val/`, `test/` of such."""
    found: dict[str, Path] = {}
    for part, names in _FOLDER_NAMES.items():
        named = [root / name for name in names if _class_folders(root / name)]
        if len(named) > 1:
            raise UserError(f"{root}: both {named[0].name}/ and {named[1].name}/; keep one of them")
        if named:
            found[part] = named[0]
    flat = not found or not ("train" in found or set(_class_folders(root)) <= set(_part_names()))
    folders = {"train": root} if flat else found
    classes = {part: _class_folders(folder) for part, folder in folders.items()}
    by_part = {part: set(names) for part, names in classes.items()}
    names = _agreed_classes(root, by_part) if agree else _all_classes(by_part)
    parts: dict[str, Source] = {}
    for part, folder in folders.items():
        paths, labels = [], []
        for label, name in enumerate(names):
            here = images_under(folder / name)
            paths += here
            labels += [label] * len(here)
        parts[part] = FileSource(paths, np.array(labels, np.int64))
    if not any(len(part) for part in parts.values()):
        raise UserError(f"{root}: no images in its subfolders ({', '.join(names[:5])})")
    return Dataset(root.resolve().name, locate(str(root)), names, parts)


def _part_names() -> list[str]:
    return [name for names in _FOLDER_NAMES.values() for name in names]


def _class_folders(folder: Path) -> list[str]:
    """Names of the subfolders; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _agreed_classes(where: Path, parts: dict[str, set[str]]) -> tuple[str, ...]:
    """The class names that all parts have; a part with others is an error that names them."""
    first = next(iter(parts))
    for part, names in parts.items():
        if names != parts[first]:
            raise UserError(
                f"{where}: the classes of {part} and {first} differ: only in {part}: "
                f"{sorted(names - parts[first])}, only in {first}: {sorted(parts[first] - names)}"
            )
    if not parts[first]:
        raise UserError(f"{where}: no subfolders; one subfolder a class is expected")
    return tuple(sorted(parts[first]))


def _all_classes(parts: dict[str, set[str]]) -> tuple[str, ...]:
    """The classes of any part."""
    return tuple(sorted(set().union(*parts.values())))


def images_under(folder: Path) -> list[str]:
    """Paths of the image files in a folder and below, sorted; hidden ones are passed over."""
    found, seen = [], set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            f"{here}{os.sep}{name}"
            for name in sorted(files)
            if not name.startswith(".") and name.lower().endswith(IMAGE_ENDINGS)
        ]
    return found


def _csv(file: Path, multi_label: bool, agree: bool) -> Dataset:
    """A table of `path,label` with an optional `part`; paths are relative to the file."""
    table, multi_label = read_rows(file, multi_label)
    found = {part: set().union(*(row.classes for row in rows)) for part, rows in table.items()}
    agreed = _classes_of_train if multi_label else _agreed_classes
    names = agreed(file, found) if agree else _all_classes(found)
    paths = {part: [file.parent / row.path for row in rows] for part, rows in table.items()}
    if not any(path.exists() for part in paths.values() for path in part):
        raise UserError(f"{file}: none of its files exists; paths are relative to {file.parent}")
    parts: dict[str, Source] = {
        part: FileSource(paths[part], _csv_labels(rows, names, multi_label))
        for part, rows in table.items()
    }
    return Dataset(file.stem, locate(str(file)), names, parts)


def _csv_labels(rows: list[Row], names: tuple[str, ...], multi_label: bool) -> np.ndarray:
    """Labels as a Source has them."""
    number = {name: i for i, name in enumerate(names)}
    if not multi_label:
        return np.array([number[row.classes[0]] for row in rows], np.int64)
    labels = np.zeros((len(rows), len(names)), np.uint8)
    for i, row in enumerate(rows):
        labels[i, [number[name] for name in row.classes]] = 1
    return labels


def _classes_of_train(where: Path, parts: dict[str, set[str]]) -> tuple[str, ...]:
    """Class names of images that have several: those of the train part, or of all without one.

    Another part may lack some, since images of a rare class may all be in train; it cannot have
    others.
    """
    known = parts.get("train", set().union(*parts.values()))
    for part, names in parts.items():
        if names - known:
            raise UserError(
                f"{where}: classes of {part} that train has no image of: "
                f"{', '.join(sorted(names - known)[:5])}"
            )
    if not known:
        raise UserError(f"{where}: no image of its train part has a class: every label is empty")
    return tuple(sorted(known))
