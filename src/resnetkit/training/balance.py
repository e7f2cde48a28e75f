"""What is done about classes of which there are few images."""

from dataclasses import dataclass
from typing import Literal

from resnetkit.config import check_ranges, option
from resnetkit.errors import UserError

BALANCED = "balanced"
MOST_WEIGHT = 1_000_000


@dataclass(frozen=True, kw_only=True)
class BalanceRecipe:
    """Rare classes: how much they count, and how often they are shown."""

    class_weights: str | None = option(
        None,
        "how much an image counts: balanced, by how rare its class is; or by name, such as "
        "Shirt=2,Coat=1.5; by default all alike",
        metavar="balanced|NAME=WEIGHT,...",
    )
    sampling: Literal["natural", "balanced"] = option(
        "natural", "balanced: every class is shown equally often, rare images several times"
    )
    logit_adjust: float = option(
        0.0,
        "logarithm of a class's share, times this, is added to its logit in training; 1 is usual",
        least=0,
        most=10,
    )
    focal: float = option(
        0.0,
        "images count less the surer their label is, by this power; 2 is usual",
        least=0,
        most=10,
    )

    def __post_init__(self):
        """Check that rarity is made up for once."""
        check_ranges(self)
        named_weights(self.class_weights)
        balancing = {
            "class_weights balanced": self.class_weights == BALANCED,
            "sampling balanced": self.sampling == BALANCED,
            "logit_adjust": self.logit_adjust > 0,
        }
        given = [name for name, is_on in balancing.items() if is_on]
        if len(given) > 1:
            both = " and ".join(given[:2])
            raise UserError(f"{both} both make up for rare classes: give one of them")

    def check_task(self, *, multi_label: bool, loss: str) -> None:
        """Raise UserError for what images with several classes, or a loss, have no use for."""
        for name in ("class_weights", "sampling", "logit_adjust"):
            if multi_label and getattr(self, name) not in (None, "natural", 0):
                raise UserError(f"{name} is for images with one class each; these have several")
        if self.logit_adjust and loss != "cross-entropy":
            raise UserError(f"logit_adjust goes with the loss cross-entropy, not with {loss}")


def named_weights(text: str | None) -> dict[str, float]:
    """What `NAME=WEIGHT,...` says; empty for `balanced` and for None; raises UserError."""
    found: dict[str, float] = {}
    for item in text.split(",") if text not in (None, BALANCED) else ():
        name, equals, number = item.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if not equals or not name or not 0 <= weight <= MOST_WEIGHT:
            raise UserError(
                f"class_weights must be balanced or NAME=WEIGHT,... such as Shirt=2, not {item!r}; "
                f"weights are 0 to {MOST_WEIGHT:,}"
            )
        if name in found:
            raise UserError(f"class_weights names {name!r} twice")
        found[name] = weight
    return found
