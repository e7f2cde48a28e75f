"""Labels that look wrong are found, and corrected labels are trained with."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import resnetkit as rk
from resnetkit.cli import main
from resnetkit.label_scores import count_mistakes, right_probability
from resnetkit.training.observer import Observer

TINY = {"model": "resnet8", "threads": 1, "workers": 1, "observer": Observer()}


def made_up(images: int, mistaken: np.ndarray, seed: int = 0):
    """Logits of a good network and labels with such mistakes: (logits, labels, which are wrong)."""
    rng, classes = np.random.default_rng(seed), len(mistaken)
    true = rng.integers(0, classes, images)
    logits = rng.normal(0, 1, (images, classes)) + 7 * np.eye(classes)[true]
    labels = np.array([rng.choice(classes, p=mistaken[label]) for label in true])
    return 0.3 * logits, labels, labels != true


@pytest.mark.parametrize("kind", ["uniform", "next"])
def test_planted_mistakes_are_found_whatever_the_temperature(kind):
    wrong = (np.ones((6, 6)) - np.eye(6)) / 5 if kind == "uniform" else np.roll(np.eye(6), 1, 1)
    logits, labels, is_wrong = made_up(30_000, 0.9 * np.eye(6) + 0.1 * wrong)
    judged = right_probability(logits, labels)
    found = judged.right < 0.5
    assert (found & is_wrong).sum() / is_wrong.sum() > 0.97
    assert (found & is_wrong).sum() / found.sum() > 0.97
    assert judged.noise == pytest.approx(0.1, abs=0.01)
    mistakes = count_mistakes(logits, labels)
    np.testing.assert_allclose(mistakes, 0.9 * np.eye(6) + 0.1 * wrong, atol=0.03)


def test_without_mistakes_hardly_anything_is_suspected():
    logits, labels, _ = made_up(6000, np.eye(6))
    assert (right_probability(logits, labels).right < 0.5).mean() < 0.002


def test_the_chance_is_that_of_bayes_rule():
    """Two classes, exact logits, known mistakes: the rule by hand."""
    rng = np.random.default_rng(1)
    p = rng.beta(0.3, 0.3, 20_000)
    true = (rng.random(len(p)) > p).astype(int)
    flips = rng.random(len(p)) < np.where(true == 0, 0.2, 0.05)
    labels = np.where(flips, 1 - true, true)
    logits = np.log(np.stack([p, 1 - p], 1) + 1e-9)
    judged = right_probability(logits, labels)
    says = np.where(labels == 0, p * 0.8 / (p * 0.8 + (1 - p) * 0.05),
                    (1 - p) * 0.95 / ((1 - p) * 0.95 + p * 0.2))  # fmt: skip
    assert np.abs(judged.right - says).mean() < 0.05
    assert (labels == true)[judged.right > 0.9].mean() > 0.9


@pytest.fixture(scope="module")
def folds(tmp_path_factory, fashion) -> tuple[Path, list[str]]:
    """A cross-validation of images of which some were given another label, and their names."""
    place = tmp_path_factory.mktemp("planted")
    source, wrong = fashion.parts["train"], list(range(0, 60_000, 25))
    with (place / "planted.csv").open("w", newline="") as text:
        table = csv.writer(text)
        table.writerow(["path", "label"])
        for index in wrong:
            label = fashion.classes[(source.labels[index] + 5) % 10]
            table.writerow([source.name(index), label])
    rk.train("fashion-mnist", folds=2, epochs=4, batch_size=32, limit=2400, lr=0.05, erase=0.0,
             labels=str(place / "planted.csv"), out=str(place / "cv"), **TINY)  # fmt: skip
    return place / "cv", [source.name(index) for index in wrong]


def test_the_command_lists_them_and_writes_what_train_reads(folds, tmp_path, capsys):
    run, wrong = folds
    files = {"csv": tmp_path / "fixed.csv", "sheet": tmp_path / "wrong.png"}
    words = ["labels", str(run), "--csv", str(files["csv"]), "--sheet", str(files["sheet"])]
    assert main([*words, "--fill", "likely", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["score"] for one in found] == sorted(one["score"] for one in found)
    assert all(one["given"] != one["likely"] for one in found)
    planted = {one["path"] for one in found} & set(wrong)
    there = set(np.load(run / "out_of_fold.npz")["paths"]) & set(wrong)
    assert len(there) > 50
    assert len(planted) > 0.6 * len(there)
    assert files["sheet"].stat().st_size > 10_000
    with files["csv"].open() as text:
        rows = list(csv.DictReader(text))
    assert [row["path"] for row in rows] == [one["path"] for one in found]
    assert all(row["label"] == row["likely"] for row in rows)
    run = rk.train("fashion-mnist", limit=200, epochs=1, labels=str(files["csv"]),
                   out=str(tmp_path / "run"), **TINY)  # fmt: skip
    assert run.epochs == 1
    assert main(["labels", str(folds[0])]) == 0
    assert "labels look wrong" in capsys.readouterr().out


def labelled(folder: Path, rows: list[tuple[str, str]]) -> str:
    text = "path,label\n" + "".join(f"{path},{label}\n" for path, label in rows)
    (folder / "fixed.csv").write_text(text)
    return str(folder / "fixed.csv")


def test_corrected_labels_reach_training_and_validation(pictures, tmp_path, monkeypatch):
    """Two pictures change sides, one is left out; who judges later sees the same."""
    names = sorted(path for path in pictures.rglob("*.png"))
    first, second = sorted({path.parent.name for path in names})[:2]
    mine = [path for path in names if path.parent.name == first]
    rows = [(str(mine[0]), second), (str(mine[1]), second), (str(mine[2]), "")]
    how = TINY | {"epochs": 1, "image_size": 28, "val_fraction": 0.2}
    plain = rk.train(str(pictures), out=str(tmp_path / "plain"), **how)
    file = labelled(tmp_path, rows)
    run = rk.train(str(pictures), labels=file, out=str(tmp_path / "run"), **how)
    images = [json.loads((Path(r.run) / "data.json").read_text())["images"] for r in (plain, run)]
    assert sum(images[0].values()) - sum(images[1].values()) == 1
    monkeypatch.chdir(pictures.parent)  # a relative name is as good
    judged = rk.evaluate(rk.load(run.run), pictures.name, part="val")
    assert judged.result.top1 == pytest.approx(run.val_top1)
    (tmp_path / "fixed.csv").write_text("path,label\n")
    with pytest.raises(rk.UserError, match="have changed"):
        rk.evaluate(rk.load(run.run), str(pictures), part="val")


@pytest.mark.parametrize(
    ("row", "said"),
    [(("nothing.png", "Bag"), "line 2: .* has no image nothing.png to train on"),
     (("{one}", "Bagg"), "line 2: unknown class 'Bagg'; did you mean Bag"),
     (("{one}", "Bag\n{one},Bag"), "line 3: .* stands there twice")],
)  # fmt: skip
def test_a_wrong_line_is_named(pictures, tmp_path, row, said):
    one = next(pictures.rglob("*.png"))
    path, label = (word.format(one=one) for word in row)
    with pytest.raises(rk.UserError, match=said):
        rk.train(str(pictures), labels=labelled(tmp_path, [(path, label)]), epochs=1, **TINY)


def test_the_likely_class_is_that_of_the_rule():
    """A mistake that is common makes its class likelier than the network alone has it."""
    mistaken = np.array([[1.0, 0, 0], [0, 1.0, 0], [0.3, 0, 0.7]])
    logits, labels, _ = made_up(6000, mistaken)
    one = np.concatenate([logits, [[0.6, 0.55, 0.5]]]), np.append(labels, 0)
    assert right_probability(*one).likely[-1] == 2
    assert np.delete(one[0][-1], 0).argmax() + 1 == 1


def test_a_test_part_is_judged_without_the_csv(tmp_path):
    file = labelled(tmp_path, [("fashion-mnist/train[0]", "Bag")])
    run = rk.train(
        "fashion-mnist", limit=60, epochs=1, labels=file, out=str(tmp_path / "r"), **TINY
    )
    Path(file).unlink()
    assert rk.evaluate(rk.load(run.run), "fashion-mnist").part == "test"
    with pytest.raises(rk.UserError, match="No such file"):
        rk.evaluate(rk.load(run.run), "fashion-mnist", part="val")


def test_predictions_that_are_damaged_are_named(folds, tmp_path):
    run = tmp_path / "cv"
    shutil.copytree(folds[0], run, ignore=shutil.ignore_patterns("fold-*"))
    with np.load(run / "out_of_fold.npz") as found:
        whole = dict(found)
    damages = [{"labels": whole["labels"] + 9}, {"labels": whole["labels"][1:]},
               {"logits": whole["logits"][:, 1:]}, {"logits": whole["logits"][0]}]  # fmt: skip
    for damage in damages:
        np.savez(run / "out_of_fold.npz", **(whole | damage))
        with pytest.raises(rk.UserError, match="is damaged"):
            rk.find_label_errors(run)
    for content in (b"", (folds[0] / "out_of_fold.npz").read_bytes()[:900]):
        (run / "out_of_fold.npz").write_bytes(content)
        with pytest.raises(rk.UserError, match="is damaged"):
            rk.find_label_errors(run)


def test_what_cannot_be_ranked_says_why(finished_run, folds, tmp_path, capsys):
    for run, said in ((finished_run, "is one run, whose network has learned its labels"),
                      (tmp_path / "x", "no such run folder")):  # fmt: skip
        with pytest.raises(rk.UserError, match=said):
            rk.find_label_errors(run)
    with pytest.raises(rk.UserError, match="--cut must be"):
        rk.find_label_errors(folds[0], cut=0)
