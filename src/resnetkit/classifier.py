"""THE artefact: a network, its preprocessing and its class names in one folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from resnetkit import inference
from resnetkit.config import Precision, from_plain, to_plain
from resnetkit.data.decode import BadImage
from resnetkit.data.sources import FileSource, Source
from resnetkit.data.strata import Task
from resnetkit.data.transform import Transform
from resnetkit.engine import Engine
from resnetkit.errors import UserError
from resnetkit.exits import Calibration
from resnetkit.files import whole_folder
from resnetkit.metrics import Result
from resnetkit.multilabel import MultiLabelResult
from resnetkit.nets.create import blank
from resnetkit.nets.nested import inner_network, own_statistics
from resnetkit.nets.network import Network, with_layout
from resnetkit.nets.spec import Spec, only_size, read_spec
from resnetkit.nets.zoo import name_of
from resnetkit.sums import SUMS, check_sum, require_listed, sums_text
from resnetkit.weights import INSIDE, load_weights, read_inside

FORMAT = 4
"""1 had no SHA256SUMS, 2 no networks inside; in 3 these had all statistics of their own, and such
folders are refused. The others are still read."""

ENSEMBLE = "ensemble.json"
"""In a folder that holds several Classifiers: `ensemble.py`."""

CHECKED = ("config.json", "model.safetensors")
"""Files of which one wrong bit is found on load."""


@dataclass(frozen=True)
class Training:
    """What a classifier remembers of how it came about: it says which images it has seen.

    A `val_fraction` of the training images was held out, or the `fold` of `folds`; neither where
    the data brought a val part. `val_map` is None where every image has one class. `inner_top1` is
    the validation accuracy of the networks inside, by their layers as text. `ancestors` are the
    classifiers that it was deepened from, or that its weights began with, oldest first; from the
    `teachers` it learned besides the labels, which those in the CSV `labels` had replaced.
    """

    data: str = ""
    fingerprint: str = ""
    images: int = 0
    seed: int = 0
    val_fraction: float = 0.0
    limit: int | None = None
    model: str = ""
    epochs: float = 0
    val_images: int = 0
    val_top1: float = 0.0
    val_map: float | None = None
    inner_top1: dict = field(default_factory=dict)
    folds: int | None = None
    fold: int | None = None
    ancestors: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()
    labels: str | None = None

    def told(self, where: str) -> str:
        """A line for descendants: what lay there, and how it had come about."""
        score = f", validation accuracy {self.val_top1:.4f}" if self.val_images else ""
        return f"{where}: {self.model}, {self.epochs:g} epochs of {self.data}{score}"


class Classifier:
    """Calling it on a uint8 NHWC batch gives logits.

    Attributes:
        net: the network, in evaluation mode.
        transform: the preprocessing.
        classes: names, in the order of the logits.
        training: how it came about.
        task: `single-label`, probabilities by softmax; `multi-label`, each by sigmoid.
        inner: the networks inside that were trained with the whole, by their layers.
        calibration: of the depths, where there are several.
    """

    def __init__(
        self,
        net: Network,
        transform: Transform,
        classes: tuple[str, ...],
        training: Training | None = None,
        task: Task = "single-label",
        inner: Mapping[int, Network] | None = None,
        calibration: Calibration | None = None,
    ):
        self.calibration = calibration or Calibration()
        self.net = net.eval()
        self.inner = {layers: each.eval() for layers, each in (inner or {}).items()}
        self.transform, self.classes, self.task = transform, classes, task
        self.training = training or Training()

    @property
    def spec(self) -> Spec:
        """The network's spec."""
        return self.net.spec

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.net.head.weight.device

    def to(self, device: str | torch.device) -> "Classifier":
        """Move the network to a device."""
        self.net.to(device)
        for net in self.inner.values():  # its parameters are moved already, being the whole's
            net.to(device)
        return self

    @property
    def depths(self) -> tuple[int, ...]:
        """Layers of every network that it holds, the shallowest first, the whole last."""
        return (*sorted(self.inner), self.net.layers)

    def at(self, layers: int) -> "Classifier":
        """The classifier of one depth, which shares its weights.

        Raises:
            UserError: it was not trained at that depth.
        """
        if layers not in self.depths:
            held, others = ", ".join(map(str, self.depths)), ""
            if not self.inner:
                others = " alone: only --any-depth trains others"
            raise UserError(f"it has no depth of {layers} layers, but {held}{others}")
        net = self.inner.get(layers, self.net)
        score = self.training.inner_top1.get(str(layers), self.training.val_top1)
        model = name_of(net.spec) or self.training.model
        training = replace(self.training, model=model, val_top1=score, inner_top1={})
        known, key = self.calibration.temperatures, str(layers)
        calibration = Calibration({key: known[key]} if key in known else {})
        return Classifier(
            net, self.transform, self.classes, training, self.task, calibration=calibration
        )

    @property
    def temperature(self) -> float:
        """What its engines divide logits by, so that confidences are as often right as they say."""
        return self.calibration.temperatures.get(str(self.net.layers), 1.0)

    @torch.inference_mode()
    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, size, size, channels) -> float32 logits (N, classes)."""
        return self.net.head(self.features(batch))

    @torch.inference_mode()
    def features(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, size, size, channels) -> float32 pooled features (N, spec.features)."""
        return self.transform.features(batch.to(self.device), self.net.features)

    @torch.inference_mode()
    def logits(self, features: np.ndarray) -> np.ndarray:
        """The head as an engine has it: (N, spec.features) -> (N, classes)."""
        logits = self.net.head(torch.from_numpy(features).to(self.device)).cpu().numpy()
        return logits / self.temperature

    def engine(self, precision: Precision = "auto") -> Engine:
        """The same made ready for many images: folded, and in bf16 where that is quicker.

        Later changes to the network are not seen.
        """
        return Engine(self.net, self.transform, precision, self.temperature)

    def evaluate(
        self, source: Source, *, precision: Precision = "auto", **options: Any
    ) -> tuple[Result | MultiLabelResult, list[BadImage]]:
        """Judge on labelled images; options as `inference.evaluate` has them."""
        engine = self.engine(precision)
        return inference.evaluate(engine, source, self.transform, self.classes, **options)

    def predict(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        top: int = inference.TOP,
        workers: int = 2,
        precision: Precision = "auto",
    ) -> list[inference.Prediction]:
        """The likeliest classes of image files; an unreadable one has an `error`."""
        paths = [str(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
        engine = self.engine(precision)
        found = inference.run(engine, FileSource(paths), self.transform, workers=workers)
        return inference.name_likeliest(found, found.outputs, paths, self.classes, top, self.task)

    def save(self, folder: Path) -> None:
        """Write weights, config.json, README.md and SHA256SUMS; the folder appears whole."""
        tensors = {**self.net.state_dict(), **self._inside()}
        state = {name: t.contiguous().cpu() for name, t in tensors.items()}
        config = {
            "format": FORMAT,
            "task": self.task,
            "spec": self.spec.to_dict(),
            "transform": to_plain(self.transform),
            "classes": list(self.classes),
            "training": to_plain(self.training),
            "inner": [list(net.spec.depths) for _, net in sorted(self.inner.items())],
            "calibration": to_plain(self.calibration),
        }
        with whole_folder(folder) as beside:
            try:
                safetensors.torch.save_file(state, beside / "model.safetensors")
            except safetensors.SafetensorError as error:  # a full disk is one too
                raise UserError(f"cannot write {folder}: {error}") from error
            text = json.dumps(config, indent=2)
            (beside / "config.json").write_text(text + "\n", encoding="utf-8")
            (beside / "README.md").write_bytes(self._card().encode(errors="backslashreplace"))
            (beside / SUMS).write_text(sums_text(beside, CHECKED), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Classifier":
        """Read a Classifier folder, or the one in a finished run.

        Raises:
            UserError: there is none, the run is unfinished, or a file is damaged.
        """
        folder = classifier_folder(Path(path))
        config = _read_config(folder)
        where = str(folder / "config.json")
        spec = read_spec(config.spec, where=f"{where}: spec")
        transform = from_plain(Transform, config.transform, where=f"{where}: transform")
        training = from_plain(Training, config.training, where=f"{where}: training")
        seen = (spec.classes, spec.channels, only_size(spec) or transform.size)
        if seen != (len(config.classes), transform.channels, transform.size):
            raise UserError(f"{where}: spec, classes and transform do not belong together")
        net = blank(spec)
        load_weights(net, folder / "model.safetensors")
        net = with_layout(net, channels_last=True)
        inner = _inner_networks(net, config.inner, folder)
        return cls(net, transform, config.classes, training, config.task, inner, config.calibration)

    def _inside(self) -> dict[str, torch.Tensor]:
        """What the networks inside have of their own: the statistics of their norms."""
        return {
            f"{INSIDE}{layers}/{name}": buffer
            for layers, net in self.inner.items()
            for name, buffer in own_statistics(net, self.net).items()
        }

    def _card(self) -> str:
        """What a person who finds the folder wants to know."""
        t, side = self.training, self.transform.size
        parameters = sum(p.numel() for p in self.net.parameters())
        names = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
        score = f"Top-1 accuracy {t.val_top1:.4f}"
        if t.val_map is not None:
            score = f"Mean average precision {t.val_map:.4f}"
        judged = f"""- {score} on {t.val_images:,} validation images that it was not trained on.
  These are the last weights, not the best of many looks at the validation part.
"""
        return f"""# {t.model or "Residual network"}, {len(self.classes)} classes

A network of {self.spec.layers} layers and {parameters:,} parameters for images of
{side} x {side} pixels, {"grey" if self.transform.channels == 1 else "RGB"}.

{"It finds any number of" if self.task == "multi-label" else "It tells apart"}: {names}.

- Trained on {t.images:,} images of `{t.data}` for {t.epochs:g} epochs, seed {t.seed}.
{judged if t.val_images else ""}{self._ancestry()}
`model.safetensors` holds the weights; `config.json` the network, the preprocessing and the class
names. Use it with resnetkit:

    resnetkit predict THIS_FOLDER picture.jpg
    resnetkit evaluate THIS_FOLDER DATA
"""

    def _ancestry(self) -> str:
        training = self.training
        lines = [f"Descends from {line}" for line in training.ancestors]
        lines += [f"Learned from {line}" for line in training.teachers]
        return "".join(f"- {line}.\n" for line in lines)


@dataclass(frozen=True)
class _Config:
    """The layout of config.json."""

    format: int
    spec: dict
    transform: dict
    classes: tuple[str, ...]
    training: dict = field(default_factory=dict)
    task: Task = "single-label"
    inner: tuple[tuple[int, ...], ...] = ()
    calibration: Calibration = field(default_factory=Calibration)


def _inner_networks(net: Network, depths: Sequence[tuple[int, ...]], folder: Path):
    """The networks inside, as they were saved."""
    found, kept = {}, read_inside(folder / "model.safetensors") if depths else {}
    for each in depths:
        spec = replace(net.spec, depths=each)
        if any(a > b for a, b in zip(each, net.spec.depths, strict=True)):
            raise UserError(f"{folder / 'config.json'}: {each} is not inside {net.spec.depths}")
        found[spec.layers] = inner = inner_network(net, spec)
        for name, buffer in own_statistics(inner, net).items():
            tensor = kept.get(f"{spec.layers}/{name}")
            if tensor is None or tensor.shape != buffer.shape:
                raise UserError(f"{folder} lacks {name} of its network of {spec.layers} layers")
            buffer.copy_(tensor)
    return found


def classifier_folder(path: Path) -> Path:
    """The Classifier folder that a path stands for: itself, or the one inside a finished run."""
    for folder in (path / "classifier", path):
        if (folder / "config.json").is_file():
            return folder
    if (path / ENSEMBLE).is_file():
        raise UserError(f"{path} is an ensemble: name one of its networks, such as {path / '1'}")
    if (path / "folds.json").is_file():
        raise UserError(
            f"{path} is a cross-validation, a network a fold; name one of them, such as "
            f"{path / 'fold-1'}"
        )
    if (path / "recipe.yaml").is_file():
        raise UserError(
            f"{path} is an unfinished run; finish it with: resnetkit train --resume --out {path}"
        )
    if not path.exists():
        raise UserError(f"no such run or Classifier folder: {path}")
    raise UserError(f"{path} is neither a run nor a Classifier folder: it has no config.json")


def _read_config(folder: Path) -> _Config:
    """config.json, when it is as it was written; `read_state` finds out about the weights."""
    file = folder / "config.json"
    if (folder / SUMS).exists():
        check_sum(file)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged: {error}") from None
    config = from_plain(_Config, data, where=str(file))
    if not 1 <= config.format <= FORMAT:
        raise UserError(f"{file} has format {config.format}; this resnetkit reads 1 to {FORMAT}")
    if config.format == 3 and config.inner:
        raise UserError(
            f"{folder} has several depths, in a way that this resnetkit reads no more: train anew"
        )
    if config.format > 1:
        for name in CHECKED:
            require_listed(folder / name)
    return config
