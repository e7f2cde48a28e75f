"""Mutated image files through check, train, evaluate and predict, against a clean run.

    python benchmarks/fuzz_images.py --files 2000

Files of all formats have bytes flipped, are cut, or have a piece of another file spliced in. No
command may crash, hang, or take more than twice the memory that it takes on the same files whole.
"""

import argparse
import io
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from resnetkit.data.sources import open_dataset

RESULTS = Path(__file__).parent / "results" / "fuzz_images.json"
LONGEST = 600
"""Seconds after which a command counts as hung."""

KINDS: dict[str, tuple[str, dict]] = {
    "png": ("RGB", {}), "grey.png": ("L", {}), "alpha.png": ("RGBA", {}), "palette.png": ("P", {}),
    "wide.png": ("I;16", {}), "jpg": ("RGB", {"quality": 90}), "grey.jpg": ("L", {}),
    "progressive.jpg": ("RGB", {"progressive": True}), "cmyk.jpg": ("CMYK", {}), "gif": ("P", {}),
    "webp": ("RGB", {}), "lossless.webp": ("RGBA", {"lossless": True}), "tif": ("RGB", {}),
    "lzw.tif": ("L", {"compression": "tiff_lzw"}), "bmp": ("RGB", {}), "ppm": ("RGB", {}),
    "pgm": ("L", {}),
}  # fmt: skip


def encoded(pixels: np.ndarray, kind: str, side: int) -> bytes:
    mode, options = KINDS[kind]
    picture, out = Image.fromarray(pixels).resize((side, side)), io.BytesIO()
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    formats = {"jpg": "JPEG", "tif": "TIFF", "pgm": "PPM"}
    ending = kind.rsplit(".", 1)[-1]
    picture.save(out, formats.get(ending, ending.upper()), **options)
    return out.getvalue()


def mutated(content: bytes, other: bytes, draw: random.Random) -> bytes:
    """The bytes flipped, cut, or spliced."""
    changed = bytearray(content)
    how = draw.choice(["flip", "flip many", "flip head", "cut", "splice", "grow"])
    if how.startswith("flip"):
        places = {"flip": 1, "flip many": max(1, len(changed) // 50), "flip head": 4}[how]
        end = min(len(changed), 64) if how == "flip head" else len(changed)
        for _ in range(places):
            changed[draw.randrange(end)] = draw.randrange(256)
    elif how == "cut":
        del changed[draw.randrange(1, len(changed)) :]
    elif how == "splice":
        place, start = draw.randrange(len(changed)), draw.randrange(len(other))
        changed[place : place + draw.randrange(200)] = other[start : start + draw.randrange(200)]
    else:
        changed += bytes(draw.randrange(256) for _ in range(draw.randrange(1, 100)))
    return bytes(changed)


def write(folder: Path, files: int, seed: int) -> None:
    """The same files whole and mutated, in two classes each."""
    source, draw = open_dataset("fashion-mnist").parts["train"], random.Random(seed)
    kinds = list(KINDS)
    for number in range(files):
        kind = kinds[number % len(kinds)]
        pixels = source.image(number)[:, :, 0]
        content = encoded(pixels, kind, draw.choice([28, 96, 200]))
        other = encoded(pixels, draw.choice(kinds), 28)
        for place, data in (("clean", content), ("mutated", mutated(content, other, draw))):
            path = folder / place / f"class-{number % 2}" / f"{number:04d}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def run(arguments: list[str], cache: Path) -> tuple[int, int, float, str]:
    """Exit code (-9 when it hung), peak resident MiB, seconds, and what it said."""
    said = cache.parent / "said.txt"
    began = time.monotonic()
    with said.open("wb") as out:
        both = [(os.POSIX_SPAWN_DUP2, out.fileno(), number) for number in (1, 2)]
        pid = os.posix_spawn(
            sys.executable, [sys.executable, "-m", "resnetkit", *arguments],
            os.environ | {"XDG_CACHE_HOME": str(cache)}, file_actions=both,
        )  # fmt: skip
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            text = said.read_text(errors="replace")
            code = os.waitstatus_to_exitcode(status)
            return code, usage.ru_maxrss // 1024, time.monotonic() - began, text
        if time.monotonic() - began > LONGEST:
            os.kill(pid, 9)
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bad, results = 0, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, options.files, options.seed)
        commands = {
            "check": ["check", "{data}"],
            "train": (
                "train {data} --model resnet8 --epochs 1 --image-size 64 --out {run} --workers 2"
            ).split(),
            "evaluate": ["evaluate", "{trained}", "{data}", "--workers", "2"],
            "predict": ["predict", "{trained}", "{data}", "--workers", "2"],
        }
        for command, words in commands.items():
            peaks = {}
            for kind in ("clean", "mutated"):
                places = {
                    "data": folder / kind, "run": folder / f"run-{kind}",
                    "trained": folder / "run-clean",
                }  # fmt: skip
                arguments = [word.format(**places) for word in words]
                code, peaks[kind], seconds, said = run(arguments, folder / f"cache-{kind}")
                good = code in (0, 1) and "Traceback" not in said
                bad += not good
                print(
                    f"{command} {kind}: exit {code}, {peaks[kind]} MiB, {seconds:.0f} s", flush=True
                )
                if not good:
                    print(said[-2000:])
            ratio = peaks["mutated"] / peaks["clean"]
            bad += ratio > 2
            results[command] = {"peak MiB": peaks, "ratio": round(ratio, 2)}
    results |= {"files": options.files, "failures": bad}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{options.files} mutated files, {bad} failures")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
