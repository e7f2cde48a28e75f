"""What is to be measured: words of the command line -> networks, each with its accuracy."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import has_magic
from pathlib import Path
from typing import Literal

from resnetkit.classifier import Classifier
from resnetkit.data.transform import Transform
from resnetkit.errors import UserError
from resnetkit.nets.create import create
from resnetkit.nets.network import Network
from resnetkit.nets.spec import Spec, for_size, only_size
from resnetkit.nets.zoo import ZOO, models, spec_of, usual
from resnetkit.published import published
from resnetkit.sizes import check_side


@dataclass(frozen=True)
class Accuracy:
    """How often a network is right.

    Attributes:
        top1: per cent.
        source: whose weights, or the validation part of which run.
        images: a digest of the images that it was judged on, where it is known.
    """

    top1: float
    source: str
    images: str = ""


@dataclass(frozen=True)
class Subject:
    """A network to measure.

    Attributes:
        name: as the person named it, or the name that a pattern matched.
        kind: `zoo`, or `run` for a folder.
        model: the name in the zoo, empty where a folder does not say.
        spec: the network.
        transform: the preprocessing; its size is the image size.
        accuracy: for the zoo the best that was published at this size; None where there is none.
        folder: of a run or a Classifier.
        layers: of the network inside that is meant, where the folder holds several.
    """

    name: str
    kind: Literal["zoo", "run"]
    model: str
    spec: Spec
    transform: Transform
    accuracy: Accuracy | None
    folder: Path | None = None
    layers: int | None = None

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return self.transform.size

    def network(self) -> Network:
        """The network on the CPU, made anew: with random weights, or those of the folder."""
        if self.folder is None:
            return create(self.spec)
        classifier = Classifier.load(self.folder)
        return (classifier.at(self.layers) if self.layers else classifier).net


def find_subjects(words: Sequence[str | Path], image_size: int | None = None) -> list[Subject]:
    """All that the words stand for, in their order, each once; every depth of a run that has some.

    Args:
        words: names of the zoo, shell patterns of such, run folders, Classifier folders.
        image_size: side in pixels; by default the network's usual one, or the Classifier's.

    Raises:
        UserError: a word stands for nothing, or the folder of an unfinished run.
    """
    if not words:
        raise UserError("nothing to measure: give names of the zoo, patterns or run folders")
    check_side(image_size)
    found: dict[str, Subject] = {}
    for word in map(str, words):
        for subject in _meant(word, image_size):
            key = f"{subject.folder.resolve()} {subject.layers}" if subject.folder else subject.name
            found.setdefault(key, subject)
    return list(found.values())


def _meant(word: str, image_size: int | None) -> list[Subject]:
    if word in ZOO:
        return [_of_zoo(word, image_size)]
    if os.sep in word or Path(word).exists():
        return _of_folder(word, image_size)
    if has_magic(word):
        return [_of_zoo(name, image_size) for name in models(word)]
    spec_of(word)
    raise AssertionError


def _of_zoo(name: str, image_size: int | None) -> Subject:
    images = usual(name)
    size = image_size or images.size
    spec = for_size(ZOO[name], size)
    transform = Transform(size=size, channels=spec.channels, mean=images.mean, std=images.std)
    return Subject(name, "zoo", name, spec, transform, _published_at(name, size))


def _of_folder(word: str, image_size: int | None) -> list[Subject]:
    classifier, name = Classifier.load(word), word.rstrip(os.sep)
    if not classifier.inner:
        return [_of_classifier(classifier, Path(word), name, image_size)]
    return [
        replace(
            _of_classifier(classifier.at(layers), Path(word), f"{name} at {layers}", image_size),
            layers=layers,
        )
        for layers in classifier.depths
    ]


def _of_classifier(
    classifier: Classifier, folder: Path, name: str, image_size: int | None
) -> Subject:
    transform, training = classifier.transform, classifier.training
    accuracy = None
    if training.val_images:
        judged = f"{training.val_images:,} validation images"
        digest = f"{training.fingerprint} {training.seed} {training.val_fraction} {training.fold}"
        accuracy = Accuracy(100 * training.val_top1, judged, digest)
    if image_size and image_size != transform.size:
        transform, accuracy = replace(transform, size=image_size), None
        if only_size(classifier.spec):
            raise UserError(f"{name} is for images of {only_size(classifier.spec)} pixels alone")
    return Subject(name, "run", training.model, classifier.spec, transform, accuracy, folder)


def _published_at(name: str, size: int) -> Accuracy | None:
    """The best that was published for images of this size."""
    rows = [p for p in published() if (p.model, p.image_size) == (name, size) and p.top1]
    best = max(rows, key=lambda row: row.top1 or 0, default=None)
    return Accuracy(best.top1 or 0, f"{best.source} {best.tag}") if best else None
