"""Folders of JPEGs for benchmarks: crops of the photographs that scikit-image ships.

    .venv-peers/bin/python benchmarks/photos.py FOLDER --images 20000

500 x 375 pixels, quality 90, ten classes by turns; crop, place and side are a function of the
number. A folder that holds them already is left alone.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, CLASSES = 500, 375, 10
NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png")


def photographs() -> list[Image.Image]:
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    found = [Image.open(folder / name).convert("RGB") for name in NAMES if (folder / name).exists()]
    if not found:
        raise SystemExit(f"no photographs in {folder}")
    return found


def crop(photo: Image.Image, number: int) -> Image.Image:
    draw = np.random.default_rng(number)
    width = photo.width * draw.uniform(0.4, 1.0)
    height = min(photo.height, width * HEIGHT / WIDTH)
    width = height * WIDTH / HEIGHT
    left, top = draw.uniform(0, photo.width - width), draw.uniform(0, photo.height - height)
    box = (left, top, left + width, top + height)
    picture = photo.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=box)
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if draw.random() < 0.5 else picture


def make(folder: Path, images: int) -> None:
    """Write so many pictures into folder/<class>/<number>.jpg."""
    photos = photographs()

    def write(number: int) -> None:
        file = folder / f"class{number % CLASSES}" / f"{number:06}.jpg"
        if not file.exists():
            crop(photos[number % len(photos)], number).save(file, quality=90)

    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(images)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    options = parser.parse_args()
    make(options.folder, options.images)


if __name__ == "__main__":
    main()
