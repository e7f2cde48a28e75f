"""`resnetkit check` on a folder with everything wrong at once; and training on it all the same."""

import io
import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.training.observer import Observer


def bomb() -> bytes:
    """A PNG whose header announces 20,000 x 20,000 pixels."""
    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    crc = struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc + b"\0" * 100


@pytest.fixture(scope="module")
def wild(tmp_path_factory, fashion) -> Path:
    """Folders as people have them: odd names, odd files, links, what is no image."""
    root = tmp_path_factory.mktemp("wild data")
    source, rows = fashion.parts["train"], iter(range(1000))

    def picture() -> Image.Image:
        return Image.fromarray(source.image(next(rows))[:, :, 0])

    def save(place: str, name: str, image: Image.Image, **options) -> Path:
        folder = root / place
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / name, **options)
        return folder / name

    for part, count in (("train", 12), ("test", 4)):
        for label in ("<b>猫<b>", "it's", "a b"):
            for i in range(count):
                save(f"{part}/{label}", f"{i}.png", picture())
    cat, quote, space = (root / "train" / name for name in ("<b>猫<b>", "it's", "a b"))
    save("train/<b>猫<b>/nested/deep", "名前 \n'\".png", picture())
    Path(os.fsdecode(os.fsencode(cat) + b"/\xff\xfe.png")).write_bytes((cat / "0.png").read_bytes())
    (quote / "linked.png").symlink_to(cat / "1.png")
    (space / "loop").symlink_to(space)
    (space / "gone.png").symlink_to(space / "nowhere")
    rgb = picture().convert("RGB").resize((90, 60))
    for ending in ("gif", "webp", "tiff", "bmp", "jpg", "ppm"):
        save("train/a b", f"x.{ending}", rgb.rotate(len(ending) * 9 + ord(ending[0])))
    save("train/a b", "moving.gif", picture(), save_all=True, append_images=[picture()])
    save("train/a b", "clear.png", picture().convert("RGBA").rotate(45))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    save("train/a b", "turned.jpg", rgb, exif=exif)
    wide = (np.asarray(picture()).astype(np.uint16) * 257).astype(np.uint16)
    save("train/a b", "wide.png", Image.fromarray(wide))
    (quote / "really a png.jpg").write_bytes((quote / "3.png").read_bytes())
    out = io.BytesIO()
    rgb.resize((400, 300)).save(out, "JPEG", quality=95)
    whole = out.getvalue()
    (quote / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    middle = len(whole) // 2
    (quote / "corrupt.jpg").write_bytes(whole[:middle] + b"\xff\xd9\x00\xff" + whole[middle + 4 :])
    (quote / "bomb.png").write_bytes(bomb())
    (quote / "empty.png").touch()
    (quote / "notes.txt").write_text("no image")
    (quote / ".hidden.png").write_bytes((quote / "0.png").read_bytes())
    (root / "train" / ".cache").mkdir()
    shutil.copy(cat / "2.png", root / "test" / "<b>猫<b>" / "leak.png")
    shutil.copy(cat / "5.png", quote / "mislabelled.png")
    save("test/only here", "0.png", picture())
    return root


BAD = {"cut.jpg", "corrupt.jpg", "bomb.png", "empty.png", "gone.png"}


def test_everything_is_found(wild, tmp_path, capsys):
    assert main(["check", str(wild), "--json", "--sheets", str(tmp_path / "sheets")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {Path(bad["path"]).name for bad in found["unreadable"]} == BAD
    assert found["classes"]["train"]["<b>猫<b>"] == 14
    assert found["classes"]["test"]["only here"] == 1
    assert found["class_differences"] == ["train has no image of only here"]
    odd = {what: {Path(path).name for path in paths} for what, paths in found["odd"].items()}
    assert odd == {
        "wrong ending": {"really a png.jpg"},
        "turned by EXIF": {"turned.jpg"},
        "16-bit grey": {"wide.png"},
        "transparent": {"clear.png"},
        "animated: its first frame counts": {"moving.gif"},
    }
    twins = [
        (group["exact"], group["across_parts"], group["labels_differ"],
         {os.fsencode(Path(image["path"]).name) for image in group["images"]})
        for group in found["duplicates"]
    ]  # fmt: skip
    assert (True, True, False, {b"2.png", b"leak.png"}) in twins
    assert (True, False, True, {b"5.png", b"mislabelled.png"}) in twins
    assert (True, False, True, {b"1.png", b"linked.png"}) in twins
    assert (True, False, False, {b"0.png", b"\xff\xfe.png"}) in twins
    passed = {what: {Path(p).name for p in paths} for what, paths in found["passed_over"].items()}
    assert passed["hidden"] == {".hidden.png", ".cache"}
    assert passed["no image by its ending"] == {"notes.txt"}
    assert passed["link to a folder seen already"] == {"loop"}
    assert {"GIF", "WEBP", "TIFF", "BMP", "JPEG", "PNG", "PPM"} == set(found["formats"])
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == ["000-_b_猫_b_.png", "001-a_b.png", "002-it_s.png", "003-only_here.png"]
    assert Image.open(tmp_path / "sheets" / names[0]).width > 500


def test_as_a_table(wild, capfdbinary):
    assert main(["check", str(wild)]) == 0
    said = capfdbinary.readouterr().out.decode(errors="surrogateescape")
    assert "the same picture in two parts (a leak): 1" in said
    assert "cannot be read: 5" in said
    assert "imbalanced: the largest class of test has" in said
    assert "<b>猫<b>" in said


def test_a_phones_picture_is_no_animation(tmp_path, fashion, capsys):
    small = Image.fromarray(fashion.parts["train"].image(0)[:, :, 0]).convert("RGB")
    (tmp_path / "a").mkdir()
    large, place = small.resize((64, 64)), tmp_path / "a" / "phone.jpg"
    large.save(place, "MPO", save_all=True, append_images=[small])
    assert main(["check", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["formats"] == {"MPO": 1}
    assert found["odd"] == {}


def test_a_good_data_set_has_nothing_to_say(tmp_path, fashion, capsys):
    source = fashion.parts["train"]
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(4):
            row = i + 10 * (label == "b")
            Image.fromarray(source.image(row)[:, :, 0]).save(tmp_path / label / f"{i}.png")
    assert main(["check", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 9
    assert said[0].endswith("8 images that can be read, 0 that cannot")


def test_it_is_trained_on_judged_and_predicted_all_the_same(wild, tmp_path, capsys):
    """What can be read is used, what cannot is named: the same files in every command."""
    data = tmp_path / "data"
    shutil.copytree(wild / "train", data, symlinks=True)
    (data / "a b" / "loop").unlink()
    (data / "a b" / "loop").symlink_to(data / "a b")
    out = tmp_path / "run"
    rk.train(
        str(data), out=str(out), model="resnet8", epochs=1, batch_size=16, image_size=28,
        threads=1, workers=2, observer=Observer(),
    )  # fmt: skip
    skipped = json.loads((out / "data.json").read_text())["skipped"]
    assert {Path(path).name for _, path, _ in skipped} == BAD
    capsys.readouterr()
    assert main(["evaluate", str(out), str(data), "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {Path(bad["path"]).name for bad in found["skipped"]} == BAD
    assert found["images"] == 51
    assert main(["predict", str(out), str(data), "--json", "--threads", "1"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {Path(row["path"]).name for row in found if "error" in row} == BAD
    assert sum("top" in row for row in found) == 51
