"""Whether a batch fits memory, told before step 0: a CPU's system ends who takes too much."""

import math
from dataclasses import dataclass

import torch

from resnetkit.errors import UserError
from resnetkit.machine import available_memory
from resnetkit.nets.nested import Nested
from resnetkit.nets.network import Network
from resnetkit.ranks import Ranks
from resnetkit.sizes import gigabytes, parse_size
from resnetkit.training.footprint import Footprint, footprint, shared_blocks, together
from resnetkit.training.recipe import Recipe

COPIES = 4
"""Of the weights: themselves, gradients, what the optimiser keeps, and a moving average."""

SPARE = 2.0
"""What is kept for the backward pass, and the layers' own work: up to as much again, measured."""

LEAST_BATCH = 2

LITTLE_MEMORY = 2**31
"""Bytes taken to be free where the system does not say."""


@dataclass(frozen=True)
class Room:
    """The memory that a rank's training may take.

    Attributes:
        bytes: None where it is not known, and everything fits.
        asked: the words that asked for it, `--memory 2GB`; None where nobody did.
    """

    bytes: int | None = None
    asked: str | None = None

    def arrange(self, nested: Nested, recipe: Recipe, images: int) -> None:
        """Have the networks compute anew what must be for a piece of so many images."""
        if self.asked is None:
            return
        shares = self._shares(nested.net, images, together(nested, recipe))
        nested.net.segments = footprint(nested.net, recipe).segments_within(shares[0])
        for number, net in enumerate(nested.all[1:]):
            first, share = shared_blocks(net), shares[1] if number == 0 else shares[-1]
            segments = footprint(net, recipe, shared=first).segments_within(share)
            net.segments = (first, *segments) if segments else ()

    def needed(self, nested: Nested, recipe: Recipe, images: int) -> float:
        """Bytes that a step on a piece of so many images takes, arranged so."""
        left = together(nested, recipe)
        shares = self._shares(nested.net, images, left)
        kept = sum(
            one.peak(one.segments_within(most)) for one, most in zip(left, shares, strict=True)
        )
        return _fixed_bytes(nested.net) + SPARE * images * kept

    def _shares(self, net: Network, images: int, left: list[Footprint]) -> list[float]:
        """Bytes that an image may leave behind in each of the networks of a step."""
        if self.asked is None or self.bytes is None:
            return [math.inf for _ in left]
        each = (self.bytes - _fixed_bytes(net)) / (SPARE * images)
        plain = sum(one.peak() for one in left)
        return [each * one.peak() / plain for one in left]

    def told(self, net: Network) -> str | None:
        """What was chosen, and what it costs."""
        if self.asked is None or self.bytes is None:
            return None
        anew, blocks = sum(net.segments), len(net.blocks)
        budget = f"{self.asked}: {gigabytes(self.bytes)} for a training step"
        if not anew:
            return f"{budget}; nothing has to be computed anew"
        return (
            f"{budget}; {anew} of {blocks} blocks are computed anew, in {len(net.segments)} "
            f"segments: about {anew / blocks / 3:.0%} more time"
        )


@dataclass(frozen=True)
class Place:
    """Where a rank's part of a run is carried out.

    Attributes:
        device: that computes.
        workers: threads that load images.
        room: the memory that a step may take.
    """

    device: torch.device
    workers: int
    room: Room


def piece_images(recipe: Recipe, ranks: Ranks) -> int:
    """Images that a rank computes at a time."""
    return -(-recipe.batch_size // (ranks.count * recipe.optimiser.accumulate))


def check_memory(asked: str | None) -> None:
    """Raise UserError for a `--memory` that cannot be meant."""
    if asked not in (None, "auto"):
        parse_size(asked, "--memory")


def room_for(asked: str | None, device: torch.device, ranks: Ranks) -> Room:
    """What `--memory` says: a size, `auto` for all that is free, or nothing.

    On a CPU the ranks of a machine share what is free.
    """
    free = _free_on(device) if device.type == "cuda" else available_memory()
    share = None if free is None or device.type == "mps" else free
    if share is not None and device.type == "cpu":
        share //= ranks.local_count
    if asked is None or asked == "auto":
        return Room(share, asked and f"--memory {asked}")
    size = parse_size(asked, "--memory")
    return Room(size if share is None else min(size, share), f"--memory {asked}")


def _free_on(device: torch.device) -> int:
    """Bytes of a GPU that nobody has, or that torch holds without need."""
    idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + idle


def left_by_a_step(nested: Nested, recipe: Recipe, place: Place, ranks: Ranks) -> int:
    """Bytes of this machine's memory that are free on this rank and that no step will take."""
    free = (available_memory() or LITTLE_MEMORY) // ranks.local_count
    if place.device.type != "cpu":
        return free
    return int(free - place.room.needed(nested, recipe, piece_images(recipe, ranks)))


def check_room(nested: Nested, recipe: Recipe, images: int, room: Room, ranks: Ranks) -> None:
    """Raise UserError, naming what fits, where a batch needs more memory than there is.

    Args:
        nested: the networks on the CPU; they stay as they are.
        recipe: resolved.
        images: that there are to train on; a batch has no more.
        room: of each rank.
        ranks: who share the batch.
    """
    if room.bytes is None or (recipe.freeze != "none" and recipe.unfreeze_at is None):
        return  # what is frozen leaves nothing behind
    fixed, left = _fixed_bytes(nested.net), together(nested, recipe)
    if recipe.dynamics:
        fixed += 4 * images * nested.net.spec.classes  # bytes of a float
    plain = sum(one.peak() for one in left)
    sparing = sum(one.peak(one.segmented(len(one.inside))) for one in left)
    each = SPARE * max(1.0, plain if room.asked is None else min(plain, sparing))
    pieces = recipe.optimiser.accumulate * ranks.count
    batch, fits = min(recipe.batch_size, images), int((room.bytes - fixed) // each)
    if batch <= pieces * fits:
        return
    budget = (
        f"{gigabytes(room.bytes)} {f'are allowed by {room.asked}' if room.asked else 'are free'}"
    )
    if fits < LEAST_BATCH:
        raise UserError(
            f"{recipe.model} at {recipe.data.image_size} pixels does not fit memory: a batch of "
            f"{LEAST_BATCH} needs about {gigabytes(fixed + LEAST_BATCH * each)}, {budget}"
        )
    most, needed = pieces * fits, gigabytes(fixed + batch / pieces * each)
    raise UserError(
        f"a batch of {batch:,} images does not fit memory: it needs about {needed}"
        f"{' at the least' if room.asked else ''} and {budget}; --batch-size "
        f"{2 ** (most.bit_length() - 1)} fits, or --accumulate {-(-batch // (fits * ranks.count))}"
        + ("" if room.asked or sparing > plain / 2 else ", or less with --memory auto")
    )


def _fixed_bytes(net: Network) -> int:
    return COPIES * sum(p.numel() * p.element_size() for p in net.parameters())
