"""`resnetkit check` on 60,000 PNG files with 500 exact and 500 near duplicates planted among them.

    python benchmarks/check_duplicates.py [--montage flagged.png]

Near ones are resized, recompressed, or shifted by a pixel. Everything else that is flagged is
Fashion-MNIST's own: --montage draws the first 50 groups of those, one above the other.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from resnetkit.data.sources import open_dataset

PLANTED = 500
RESULTS = Path(__file__).parent / "results" / "check_duplicates.json"


def near(pixels: np.ndarray, number: int, draw: np.random.Generator) -> tuple[str, bytes, str]:
    """What was done to a picture, the file's bytes, and its ending."""
    picture, out = Image.fromarray(pixels), io.BytesIO()
    kind = ("resized", "recompressed", "shifted")[number % 3]
    if kind == "resized":
        side = int(draw.choice([24, 32, 40, 56, 64]))
        how = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)[number % 2]
        picture.resize((side, side), how).save(out, "PNG")
    elif kind == "recompressed":
        picture.save(out, "JPEG", quality=int(draw.integers(70, 96)))
    else:
        down, right = [(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, 1)][draw.integers(6)]
        padded = np.pad(pixels, 1, mode="edge")
        Image.fromarray(padded[1 + down : 29 + down, 1 + right : 29 + right]).save(out, "PNG")
    return kind, out.getvalue(), "jpg" if kind == "recompressed" else "png"


def write(folder: Path) -> dict[str, tuple[str, str]]:
    """Write the files; returns planted path -> (its kind, the path it is a copy of)."""
    source, draw, planted = (
        open_dataset("fashion-mnist").parts["train"],
        np.random.default_rng(1),
        {},
    )
    pixels, paths = source.images[..., 0], []  # ty: ignore[missing-attribute]
    for index, label in enumerate(source.labels):
        place = folder / f"class-{label}"
        place.mkdir(exist_ok=True)
        paths.append(place / f"{index:05d}.png")
        Image.fromarray(pixels[index]).save(paths[-1])
    chosen = draw.choice(len(pixels), 2 * PLANTED, replace=False)
    for number, index in enumerate(chosen):
        if number < PLANTED:
            kind, content, ending = "exact", paths[index].read_bytes(), "png"
        else:
            kind, content, ending = near(pixels[index], number, draw)
        path = paths[index].with_name(f"planted-{number:04d}.{ending}")
        path.write_bytes(content)
        planted[str(path)] = (kind, str(paths[index]))
    return planted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--montage", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        planted = write(Path(name))
        began = time.monotonic()
        command = [sys.executable, "-m", "resnetkit", "check", name, "--workers", "2", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.monotonic() - began
        groups = [
            {image["path"] for image in group["images"]}
            for group in json.loads(done.stdout)["duplicates"]
        ]
        found, total = {}, {}
        for path, (kind, original) in planted.items():
            total[kind] = total.get(kind, 0) + 1
            found[kind] = found.get(kind, 0) + any(
                path in group and original in group for group in groups
            )
        known = set(planted) | {original for _, original in planted.values()}
        own = [sorted(group - set(planted)) for group in groups]
        own = [group for group in own if len(group) > 1]
        flagged = {path for group in own for path in group} - known
        results = {
            "files": 60_000 + len(planted), "seconds": round(seconds, 1),
            "found": {kind: f"{found[kind]} of {total[kind]}" for kind in total},
            "unplanted pictures flagged": len(flagged), "groups of them": len(own),
        }  # fmt: skip
        print(json.dumps(results, indent=1))
        if options.montage:
            pairs = [[np.asarray(Image.open(path)) for path in group[:2]] for group in own[:50]]
            columns = [np.concatenate(pair) for pair in pairs]
            rows = [np.concatenate(columns[i : i + 10], 1) for i in range(0, len(columns), 10)]
            wide = max(row.shape[1] for row in rows)
            rows = [np.pad(row, ((0, 6), (0, wide - row.shape[1]))) for row in rows]
            sheet = Image.fromarray(np.concatenate(rows))
            sheet.resize((sheet.width * 3, sheet.height * 3)).save(options.montage)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
