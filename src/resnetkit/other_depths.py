"""`resnetkit deepen` and `shrink`: a Classifier made into one of another depth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from resnetkit.classifier import Classifier
from resnetkit.files import check_can_create
from resnetkit.nets.depth import deepen
from resnetkit.nets.zoo import name_of


@dataclass(frozen=True)
class OfAnotherDepth:
    """What was made of what.

    Attributes:
        out: the new Classifier folder.
        model, depths, layers, parameters: of its network; `model` is the nearest name of the zoo.
        before: layers of the network that it was made from.
        val_top1: its accuracy on the validation part.
    """

    out: str
    model: str
    depths: tuple[int, ...]
    layers: int
    parameters: int
    before: int
    val_top1: float

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """In a line."""
        deeper = self.layers > self.before
        score = f"validation accuracy {self.val_top1:.2%}"
        return (
            f"{self.out}: {self.model}, {self.before} -> {self.layers} layers, "
            f"{self.parameters:,} parameters, "
            f"{'the same outputs bit for bit' if deeper else score}"
        )


def deepen_classifier(
    run: str, out: str, to: str | None = None, depths: Sequence[int] | None = None
) -> OfAnotherDepth:
    """Write a Classifier that gives the same bits and has more layers to learn with.

    Args:
        run: a finished run or a Classifier folder.
        out: the folder to make.
        to: a deeper network's name in the zoo.
        depths: instead of a name, the blocks in every stage.

    Raises:
        UserError: there is no such classifier, `out` exists, or the network cannot become that one.
    """
    check_can_create(Path(out))
    clf = Classifier.load(run)
    net = deepen(clf.net, to, depths=depths)
    model = to or name_of(net.spec) or clf.training.model
    training = replace(clf.training, model=model, inner_top1={})
    return _written(Classifier(net, clf.transform, clf.classes, training, clf.task), out, run, clf)


def shrink_classifier(run: str, out: str, layers: int) -> OfAnotherDepth:
    """Write one depth of a Classifier as one that has this depth alone.

    Args:
        run: a finished run or a Classifier folder, trained with `--any-depth`.
        out: the folder to make.
        layers: of the network to keep.

    Raises:
        UserError: there is no such classifier, `out` exists, or it has not this depth.
    """
    check_can_create(Path(out))
    whole = Classifier.load(run)
    return _written(whole.at(layers), out, run, whole)


def _written(made: Classifier, out: str, run: str, before: Classifier) -> OfAnotherDepth:
    """Save what was made, and have it remember what it was made from."""
    ancestors = (*before.training.ancestors, before.training.told(run))
    made.training = replace(made.training, ancestors=ancestors)
    made.save(Path(out))
    parameters, spec = sum(p.numel() for p in made.net.parameters()), made.spec
    return OfAnotherDepth(
        out, made.training.model, spec.depths, spec.layers, parameters, before.spec.layers,
        made.training.val_top1,
    )  # fmt: skip
