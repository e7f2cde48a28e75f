"""One command per verb: parse, call; what a person can mend is said in one line."""

import io
import os
import sys
import warnings
from collections.abc import Sequence

from resnetkit.commands import judging, lab, labels, networks, training
from resnetkit.commands.saying import SIGNAL_EXIT, say
from resnetkit.errors import UserError, is_out_of_memory
from resnetkit.flags import make_parser
from resnetkit.ranks import Quiet, RankError, end_process, is_first


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 2 for what the person can mend, in one line."""
    code = _run(arguments)
    end_process(code)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    warnings.filterwarnings("ignore", module=r"PIL\.")
    runs = {
        "train": training.train,
        "find": training.find,
        "evaluate": judging.evaluate,
        "predict": judging.predict,
        "labels": labels.labels,
        "check": judging.check,
        "compare": judging.compare,
        "convert": networks.convert,
        "deepen": networks.deepen,
        "shrink": networks.shrink,
        "combine": networks.combine,
        "bench": networks.bench,
        "models": networks.models,
        "lab": lab.lab,
        "recipes": networks.recipes,
    }
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name is printed in its own bytes
        utf8 = sys.stdout.encoding.lower() == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    try:
        options = make_parser(runs).parse_args(arguments)
        if options.run not in (training.train, judging.evaluate) and not is_first():
            return 0  # torchrun has started several of us, and one is enough
        code = options.run(options)
        if sys.stdout:  # it may be closed
            sys.stdout.flush()
        return code
    except UserError as error:
        if isinstance(error, RankError) or (is_first() and not isinstance(error, Quiet)):
            say(f"resnetkit: {error}")
    except BrokenPipeError:  # who read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UnicodeEncodeError as error:
        say(f"resnetkit: this is no text, and cannot be printed: {error.object[error.start]!a}")
    except OSError as error:
        say(f"resnetkit: {error.filename or 'input or output'}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        say("resnetkit: not enough memory: lower --batch-size or --image-size")
    except KeyboardInterrupt:
        say("resnetkit: interrupted")
        return SIGNAL_EXIT + 2
    return 2
