"""Weights from the Hugging Face Hub: found in its cache, else downloaded (extra `hub`)."""

import json
import logging
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from resnetkit.errors import UserError, nearest
from resnetkit.nets.zoo import ZOO
from resnetkit.published import hub_names

NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z0-9][a-z0-9_]*")
"""An architecture and a tag, such as resnet50.a1_in1k."""

OWNER = "timm"
"""Whose repositories such names are."""

ASK_SECONDS = 10
"""How long to wait for the first answer."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class HubFiles:
    """A model on this machine.

    Attributes:
        architecture: the network's name.
        preprocessing: what config.json says of the images: input_size, crop_pct, mean, ...
        weights: model.safetensors.
    """

    architecture: str
    preprocessing: dict
    weights: Path


def is_hub_name(word: str) -> bool:
    """Whether a word is meant as a name of the Hub, and not as a file or folder."""
    ends_as_a_file = Path(word).suffix in (".safetensors", ".pt", ".pth", ".bin")
    return bool(NAME.fullmatch(word)) and not ends_as_a_file and not Path(word).exists()


def fetch(name: str) -> HubFiles:
    """The files behind a name: from the Hub's own cache, else downloaded into it.

    Raises:
        UserError: the extra is not installed, there is no such name, no network, or what comes is
            no model.
    """
    architecture, repository = name.partition(".")[0], f"{OWNER}/{name}"
    if architecture not in ZOO:
        raise UserError(
            f"no such file of weights: {name}; nor has the Hub, for there is no network "
            f"{architecture}: {nearest(name, hub_names())}"
        )
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        raise UserError(
            f"{name} is a name of the Hugging Face Hub: pip install 'resnetkit[hub]'"
        ) from None
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of every retry
    try:
        config, weights = (_cached(repository, file) for file in (CONFIG, WEIGHTS))
        if config is None or weights is None:
            _reach()
            config, weights = (
                huggingface_hub.hf_hub_download(repository, file) for file in (CONFIG, WEIGHTS)
            )
    except (errors.RepositoryNotFoundError, errors.RemoteEntryNotFoundError) as error:
        missing = f" {WEIGHTS} of" if isinstance(error, errors.RemoteEntryNotFoundError) else ""
        hint = nearest(name, hub_names())
        raise UserError(f"the Hub has no{missing} {repository}; {hint}") from error
    except Exception as error:  # its transport's errors have no base that stays
        reason = str(error).split("\n")[0][:200]
        hint = "" if name in hub_names() else f"; {nearest(name, hub_names())}"
        raise UserError(
            f"{name} is not in the Hub's cache, and the Hub cannot be reached: {reason}{hint}"
        ) from error
    return _read(Path(config), Path(weights))


def _cached(repository: str, file: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, file)
    return found if isinstance(found, str) else None


def _reach() -> None:
    """Raise OSError at once where the Hub cannot be reached: its own retries take 25 seconds."""
    from huggingface_hub import constants

    endpoint = urlsplit(constants.ENDPOINT)
    if not constants.HF_HUB_OFFLINE and not getproxies():
        port = endpoint.port or {"http": 80}.get(endpoint.scheme, 443)
        socket.create_connection((endpoint.hostname or "", port), ASK_SECONDS).close()


def _read(config: Path, weights: Path) -> HubFiles:
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
        architecture, about = content["architecture"], content.get("pretrained_cfg", content)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{config} says nothing of a network: {error!r}") from None
    if not isinstance(architecture, str) or not isinstance(about, dict):
        raise UserError(f"{config} says nothing of a network")
    return HubFiles(architecture, about, weights)
