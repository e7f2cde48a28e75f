"""The textbook's recipe, measured in part and extrapolated; the default one in the same minutes.

    python benchmarks/textbook.py --epochs 1

Trains so many of the textbook's ten epochs (its rate is constant, so they are its first ones), then
`--recipe default` for a number of epochs that takes the same time. Each is judged once on the test
part. Writes benchmarks/results/textbook.json.
"""

import argparse
import json
import tempfile
from pathlib import Path

from commands import resnetkit

RESULTS = Path(__file__).parent / "results"


def train(out: Path, *flags: str) -> dict:
    run = resnetkit("train", "fashion-mnist", "--out", str(out), *flags)
    run["test_top1"] = resnetkit("evaluate", str(out), "fashion-mnist")["top1"]
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        textbook = train(
            place / "textbook", "--recipe", "textbook", "--epochs", str(options.epochs)
        )
        probe = resnetkit("train", "fashion-mnist", "--epochs", "1", "--out", str(place / "probe"))
        epochs = max(1, int(textbook["seconds"] // probe["seconds"]))
        default = train(place / "default", "--epochs", str(epochs))
    found = {
        "textbook": textbook | {"extrapolated_seconds": textbook["seconds"] / options.epochs * 10},
        "default": default,
    }
    print(json.dumps(found, indent=1))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "textbook.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
