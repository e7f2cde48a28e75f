"""Every file of a run cut, emptied, changed by a bit, or of another run: found, or harmless."""

import json
import pickle
import re
import shutil
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch

import resnetkit as rk
from resnetkit.classifier import CHECKED
from resnetkit.cli import main
from resnetkit.config import to_plain
from resnetkit.sums import SUMS, sums_text
from resnetkit.training.run_folder import RunFolder
from resnetkit.weights import read_state
from tests.conftest import TINY

NEWEST = "checkpoints/step-000000020.safetensors"
RUN_FILES = ("recipe.yaml", "data.json", "SHA256SUMS", "metrics.jsonl", "curves.png", NEWEST)
CLASSIFIER_FILES = tuple(
    f"classifier/{name}" for name in ("config.json", "model.safetensors", "SHA256SUMS", "README.md")
)
COMMANDS = {
    "resume": "train --resume --out {run} --threads 1 --workers 1",
    "evaluate": "evaluate {run} fashion-mnist --part val --threads 1",
    "predict": "predict {run} {picture} --threads 1",
    "weights": "train {pictures} --weights {run} --limit 2 --out {out}",
    "compare": "compare {run} {same}",
}
READS = {
    "resume": RUN_FILES,
    "evaluate": CLASSIFIER_FILES,
    "predict": CLASSIFIER_FILES,
    "weights": CLASSIFIER_FILES,
    "compare": ("recipe.yaml", "data.json", "metrics.jsonl", "SHA256SUMS", "curves.png"),
}


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def tampered(content: bytes, other: bytes) -> list[tuple[str, bytes]]:
    size = len(content)
    places = sorted({0, size // 5, size // 2, size - 1})
    changes = [("emptied", b""), ("cut in half", content[: size // 2]), ("of another run", other)]
    return changes + [(f"bit of byte {i} flipped", flipped(content, i)) for i in places]


@pytest.fixture(scope="module")
def runs(finished_run, tmp_path_factory) -> dict[str, Path]:
    """A finished run, the same one stopped before its Classifier was written, and another."""
    tmp = tmp_path_factory.mktemp("tampered")
    shutil.copytree(finished_run, tmp / "finished")
    shutil.copytree(finished_run, tmp / "unfinished")
    shutil.rmtree(tmp / "unfinished" / "classifier")
    flags = [*TINY, "--seed", "1", "--out", str(tmp / "other")]
    assert main(["train", "fashion-mnist", *flags]) == 0
    data = (tmp / "other" / "data.json").read_text()
    (tmp / "other" / "data.json").write_text(data.replace("300", "301"))
    return {name: tmp / name for name in ("finished", "unfinished", "other")}


def classified(run: Path) -> dict[str, torch.Tensor]:
    return rk.load(run).net.state_dict()


@pytest.mark.parametrize("kind", ["finished", "unfinished"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_tampered_with_is_named_or_harmless(kind, command, runs, pictures, tmp_path, capsys):
    if kind == "unfinished" and command not in ("resume", "compare"):
        pytest.skip("has no Classifier; tests/mistakes.py has that")
    before, names = classified(runs["finished"]), READS[command]
    picture = next((pictures / "Bag").glob("*.png"))
    capsys.readouterr()
    for name in names:
        content, other = ((runs[run] / name).read_bytes() for run in (kind, "other"))
        for number, (what, changed) in enumerate(tampered(content, other)):
            if changed == content or (name in HARMLESS and number % 2):
                continue
            run = tmp_path / f"{Path(name).name}-{number}"
            shutil.copytree(runs[kind], run)
            (run / name).write_bytes(changed)
            paths = {
                "run": run, "same": runs["finished"], "picture": picture, "pictures": pictures,
                "out": tmp_path / "out",
            }  # fmt: skip
            words = COMMANDS[command].split()
            code = main([word.format(**paths) for word in words])
            said = capsys.readouterr().err.splitlines()
            where = f"{name} {what}: {said}"
            assert not (tmp_path / "out").exists(), where
            if code == 2:
                assert said[-1].startswith("resnetkit: "), where
                well = command == "weights" and name in HARMLESS  # the next mistake is found
                assert ("--limit 2" if well else Path(name).name) in said[-1], where
                assert len(said) == 1, where
            else:
                assert code == 0, where
                assert name in HARMLESS or (command, name) == ("resume", "SHA256SUMS"), where
                if command != "compare":
                    after = classified(run).items()
                    assert all(torch.equal(tensor, before[name]) for name, tensor in after), where
                assert metrics_of(run) == metrics_of(runs["finished"]), where
            shutil.rmtree(run)


HARMLESS = {"metrics.jsonl", "curves.png", "classifier/README.md"}
"""What is written anew, or for people alone."""


def metrics_of(run: Path) -> str:
    return (run / "metrics.jsonl").read_text()


def test_a_recipe_edited_by_hand_is_told_so(runs, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(runs["unfinished"], run)
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(text.replace("epochs: 2", "epochs: 9"))
    assert main(["train", "--resume", "--out", str(run)]) == 2
    assert "recipe.yaml was changed after the run began" in capsys.readouterr().err


def test_a_recipe_that_is_extended_is_listed_whenever_it_is_cut_off(runs, tmp_path, monkeypatch):
    """Killed before the new recipe, or before the new list, the run can be resumed."""
    from dataclasses import replace

    from resnetkit import sums

    write = sums.write_whole
    for cut in (1, 2):
        run = RunFolder(tmp_path / str(cut))
        shutil.copytree(runs["unfinished"], run.path)
        longer = replace(run.recipe(), epochs=5)
        written = []

        def killed(path, content, written=written, cut=cut):
            if len(written) == cut:
                raise KeyboardInterrupt
            written.append(path.name)
            write(path, content)

        monkeypatch.setattr(sums, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            run.extend(longer)
        monkeypatch.undo()
        assert to_plain(run.recipe())["epochs"] == (2 if cut == 1 else 5)
        run.extend(longer)
        assert run.recipe().epochs == 5


def test_classifiers_of_earlier_formats_are_read(runs, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(runs["finished"] / "classifier", folder)
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(rk.UserError, match="SHA256SUMS is damaged or missing"):
        rk.load(folder)
    config = json.loads((folder / "config.json").read_text())
    del config["inner"], config["calibration"], config["training"]["inner_top1"]  # since format 3
    (folder / "config.json").write_text(json.dumps(config | {"format": 1}))
    assert rk.load(folder).depths == (8,)
    (folder / "config.json").write_text(json.dumps(config | {"format": 2}))
    (folder / SUMS).write_text(sums_text(folder, CHECKED))
    assert rk.load(folder).depths == (8,)


def safetensors_bytes(header: str, data: bytes = bytes(16), length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header.encode() + data


def tensor(dtype: str = "F32", shape: str = "[4]", offsets: str = "[0,16]") -> str:
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'


LIES = {
    "empty": b"",
    "huge header": safetensors_bytes('{"a":' + tensor() + "}", length=2**62),
    "header past the end": safetensors_bytes('{"a":' + tensor() + "}", length=10_000),
    "no JSON": safetensors_bytes("{nothing"),
    "offsets past the end": safetensors_bytes('{"a":' + tensor(offsets="[0,99999]") + "}"),
    "offsets backwards": safetensors_bytes('{"a":' + tensor(offsets="[16,0]") + "}"),
    "overlapping": safetensors_bytes('{"a":' + tensor() + ',"b":' + tensor() + "}"),
    "wrong size": safetensors_bytes('{"a":' + tensor(shape="[5]") + "}"),
    "unknown dtype": safetensors_bytes('{"a":' + tensor("F99") + "}"),
    "overflowing shape": safetensors_bytes('{"a":' + tensor(shape=f"[{2**62},{2**62}]") + "}"),
    "nested": safetensors_bytes("[" * 50_000),
    "a pickle": pickle.dumps({"a": print}),
}


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
@pytest.mark.parametrize("name", LIES)
def test_weights_that_lie_are_one_line(name, ending, tmp_path):
    file = tmp_path / f"x.{ending}"
    file.write_bytes(LIES[name])
    with pytest.raises(rk.UserError, match=re.escape(f"{file} holds no weights")):
        read_state(file)


def test_a_torch_file_with_wrong_bytes_is_one_line_or_tensors(tmp_path):
    torch.save({"a": torch.ones(9), "b": torch.ones(2, 2)}, tmp_path / "x.pt")
    content = (tmp_path / "x.pt").read_bytes()
    found = 0
    for place in range(0, len(content), 7):
        (tmp_path / "y.pt").write_bytes(flipped(content, place))
        try:
            read_state(tmp_path / "y.pt")
        except rk.UserError:
            found += 1
    assert found > 20


COUNT = "stages.0.0.norm1.num_batches_tracked"


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("head.bias", "int64"), ("head.bias", "complex64"), (COUNT, "float32"), (COUNT, "complex64")],
)
def test_numbers_of_another_kind(tmp_path, name, dtype):
    net = rk.create("resnet8", classes=4, channels=1)
    state = net.state_dict()
    state |= {name: state[name].to(getattr(torch, dtype))}
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(rk.UserError, match=rf"{name} is torch.{dtype}, not torch\."):
        rk.load_weights(net, tmp_path / "x.safetensors")


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)
YAML = {
    "tags": ("epochs: !!python/object/apply:os.getpid []\n", "line 1: not plain YAML"),
    "bomb": (BOMB + "epochs: *a29\n", "line 2: not plain YAML: the alias *a0"),
    "nested": ("[" * 10_000, "not plain YAML"),
    "date": ("epochs: 2001-99-99\n", "not plain YAML"),
    "no date": ("!!timestamp x\n", "not plain YAML"),
    "twice": ("epochs: 3\noptimiser:\n  lr: 1\n  lr: 2\n", "line 4: not plain YAML: the key lr"),
    "broken": ("model: resnet8\nepochs: [1, 2\nseed: 3\n", "line 3: not plain YAML"),
    "bytes": ("epochs: \x00", "not plain YAML"),
    "key": ("? [1, 2]\n: 3\n", "line 1: not plain YAML"),
}


@pytest.mark.parametrize("name", YAML)
def test_yaml_that_means_harm_is_one_short_line(name, tmp_path, capsys):
    text, said = YAML[name]
    (tmp_path / "x.yaml").write_text(text)
    assert main(["train", "fashion-mnist", "--recipe", str(tmp_path / "x.yaml")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("resnetkit: ")
    assert said in line
    assert len(line) < len(str(tmp_path)) + 200
