"""Looked for in the right places; downloaded, resumed and checked against a real HTTP server."""

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from resnetkit import UserError
from resnetkit.data import fashion_mnist as module

FILES = {"a.gz": bytes(range(256)) * 4000, "b.gz": b"labels" * 50}
SUMS = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}


class Server(ThreadingHTTPServer):
    """Serves FILES with byte ranges; can cut its answers short."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cut_after: list[int] = []  # bytes after which the next answers end
        self.ranges: list[str | None] = []

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        data = FILES.get(self.path.strip("/"))
        if data is None:
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if wanted and start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = start + self.server.cut_after.pop(0) if self.server.cut_after else len(data)
        self.wfile.write(data[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_downloaded_and_checked(server, tmp_path):
    module.download(server.home, tmp_path / "cache", SUMS)
    assert {p.name: p.read_bytes() for p in (tmp_path / "cache").iterdir()} == FILES


def test_a_cut_connection_is_resumed_where_it_was_cut(server, tmp_path):
    server.cut_after = [100_000, 300_000]
    module.download(server.home, tmp_path, SUMS)
    assert (tmp_path / "a.gz").read_bytes() == FILES["a.gz"]
    assert server.ranges[:3] == [None, "bytes=100000-", "bytes=400000-"]


def test_cut_for_good_keeps_what_has_come_for_the_next_time(server, tmp_path):
    server.cut_after = [1000, 1000, 1000]
    with pytest.raises(OSError, match="cut after 3000 of"):
        module.download(server.home, tmp_path, SUMS)
    assert [p.name for p in tmp_path.iterdir()] == ["a.gz.part"]
    module.download(server.home, tmp_path, SUMS)
    assert server.ranges[3] == "bytes=3000-"
    assert (tmp_path / "a.gz").read_bytes() == FILES["a.gz"]


def test_a_whole_part_left_by_a_kill_is_taken(server, tmp_path):
    (tmp_path / "a.gz.part").write_bytes(FILES["a.gz"])
    module.download(server.home, tmp_path, SUMS)
    assert (tmp_path / "a.gz").read_bytes() == FILES["a.gz"]


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(OSError, match="came with SHA-256 .* expected 000"):
        module.download(server.home, tmp_path, {"a.gz": "0" * 64})
    assert not list(tmp_path.iterdir())


def test_no_server_is_one_line_that_says_what_to_do(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RESNETKIT_DATA", raising=False)
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "none")
    monkeypatch.setattr(module, "HOME", server.home)  # it has no such files: 404
    with pytest.raises(UserError, match="dataset-fashion-mnist, or put its four"):
        module.find_fashion_mnist()


def test_downloaded_where_nothing_is_found(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RESNETKIT_DATA", raising=False)
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "none")
    monkeypatch.setattr(module, "HOME", server.home)
    monkeypatch.setattr(module, "CHECKSUMS", SUMS)
    assert module.find_fashion_mnist() == tmp_path / "resnetkit" / "fashion-mnist"
    server.shutdown()
    assert module.find_fashion_mnist()  # found in the cache from now on


def test_places_in_their_order(tmp_path, monkeypatch):
    for name in ("named", "cache/resnetkit/fashion-mnist", "debian"):
        (tmp_path / name).mkdir(parents=True)
        for file in module.CHECKSUMS:
            (tmp_path / name / file).touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("RESNETKIT_DATA", str(tmp_path / "named"))
    assert module.find_fashion_mnist() == tmp_path / "named"
    assert module.find_fashion_mnist(str(tmp_path / "debian")) == tmp_path / "debian"
    monkeypatch.delenv("RESNETKIT_DATA")
    assert module.find_fashion_mnist() == tmp_path / "cache/resnetkit/fashion-mnist"
    with pytest.raises(UserError, match=r"--data-dir .* has no train-images"):
        module.find_fashion_mnist(str(tmp_path))


def test_the_real_files_hold_what_they_should(fashion):
    """Debian packs the same bytes anew; unpacked they are the authors'."""
    folder = module.find_fashion_mnist()
    unpacked = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    assert hashlib.sha256(unpacked).hexdigest().startswith("0402a96d92fd2663")


@pytest.mark.parametrize("damage", [b"", b"not gzip", gzip.compress(b"1234567890", mtime=0)])
def test_a_damaged_file_is_named(tmp_path, damage):
    file = Path(tmp_path / "x.gz")
    file.write_bytes(damage)
    with pytest.raises(UserError, match=r"x\.gz is damaged"):
        module.read_idx(file, dimensions=1)
    whole = gzip.compress(b"\0\0\x08\x01\0\0\0\x02\x05\x07")
    file.write_bytes(whole)
    assert np.array_equal(module.read_idx(file, dimensions=1), [5, 7])
    file.write_bytes(whole[:-3])
    with pytest.raises(UserError, match="is damaged"):
        module.read_idx(file, dimensions=1)
