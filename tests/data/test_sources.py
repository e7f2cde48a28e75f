"""Folders, CSV lists, IDX files; and every way to get them wrong."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from resnetkit import UserError
from resnetkit.data.sources import images_under, open_dataset


def test_fashion_mnist(fashion):
    assert {part: len(s) for part, s in fashion.parts.items()} == {"train": 60_000, "test": 10_000}
    train = fashion.parts["train"]
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert train.image(0).shape == (28, 28, 1)
    assert fashion.classes[train.labels[0]] == "Ankle boot"  # known of the first image
    assert train.image(0, 3).shape == (28, 28, 3)


def test_flat_folder(pictures):
    data = open_dataset(str(pictures))
    assert list(data.parts) == ["train"]
    assert data.classes == ("Bag", "Sandal", "Trouser")
    source = data.parts["train"]
    assert np.bincount(source.labels).tolist() == [12, 12, 12]
    assert source.image(0).dtype == np.uint8
    assert Path(source.name(0)).parent.name == "Bag"


def test_folder_with_parts_and_other_spellings(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "train")
    shutil.copytree(pictures, tmp_path / "validation")
    data = open_dataset(str(tmp_path))
    assert list(data.parts) == ["train", "val"]


def test_a_class_may_be_called_test(pictures, tmp_path):
    shutil.copytree(pictures / "Bag", tmp_path / "test")
    shutil.copytree(pictures / "Sandal", tmp_path / "exam")
    assert open_dataset(str(tmp_path)).classes == ("exam", "test")


def test_a_class_may_be_called_train(pictures, tmp_path):
    for name in ("bus", "car", "train"):
        shutil.copytree(pictures / "Bag", tmp_path / name)
    assert open_dataset(str(tmp_path)).classes == ("bus", "car", "train")


def test_two_names_of_one_part_are_refused(pictures, tmp_path):
    for name in ("train", "val", "validation"):
        shutil.copytree(pictures, tmp_path / name)
    with pytest.raises(UserError, match="both val/ and validation/"):
        open_dataset(str(tmp_path))


def test_parts_with_other_classes_are_refused_by_name(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "train")
    shutil.copytree(pictures, tmp_path / "test")
    (tmp_path / "test" / "Bag").rename(tmp_path / "test" / "Purse")
    with pytest.raises(UserError, match=r"only in test: \['Purse'\], only in train: \['Bag'\]"):
        open_dataset(str(tmp_path))


def test_hidden_files_loops_and_nested_folders(pictures, tmp_path):
    folder = tmp_path / "Bag"
    (folder / "deeper").mkdir(parents=True)
    picture = next((pictures / "Bag").glob("*.png"))
    shutil.copy(picture, folder / "b b'\"\n.PNG")
    shutil.copy(picture, folder / "deeper" / "包.png")
    shutil.copy(picture, folder / ".hidden.png")
    (folder / "notes.txt").write_text("no image")
    (folder / "loop").symlink_to(folder)
    names = [Path(path).name for path in images_under(folder)]
    assert names == ["b b'\"\n.PNG", "包.png"]


def test_csv(pictures, tmp_path):
    rows = ["path,label,part"]
    for i, path in enumerate(sorted(pictures.rglob("*.png"))):
        shutil.copy(path, tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{path.parent.name},{'test' if i % 4 == 0 else 'train'}")
    (tmp_path / "list.csv").write_text("\ufeff" + "\n".join(rows), encoding="utf-8")
    data = open_dataset(str(tmp_path / "list.csv"))
    assert data.classes == ("Bag", "Sandal", "Trouser")
    assert len(data.parts["train"]) + len(data.parts["test"]) == 24
    assert data.parts["test"].image(0).shape[2] == 1


def test_csv_of_several_classes(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    rows = "path,label,part\na.png,dog;cat\na.png,\na.png, cat ;cat;,\na.png,,val\na.png,dog,val\n"
    data = open_dataset(str(file(tmp_path, "x.csv", rows)))
    assert (data.task, data.classes) == ("multi-label", ("cat", "dog"))
    assert data.parts["train"].labels.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert data.parts["val"].labels.tolist() == [[0, 0], [0, 1]]
    assert data.parts["val"].labels.dtype == np.uint8


def test_a_line_without_a_label_is_no_image_without_a_class(tmp_path):
    path = file(tmp_path, "x.csv", "path,label\na.png,dog;cat\na.png\n")
    with pytest.raises(UserError, match="line 3: the path or the label"):
        open_dataset(str(path))


def test_several_classes_where_no_label_has_a_semicolon(tmp_path, pictures):
    (tmp_path / "a.png").write_bytes(b"x")
    path = str(file(tmp_path, "x.csv", "path,label\na.png,dog\na.png,\na.png,cat\n"))
    assert open_dataset(path, multi_label=True).parts["train"].labels.tolist() == [
        [0, 1], [0, 0], [1, 0],
    ]  # fmt: skip
    plain, several = open_dataset(str(pictures)), open_dataset(str(pictures), multi_label=True)
    assert (plain.task, several.task) == ("single-label", "multi-label")
    hot = several.parts["train"].labels
    assert np.array_equal(hot.argmax(1), plain.parts["train"].labels)
    assert (hot.sum(1) == 1).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: p / "nothing", "no such file or folder"),
        (lambda p: p, "no subfolders; one subfolder a class"),
        (lambda p: (p / "a").mkdir() or p, "no images in its subfolders"),
        (lambda p: file(p, "x.csv", "file,label\na,b"), "no column 'path'; it has file, label"),
        (lambda p: file(p, "x.csv", "path\na"), "no column 'label'"),
        (lambda p: file(p, "x.csv", "path,label\n"), "no rows"),
        (lambda p: file(p, "x.csv", ""), "no column 'path'"),
        (lambda p: file(p, "x.csv", "path,label\na.png,b\n"), "none of its files exists"),
        (lambda p: file(p, "x.csv", "path,label\na.png,\n"), "line 2: the path or the label"),
        (lambda p: file(p, "x.csv", "path,label,part\na,b,tset\n"), "line 2: part 'tset'"),
        (lambda p: file(p, "x.csv", b"path,label\n\xff,b"), "not a CSV in UTF-8"),
        (lambda p: file(p, "x.csv", "path,label\na,b\nc\nd,e\n"), "line 3: the path or the label"),
        (lambda p: file(p, "x.csv", "path,label\na,;\nb,\n"), "every label is empty"),
        (lambda p: file(p, "x.csv", "path,label\na,b;c\n,d\n"), "line 3: the path or the label"),
        (lambda p: file(p, "x.csv", "path,label,part\na,b;c,\nb,d,val\n"), "has no image of: d"),
        (lambda p: file(p, "x.pdf", "text"), "neither a folder nor a CSV"),
    ],
)
def test_what_is_no_data_set(tmp_path, make, said):
    with pytest.raises(UserError, match=said):
        open_dataset(str(make(tmp_path)))


def file(folder: Path, name: str, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return folder / name


def test_a_mistyped_name_is_guessed():
    with pytest.raises(UserError, match="did you mean fashion-mnist"):
        open_dataset("fashion_mnist")
