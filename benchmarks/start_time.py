"""The whole process `resnetkit predict RUN PICTURE` against `python -c "import torch"`, in turns.

    python benchmarks/start_time.py

The run is made for it: one epoch of resnet20 on a thousand images of Fashion-MNIST. Writes
benchmarks/results/start_time.json.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from turns import keep, median_of, ratio, seconds

PICTURES = Path(__file__).parents[1] / "examples" / "pictures"


def call(*arguments: str) -> float:
    command = [sys.executable, *arguments]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    picture = str(sorted(PICTURES.glob("*.png"))[0])
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        call("-m", "resnetkit", "train", "fashion-mnist", "--model", "resnet20", "--epochs", "1",
             "--limit", "1000", "--out", run)  # fmt: skip
        commands = {"ours": ("-m", "resnetkit", "predict", run, picture),
                    "torch": ("-c", "import torch")}  # fmt: skip
        rounds = []
        for number in range(options.rounds + 2):
            order = list(commands)[:: 1 if number % 2 else -1]
            rounds.append({who: call(*commands[who]) for who in order})
    rounds = rounds[2:]
    longer = ratio(rounds, "torch", "ours")
    print({who: round(median_of(rounds, who), 2) for who in commands}, longer)
    keep("start_time", {"times_import_torch": longer, "rounds": rounds})


if __name__ == "__main__":
    main()
