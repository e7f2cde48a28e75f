"""`resnetkit deepen`: a trained classifier's network inside a deeper one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from resnetkit.classifier import Classifier
from resnetkit.files import check_can_create
from resnetkit.nets.depth import deepen
from resnetkit.nets.zoo import name_of


@dataclass(frozen=True)
class Deepened:
    """What was made of what.

    Attributes:
        out: the new Classifier folder.
        model, layers, parameters: of its network; `model` is the nearest name of the zoo.
        before: layers of the network that it contains.
    """

    out: str
    model: str
    depths: tuple[int, ...]
    layers: int
    parameters: int
    before: int

    def to_dict(self) -> dict:
        """As plain data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """In a line."""
        return (
            f"{self.out}: {self.model}, {self.before} -> {self.layers} layers, "
            f"{self.parameters:,} parameters, the same outputs bit for bit"
        )


def deepen_classifier(
    run: str, out: str, to: str | None = None, depths: Sequence[int] | None = None
) -> Deepened:
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
    training = clf.training
    net = deepen(clf.net, to, depths=depths)
    model = to or name_of(net.spec) or training.model
    ancestors = (*training.ancestors, training.told(run))
    grown = replace(training, model=model, ancestors=ancestors)
    Classifier(net, clf.transform, clf.classes, grown, clf.task).save(Path(out))
    parameters = sum(p.numel() for p in net.parameters())
    return Deepened(out, model, net.spec.depths, net.layers, parameters, clf.net.layers)
