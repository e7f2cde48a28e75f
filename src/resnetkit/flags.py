"""The command line's flags."""

import argparse
import math
import typing
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from resnetkit.config import Precision, shown
from resnetkit.nets.naming import NAMINGS
from resnetkit.parsing import Parser, as_depth, as_name, as_share, converter, metavar
from resnetkit.training.recipe import Recipe
from resnetkit.training.recipe_files import recipe_names
from resnetkit.training.settings import MEASURED, flat_fields

Run = Callable[[argparse.Namespace], int]

_DATA = (
    "fashion-mnist, a folder with one subfolder a class (or train/, val/, test/ of such), or a "
    "CSV of path,label[,part], several classes as cat;dog"
)
_DATA_DIR = (
    "where the files of fashion-mnist are; default: $RESNETKIT_DATA, ~/.cache/resnetkit/"
    "fashion-mnist, /usr/share/datasets/fashion-mnist"
)
_PICTURE = "a .png, .svg or .pdf"
_RUN = "a run folder such as runs/x, or a Classifier folder"


def make_parser(runs: Mapping[str, Run]) -> Parser:
    """The parser of all commands.

    Args:
        runs: what each command does; `options.run` is the chosen one's.
    """
    parser = Parser(
        prog="resnetkit",
        description="Residual networks: build, train, judge, use.",
        epilog="Each command has its own --help.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    for name, (summary, add_flags) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=_sentence(summary))
        command.set_defaults(run=runs[name])
        add_flags(command)
    parser.add_argument("--version", action="version", version=f"resnetkit {version('resnetkit')}")
    parser.set_defaults(run=lambda _: parser.print_help() or 0)
    return parser


_RECIPE = """\
A recipe of your own is a YAML file that holds only what differs, under the headings above:

  model: resnet34
  epochs: 40
  optimiser:
    lr: 0.05
  data:
    image_size: 160
"""


def _train(parser: Parser) -> None:
    parser.epilog, parser.formatter_class = _RECIPE, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("data", nargs="?", metavar="DATA", help=_DATA)
    add(
        "--out", type=as_name, metavar="FOLDER", help="run folder; default: runs/<data>-<model>-<n>"
    )
    add("--resume", action="store_true", help="go on with the run in --out, in the same bits")
    names = ", ".join(recipe_names())
    help_recipe = f"{names}, which `resnetkit recipes` explains, or a YAML file; flags override it"
    add("--recipe", metavar="NAME|FILE", help=help_recipe)
    _seconds = converter(float, "seconds")
    help_seconds = "save at least so often; default: 60"
    add("--checkpoint-seconds", type=_seconds, default=60.0, metavar="S", help=help_seconds)
    help_cache = "keep decoded images of files: memory, off, or in a FOLDER for later runs as well"
    add(
        "--cache",
        default="memory",
        metavar="memory|off|FOLDER",
        help=f"{help_cache}; default: memory",
    )
    help_size = "of the cache, such as 4GB; default: half of the free memory, or of the disk"
    add("--cache-size", metavar="SIZE", help=help_size)
    help_memory = "that a training step may take, such as 2GB, or auto: what is free; blocks are "
    help_memory += "computed anew in the backward pass where needed: the same bits"
    add("--memory", metavar="SIZE|auto", help=help_memory)
    add("--tensorboard", action="store_true", help="write <run>/tensorboard as well (an extra)")
    help_timeout = "under torchrun: a rank that is silent for so long ends the job; default: 300"
    add("--rank-timeout", type=_seconds, default=300.0, metavar="S", help=help_timeout)
    _images_and_output(parser)
    _machine(parser)
    _recipe(parser)


def _find(parser: Parser) -> None:
    add, minutes = parser.add_argument, converter(float, "minutes")
    add("data", metavar="DATA", help=_DATA)
    help_minutes = "for the whole search; default: 20"
    add("--minutes", type=minutes, default=20.0, metavar="M", help=help_minutes)
    help_train = "that the recipe may train for; default: as long as the search"
    add("--train-minutes", type=minutes, metavar="M", help=help_train)
    help_recipe = "to begin with; a network or an image size that it names stays; default: default"
    add("--recipe", default="default", metavar="NAME|FILE", help=help_recipe)
    add("--out", type=as_name, metavar="FILE", help="the recipe to write; default: found-DATA.yaml")
    help_plot = f"of the learning rate range test: {_PICTURE}; default: beside the recipe"
    add("--plot", metavar="PICTURE", help=help_plot)
    _images_and_output(parser)
    _machine(parser)


def _evaluate(parser: Parser) -> None:
    add = parser.add_argument
    add("model", metavar="RUN", help=_RUN)
    add("data", metavar="DATA", help=_DATA)
    help_part = "default: test, else val, else a flat folder whole"
    add("--part", choices=("train", "val", "test"), help=help_part)
    help_plot = (
        "draw the confusion matrix; of several classes, precision by recall; of --depth all, "
        "images/s by accuracy"
    )
    add("--plot", metavar="PICTURE", help=f"{help_plot}: {_PICTURE}")
    help_depth = "layers of a network inside, or all: judge every depth, and measure how quick"
    add("--depth", type=as_depth, metavar="LAYERS|all", help=help_depth)
    _latency(parser)
    _batch(parser)
    _images_and_output(parser)
    _machine(parser)


def _predict(parser: Parser) -> None:
    add, number = parser.add_argument, converter(int, "number")
    add("model", metavar="RUN", help=_RUN)
    help_paths = "files, folders, or patterns such as 'photos/*.jpg'"
    add("paths", nargs="+", metavar="PICTURE", help=help_paths)
    add("--top", type=number, default=3, metavar="N", help="classes to name; default: 3")
    help_embeddings = "write pooled features to a file: arrays features and paths"
    add("--embeddings", metavar="NPZ", help=help_embeddings)
    add("--depth", type=number, metavar="LAYERS", help="of a network inside; default: the whole")
    _latency(parser)
    help_exit = "let a shallow network answer where it is sure, at such a loss of accuracy: 0.3%"
    add("--early-exit", type=as_share, metavar="LOSS", help=help_exit.replace("%", "%%"))
    _batch(parser)
    _json(parser)
    _machine(parser)


def _check(parser: Parser) -> None:
    add = parser.add_argument
    add("data", metavar="DATA", help=_DATA)
    help_sheets = "write a contact sheet of every class into this folder, which must not exist"
    add("--sheets", metavar="FOLDER", help=help_sheets)
    add("--data-dir", metavar="FOLDER", help="where the files of fashion-mnist are")
    workers = converter(int, "number")
    add("--workers", type=workers, metavar="N", help="threads that load images; default: the cores")
    _json(parser)


def _compare(parser: Parser) -> None:
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="run folders, finished or not")
    add("--plot", metavar="PICTURE", help=f"draw the curves of all of them: {_PICTURE}")
    _json(parser)


def _models(parser: Parser) -> None:
    add, number = parser.add_argument, converter(int, "number")
    help_pattern = "such as 'resnet*'; default: all"
    add("pattern", nargs="?", default="*", metavar="PATTERN", help=help_pattern)
    help_size = "show the shapes stage by stage, for an image of N x N pixels"
    add("--image-size", type=number, metavar="N", help=help_size)
    add("--channels", type=number, metavar="N", help="of the images; default: 3")
    help_classes = "default: 1000, or 10 for networks for small images"
    add("--classes", type=number, metavar="N", help=help_classes)
    _json(parser)


def _convert(parser: Parser) -> None:
    add = parser.add_argument
    help_file = "weights: a file, a run or Classifier folder, or a name of the Hugging Face Hub"
    add("weights", metavar="FILE", help=help_file)
    add("--to", required=True, choices=NAMINGS, help="whose names to write")
    add("--out", type=as_name, required=True, metavar="FILE", help="the .safetensors file to write")
    help_model = "a name of the zoo; by default told from the weights"
    add("--model", metavar="NAME", help=help_model)
    help_from = "whose names the weights have; by default told from them"
    add("--from", dest="naming", choices=NAMINGS, help=help_from)
    _json(parser)


def _deepen(parser: Parser) -> None:
    add = parser.add_argument
    add("run_folder", metavar="RUN", help=_RUN)
    add("--to", metavar="MODEL", help="a deeper network of the same kind, such as resnet110")
    depths = converter(tuple[int, ...], "list of numbers")
    add("--depths", type=depths, metavar="N,N,N", help="instead: the blocks in every stage")
    add(
        "--out", type=as_name, required=True, metavar="FOLDER", help="the Classifier folder to make"
    )
    _json(parser)


def _shrink(parser: Parser) -> None:
    add = parser.add_argument
    add("run_folder", metavar="RUN", help=f"{_RUN}, trained with --any-depth")
    layers = converter(int, "number")
    add("--depth", type=layers, required=True, metavar="LAYERS", help="of the network to keep")
    add(
        "--out", type=as_name, required=True, metavar="FOLDER", help="the Classifier folder to make"
    )
    _json(parser)


def _combine(parser: Parser) -> None:
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help=f"{_RUN}: two or more")
    add("--out", type=as_name, required=True, metavar="FOLDER", help="the folder to make")
    help_average = "one network with the mean of their weights, its norms measured on these images"
    add("--average", metavar="DATA", help=f"instead of an ensemble: {help_average}")
    add("--data-dir", metavar="FOLDER", help=_DATA_DIR)
    _json(parser)


def _bench(parser: Parser) -> None:
    add, number = parser.add_argument, converter(int, "number")
    help_names = f"names of the zoo, patterns such as 'resnet*d', {_RUN}"
    add("names", nargs="+", metavar="NAME", help=help_names)
    help_size = "side in pixels; default: the network's usual one, or the Classifier's own"
    add("--image-size", type=number, metavar="N", help=help_size)
    help_batch = "images computed at a time; default: the quickest of 1, 2, 4, ... 256"
    add("--batch-size", type=number, metavar="N", help=help_batch)
    help_train = "images of a training step, halved until they fit memory; default: 32"
    add("--train-batch", type=number, default=32, metavar="N", help=help_train)
    add("--no-train", dest="train", action="store_false", help="leave the training step out")
    add("--quick", action="store_true", help="fewer repetitions")
    _precision(parser)
    help_plot = "draw images/s against accuracy: published ones, or those of the runs themselves"
    add("--plot", metavar="PICTURE", help=f"{help_plot}; {_PICTURE}")
    add("--zh", action="store_true", help="the plot's words in Chinese")
    _json(parser)
    _machine(parser, workers=False)


def _labels(parser: Parser) -> None:
    add = parser.add_argument
    add("run_folder", metavar="RUN", help="of train DATA --folds 3, or of train DATA --dynamics")
    cut = converter(float, "number")
    help_cut = "list labels whose chance to be right is below this; default: 0.5"
    add("--cut", type=cut, default=0.5, metavar="X", help=help_cut)
    add("--csv", type=as_name, metavar="FILE", help="write them, to be edited, for train --labels")
    words = ("given", "likely", "empty")
    help_fill = (
        "what stands in the CSV's column label: as given, so that nothing changes until you "
    )
    help_fill += "edit it; the likely class; or nothing, which leaves the image out"
    add("--fill", choices=words, default="given", help=f"{help_fill}; default: given")
    add("--sheet", metavar="PICTURE", help=f"draw the 50 worst: {_PICTURE}")
    add("--data-dir", metavar="FOLDER", help=_DATA_DIR)
    _json(parser)


def _lab(parser: Parser) -> None:
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help="an experiment, or all; without one: the list")
    add("--list", action="store_true", help="list the experiments and what they ask")
    add("--full", action="store_true", help="the version of an hour or two each, not minutes")
    seeds = converter(int, "number")
    add("--seeds", type=seeds, metavar="N", help="instead of the experiment's own number")
    minutes = converter(float, "minutes")
    help_minutes = "when they are over, no further run begins; the same command goes on later"
    add("--minutes", type=minutes, default=math.inf, metavar="M", help=help_minutes)
    help_zh = "what is printed in Chinese; pages and figures come in both languages"
    add("--zh", dest="language", action="store_const", const="zh", default="en", help=help_zh)
    add("--out", type=as_name, default="lab", metavar="FOLDER", help="default: lab")
    add("--data-dir", metavar="FOLDER", help=_DATA_DIR)
    _json(parser)
    _machine(parser)


def _recipes(parser: Parser) -> None:
    help_names = "a recipe, or a YAML file of your own; two are set side by side"
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=help_names)
    help_preview = "draw some training pictures as they are, and as the recipe shows them"
    add("--preview", metavar="DATA", help=help_preview)
    add("--out", metavar="PICTURE", help=f"of --preview: {_PICTURE}; default: recipe-NAME.png")
    add("--data-dir", metavar="FOLDER", help=_DATA_DIR)
    _json(parser)


_COMMANDS: dict[str, tuple[str, Callable[[Parser], None]]] = {
    "train": ("train a network on labelled images", _train),
    "find": ("find good settings for labelled images, by trying: a recipe with its reasons", _find),
    "evaluate": ("judge a trained network on labelled images, each counted once", _evaluate),
    "predict": ("name what is on pictures; exit code 1 if any cannot be read", _predict),
    "labels": ("rank the labels of a run's training images: which look wrong", _labels),
    "compare": ("set runs side by side: what differs, and what came of it", _compare),
    "check": ("look a data set through: damage, duplicates, leaks, imbalance", _check),
    "deepen": ("make a trained network deeper, its outputs the same bit for bit", _deepen),
    "shrink": ("keep one depth of a network that has several", _shrink),
    "combine": ("make several trained networks one: an ensemble, or an average", _combine),
    "convert": ("write weights under the tensor names of torchvision or timm, or back", _convert),
    "bench": ("measure networks on this machine: images/s, milliseconds, memory", _bench),
    "models": ("list networks and what they cost, or show one stage by stage", _models),
    "lab": ("run a claim of the textbook as an experiment: data, a figure, a verdict", _lab),
    "recipes": ("list recipes, explain one line by line, or show how two differ", _recipes),
}


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def _batch(parser: Parser) -> None:
    help_batch = "images computed at a time; default: 128"
    number = converter(int, "number")
    parser.add_argument("--batch-size", type=number, default=128, metavar="N", help=help_batch)
    _precision(parser)


def _latency(parser: Parser) -> None:
    meaning = "instead: the deepest network inside that answers in such a time here: 5ms"
    parser.add_argument("--latency", metavar="TIME", help=meaning)


def _precision(parser: Parser) -> None:
    words, meaning = typing.get_args(Precision), "auto: bf16 where that is quicker"
    help_precision = f"{meaning}; default: auto"
    parser.add_argument("--precision", choices=words, default="auto", help=help_precision)


def _images_and_output(parser: Parser) -> None:
    add = parser.add_argument
    add("--strict", action="store_true", help="stop at an image that cannot be read")
    add("--data-dir", metavar="FOLDER", help=_DATA_DIR)
    _json(parser)


def _machine(parser: Parser, *, workers: bool = True) -> None:
    add, number = parser.add_argument_group("machine").add_argument, converter(int, "number")
    cores = "default: the cores"
    if workers:
        add("--workers", type=number, metavar="N", help=f"threads that load images; {cores}")
    add("--threads", type=number, metavar="N", help=f"threads that torch computes with; {cores}")
    devices = ("auto", "cpu", "cuda", "mps")
    add("--device", choices=devices, default="auto", help="default: the best there is")


def _recipe(parser: Parser) -> None:
    """A flag for every setting of the recipe; only those that are given override it."""
    default, groups = Recipe(), {}
    for name, (part, annotation, field) in flat_fields().items():
        if name == "data":
            continue
        if part not in groups:
            groups[part] = parser.add_argument_group(f"recipe: {part}" if part else "recipe")
        value = getattr(getattr(default, part) if part else default, name)
        usual = "" if value in (None, ()) else f"; default: {shown(value, between=',')}"
        measured = "; auto: measured" if name in MEASURED else ""
        options: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        if annotation is not bool:
            options = {
                "type": converter(annotation, name, or_auto=name in MEASURED),
                "metavar": field.metadata.get("metavar") or metavar(annotation),
            }
        groups[part].add_argument(
            f"--{name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            help=(field.metadata["help"] + measured + usual).replace("%", "%%"),
            **options,
        )
