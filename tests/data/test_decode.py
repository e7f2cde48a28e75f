"""Images as people have them: modes, rotation, damage."""

import io

import numpy as np
import pytest
from PIL import Image

from resnetkit.data.decode import BadImage, decode
from resnetkit.data.sources import Dataset


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def photo(fashion: Dataset) -> Image.Image:
    """A colour picture without symmetry, 56 x 42."""
    source = fashion.parts["train"]
    layers = [Image.fromarray(source.image(i)[:, :, 0]).resize((56, 42)) for i in (0, 1, 5)]
    return Image.merge("RGB", layers)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "PPM"])
def test_formats_and_channels(photo, kind):
    grey = photo.convert("L")
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(grey if kind == "GIF" else photo, kind, **options)
    expected = np.asarray(grey.convert("RGB") if kind == "GIF" else photo)
    assert np.array_equal(decode(data, "x", 3), expected)
    assert decode(data, "x", 1).shape == (42, 56, 1)


def test_grey_stays_grey_and_rgb_stays_rgb(photo):
    assert decode(encoded(photo.convert("L"), "PNG"), "x").shape == (42, 56, 1)
    assert decode(encoded(photo, "JPEG"), "x").shape == (42, 56, 3)
    assert decode(encoded(photo.convert("L"), "JPEG"), "x").shape == (42, 56, 1)
    assert decode(encoded(photo.convert("1"), "PNG"), "x").shape == (42, 56, 1)


def test_jpeg_pixels_are_pillows(photo):
    data = encoded(photo, "JPEG", quality=90)
    assert np.array_equal(decode(data, "x"), np.asarray(Image.open(io.BytesIO(data))))


def test_cmyk_and_palette(photo):
    cmyk = encoded(photo.convert("CMYK"), "JPEG", quality=100)
    assert abs(decode(cmyk, "x", 3).astype(int) - np.asarray(photo)).mean() < 4
    palette = photo.convert("P")
    assert np.array_equal(decode(encoded(palette, "PNG"), "x"), np.asarray(palette.convert("RGB")))


def test_transparency_lies_on_white():
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((0, 0), (10, 20, 30, 255))
    pixels = decode(encoded(image, "PNG"), "x")
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels[1, 1].tolist() == [255, 255, 255]


def test_sixteen_bit_grey_is_scaled_not_clipped():
    wide = np.array([[0, 257, 25700, 65535]], np.uint16)
    pixels = decode(encoded(Image.fromarray(wide), "PNG"), "x")
    assert pixels[0, :, 0].tolist() == [0, 1, 100, 255]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(photo, kind, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(photo, kind, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(decode(data, "x"), np.asarray(expected))


def test_first_frame_of_an_animation(photo):
    frames = [photo.convert("L"), photo.convert("L").rotate(90)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.array_equal(decode(data, "x", 1)[:, :, 0], np.asarray(frames[0]))


def test_a_png_named_jpg_is_a_png(photo):
    assert np.array_equal(decode(encoded(photo, "PNG"), "x.jpg"), np.asarray(photo))


def middle_damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + b"\xff\xd9" * 20 + data[middle + 40 :]


def mpo(image: Image.Image) -> bytes:
    """What many phones write: a JPEG with a second picture behind the first."""
    small = image.resize((8, 8))
    data = encoded(image, "MPO", save_all=True, append_images=[small], quality=95)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    return data


def test_the_first_picture_of_a_phones_file(photo):
    data = mpo(photo)
    assert np.array_equal(decode(data, "x"), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda p: b"", "the file is empty"),
        (lambda p: b"not an image at all", "not an image that can be read"),
        (lambda p: encoded(p, "JPEG")[:-200], ""),
        (lambda p: middle_damaged(encoded(p, "JPEG", quality=95)), ""),
        (lambda p: middle_damaged(mpo(p)), ""),
        (lambda p: encoded(p, "PNG")[:-200], ""),
        (lambda p: encoded(p, "TIFF")[:-3000], ""),
        (lambda p: encoded(p.convert("F"), "TIFF"), "no known range"),
    ],
    ids=[
        "empty",
        "text",
        "cut-jpeg",
        "damaged-jpeg",
        "damaged-mpo",
        "cut-png",
        "cut-tiff",
        "float",
    ],
)
def test_damage_is_named(photo, data, reason):
    with pytest.raises(BadImage, match=r"^folder/x\.img: .+") as caught:
        decode(data(photo), "folder/x.img")
    assert caught.value.path == "folder/x.img"
    assert reason in caught.value.reason


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_by_its_header():
    data = encoded(Image.new("1", (11000, 10000)), "PNG")
    with pytest.raises(BadImage, match="11000 x 10000 is 110 megapixels"):
        decode(data, "x")


@pytest.mark.parametrize(
    ("least_side", "by"), [(None, 1), (151, 1), (75, 2), (76, 1), (38, 4), (39, 2), (19, 8), (1, 8)]
)
def test_a_jpeg_comes_smaller_where_that_is_enough(fashion, least_side, by):
    picture = Image.fromarray(fashion.parts["train"].image(1, 3)).resize((201, 150))
    data = encoded(picture, "JPEG", quality=90)
    out = decode(data, "x", 3, least_side)
    drafted = Image.open(io.BytesIO(data))
    drafted.draft("RGB", (201 // by, 150 // by))
    assert out.shape == (-(-150 // by), -(-201 // by), 3)
    assert np.array_equal(out, np.asarray(drafted))
    assert least_side is None or min(out.shape[:2]) >= min(150, least_side)
