"""`resnetkit shrink`: one depth of a Classifier that has several, as an ordinary one."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from resnetkit.classifier import Classifier
from resnetkit.files import check_can_create


@dataclass(frozen=True)
class Shrunk:
    """What was made of what.

    Attributes:
        out: the new Classifier folder.
        model, depths, layers, parameters: of its network.
        before: layers of the network that it was in.
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
        return (
            f"{self.out}: {self.model}, {self.before} -> {self.layers} layers, "
            f"{self.parameters:,} parameters, validation accuracy {self.val_top1:.2%}"
        )


def shrink_classifier(run: str, out: str, layers: int) -> Shrunk:
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
    clf = whole.at(layers)
    clf.training = replace(
        clf.training, ancestors=(*whole.training.ancestors, whole.training.told(run))
    )
    clf.save(Path(out))
    parameters = sum(p.numel() for p in clf.net.parameters())
    return Shrunk(
        out, clf.training.model, clf.spec.depths, layers, parameters, whole.net.layers,
        clf.training.val_top1,
    )  # fmt: skip
