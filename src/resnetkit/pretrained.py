"""Trained weights wherever they are: a file, a run or Classifier folder, or the Hub."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from resnetkit.classifier import Classifier
from resnetkit.config import from_plain
from resnetkit.data.transform import Transform
from resnetkit.errors import UserError
from resnetkit.hub import HubFiles, fetch, is_hub_name
from resnetkit.nets.fits import likeliest_naming
from resnetkit.nets.naming import HEAD, Naming, names
from resnetkit.nets.network import Network
from resnetkit.nets.spec import Spec
from resnetkit.nets.zoo import ZOO, spec_of
from resnetkit.weights import load_weights, read_state


@dataclass(frozen=True)
class Pretrained:
    """Weights, and what is known of the network and the images that they are for.

    Attributes:
        where: how the person named them.
        state: tensors by name.
        model: the network's name in the zoo, where that is known.
        spec: the network, where it is known.
        classes: their names in the order of the head, where they are known.
        transform: the preprocessing that belongs to the weights, where it is known.
        ancestors: a line on these weights, and on what they had come from, oldest first.
    """

    where: str
    state: dict[str, Tensor]
    model: str | None = None
    spec: Spec | None = None
    classes: tuple[str, ...] | None = None
    transform: Transform | None = None
    ancestors: tuple[str, ...] = ()

    def naming_for(self, net: Network) -> Naming:
        """Whose names the tensors have, told from the names."""
        return likeliest_naming(net.spec, net.state_dict(), self.state)

    def load_into(
        self, net: Network, classes: tuple[str, ...], naming: Naming | None = None
    ) -> tuple[str, ...]:
        """Load them into a network; the head only for the same classes.

        Where the names of the classes are not known, their number decides.

        Returns:
            What was done, in a few words each.

        Raises:
            UserError: they do not fit the network, which is left as it was.
        """
        naming = naming or self.naming_for(net)
        if self.classes is not None:
            same = self.classes == classes
        else:
            head = self.state.get(names(net.spec, [f"{HEAD}weight"], naming)[f"{HEAD}weight"])
            same = head is not None and head.shape[:1] == (len(classes),)
        try:
            notes = load_weights(net, self.state, naming, head=same)
        except UserError as error:
            raise UserError(f"{self.where}: {error}") from None
        kept = "its head kept: the classes agree" if same else "a new head: other classes"
        whose = () if naming == "resnetkit" else (f"under {naming} names",)
        return (*whose, kept, *notes)


def open_pretrained(word: str) -> Pretrained:
    """Weights by a path, or by a name of the Hub.

    Raises:
        UserError: there are none, or they cannot be read.
    """
    path = Path(word)
    if path.is_dir():
        begun = Classifier.load(path)
        training, model = begun.training, begun.training.model
        return Pretrained(
            word, begun.net.state_dict(), model if model in ZOO else None, begun.spec,
            begun.classes, begun.transform, (*training.ancestors, training.told(word)),
        )  # fmt: skip
    if is_hub_name(word):
        files = fetch(word)
        return Pretrained(
            word, read_state(files.weights), files.architecture, spec_of(files.architecture),
            transform=_transform_of(files), ancestors=(word,),
        )  # fmt: skip
    return Pretrained(word, read_state(path), ancestors=(word,))


def _transform_of(files: HubFiles) -> Transform:
    """The preprocessing that the weights were judged with, from the Hub's config.json."""
    about = files.preprocessing
    keys = {"crop_pct": "crop", "mean": "mean", "std": "std", "interpolation": "interpolation"}
    fields = {ours: about[theirs] for theirs, ours in keys.items() if theirs in about}
    size = about.get("input_size")
    if isinstance(size, list) and len(size) == 3:
        fields |= {"channels": size[0], "size": size[1]}
    return from_plain(Transform, fields, where=f"{files.weights.parent / 'config.json'}")
