"""Weights of the Hub: from its cache's own layout, and from a local server that speaks like it."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import safetensors.torch
import torch

import resnetkit as rk
from resnetkit.hub import is_hub_name
from resnetkit.nets.zoo import ZOO
from resnetkit.pretrained import open_pretrained
from resnetkit.published import hub_names, published

NAME = "resnet10t.c3_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    torch.manual_seed(3)
    return rk.create("resnet10t", classes=12)


@pytest.fixture(scope="module")
def files(net, tmp_path_factory) -> Path:
    """config.json and model.safetensors as timm's repositories have them."""
    folder = tmp_path_factory.mktemp("repository")
    safetensors.torch.save_file(rk.state_dict(net, "timm"), folder / "model.safetensors")
    about = {
        "tag": "c3_in1k", "input_size": [3, 32, 32], "crop_pct": 0.875, "interpolation": "bicubic",
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "num_classes": 12,
    }  # fmt: skip
    config = {"architecture": "resnet10t", "num_classes": 12, "pretrained_cfg": about}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def cached(files, tmp_path, monkeypatch) -> Path:
    """The Hub's cache on this machine, as the Hub's library lays it out."""
    from huggingface_hub import constants

    repository = tmp_path / f"models--timm--{NAME}"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    for file in files.iterdir():
        (snapshot / file.name).symlink_to(file)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return snapshot


@pytest.fixture(scope="module")
def server(files) -> Iterator[str]:
    """A Hub with one repository; of another it says that there is none."""

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body: bool):
            file = files / Path(self.path).name
            if not self.path.startswith(f"/timm/{NAME}/resolve/main/") or not file.is_file():
                self.send_response(404)
                missing = "EntryNotFound" if NAME in self.path else "RepoNotFound"
                self.send_header("X-Error-Code", missing)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=hub.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{hub.server_port}"
    hub.shutdown()


def command(*words: str, cache: Path, endpoint: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"HF_HOME": str(cache), "HF_ENDPOINT": endpoint}
    environment.pop("HF_HUB_OFFLINE")
    return subprocess.run(
        [sys.executable, "-m", "resnetkit", *words],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_from_the_cache_without_a_network(net, cached):
    begun = open_pretrained(NAME)
    assert begun.model == "resnet10t"
    transform = begun.transform
    assert (transform.size, transform.crop, transform.interpolation) == (32, 0.875, "bicubic")
    assert (transform.channels, transform.mean) == (3, (0.485, 0.456, 0.406))
    other = rk.create("resnet10t", classes=12)
    notes = begun.load_into(other, tuple("abcdefghijkl"))
    assert notes == ("under timm names", "its head kept: the classes agree")
    assert all(torch.equal(a, b) for a, b in zip(
        net.state_dict().values(), other.state_dict().values(), strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "says nothing of a network"),
        ("[]", "says nothing of a network"),
        ('{"architecture": "vgg16"}', "unknown model 'vgg16'"),
        ('{"architecture": 3}', "says nothing of a network"),
        ('{"architecture": "resnet10t", "pretrained_cfg": {"crop_pct": "most"}}', "crop: expected"),
        ('{"architecture": "resnet10t", "pretrained_cfg": {"mean": [0.5]}}', "must have 3 numbers"),
    ],
)
def test_a_config_that_says_nothing(cached, content, said):
    (cached / "config.json").unlink()
    (cached / "config.json").write_text(content)
    with pytest.raises(rk.UserError, match=said):
        open_pretrained(NAME)


def test_a_training_begins_with_them_and_keeps_their_preprocessing(server, tmp_path, pictures):
    out = tmp_path / "run"
    done = command(
        "train", str(pictures), "--weights", NAME, "--epochs", "1", "--out", str(out), "--threads",
        "1", "--workers", "1", "--batch-size", "16", "--channels", "3",
        cache=tmp_path / "hub", endpoint=server,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"begins with {NAME}, under timm names, a new head: other classes" in done.stderr
    config = json.loads((out / "classifier" / "config.json").read_text())
    assert config["transform"] == {
        "size": 32, "crop": 0.875, "interpolation": "bicubic", "channels": 3, "mirror": False,
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    assert config["training"]["model"] == "resnet10t"
    grey = command(
        "train", str(pictures), "--weights", NAME, "--epochs", "1", "--out", str(tmp_path / "grey"),
        "--threads", "1", "--channels", "1", cache=tmp_path / "hub", endpoint="http://127.0.0.1:9",
    )  # fmt: skip
    assert grey.returncode == 0, grey.stderr  # from the cache: the Hub is gone
    assert "one channel from three: the first convolution's weights are summed" in grey.stderr


def test_converted_from_the_hub(server, net, tmp_path):
    out = tmp_path / "x.safetensors"
    done = command("convert", NAME, "--to", "resnetkit", "--out", str(out),
                   cache=tmp_path, endpoint=server)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "resnet10t, 12 classes, 3 channels" in done.stdout
    state = safetensors.torch.load_file(out)
    assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(
    ("name", "endpoint", "said"),
    [
        ("resnet10t.c33_in1k", None, "the Hub has no timm/resnet10t.c33_in1k; did you mean"),
        (NAME, "http://127.0.0.1:9", "cannot be reached: [Errno 111] Connection refused"),
    ],
)
def test_no_such_name_and_no_network(server, tmp_path, name, endpoint, said):
    done = command("convert", name, "--to", "timm", "--out", str(tmp_path / "x.safetensors"),
                   cache=tmp_path / "hub", endpoint=endpoint or server)  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x.safetensors").exists()


def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(rk.UserError, match=r"pip install 'resnetkit\[hub\]'"):
        open_pretrained(NAME)


def test_names_files_and_folders_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_hub_name(NAME)
    assert not any(map(is_hub_name, ("runs/x", "x.safetensors", "resnet18.pth", "resnet18")))
    Path(NAME).touch()
    assert not is_hub_name(NAME)


def test_every_published_line_is_of_a_network_of_the_zoo():
    rows = published()
    assert {row.model for row in rows} <= set(ZOO)
    assert all(row.top1 is None or 50 < row.top1 < 90 for row in rows)
    assert len(set(rows)) == len(rows)
    assert len(hub_names()) > 100
    assert NAME in hub_names()
