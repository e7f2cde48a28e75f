"""How long it takes from the command to the first batch on a folder of 100,000 images.

    python benchmarks/many_files.py

Fashion-MNIST as PNG files in a folder a class. The first start decodes every image once; later ones
remember what it found (data/looks.py).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from resnetkit.data.sources import open_dataset

IMAGES, STARTS = 100_000, 4
RESULTS = Path(__file__).parent / "results" / "many_files.json"
TRAIN = """
import os, sys, time
import resnetkit as rk
from resnetkit.training.trainer import Trainer

def first_step(trainer, batch):
    print(time.time(), len(batch.labels), flush=True)
    os._exit(0)

Trainer.train_step = first_step
rk.train(sys.argv[1], out=sys.argv[2], epochs=1)
"""


def write_images(folder: Path, images: int) -> None:
    """So many PNG files, shared out over ten classes."""
    parts = open_dataset("fashion-mnist").parts.values()
    pixels = np.concatenate([part.images[..., 0] for part in parts])  # ty: ignore
    labels = np.concatenate([part.labels for part in parts])
    for number in range(images):
        place = folder / f"class-{labels[number % len(labels)]}"
        place.mkdir(exist_ok=True)
        Image.fromarray(pixels[number % len(pixels)]).save(place / f"{number:06d}.png")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        write_images(folder / "data", IMAGES)
        seconds = []
        for start in range(STARTS):
            began = time.time()
            done = subprocess.run(
                [sys.executable, "-c", TRAIN, folder / "data", folder / f"run-{start}"],
                capture_output=True, text=True, check=True,
                env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
            )  # fmt: skip
            seconds.append(float(done.stdout.split()[0]) - began)
            print(f"start {start + 1}: first batch after {seconds[-1]:.1f} s", flush=True)
    RESULTS.write_text(json.dumps({"images": IMAGES, "seconds": seconds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
