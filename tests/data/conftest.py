"""A local server in place of the official ones, and small data in place of the real."""

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from official_files import DEAD_URL, idx_file, point_downloads_to, sha256, usps_file

from lrmf.data import digits, download, fetch


@dataclass
class Reply:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Server:
    url: str
    replies: dict[str, Reply]
    asked: list[str]

    def serve(self, name: str, body: bytes, **options) -> None:
        self.replies[name] = Reply(body, **options)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve files on 127.0.0.1, and let the loaders download from there."""
    replies: dict[str, Reply] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            asked.append(name)
            reply = replies.get(name, Reply(b"not here", status=404))
            self.send_response(reply.status)
            headers = {"Content-Length": str(len(reply.body)), **reply.headers}
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *args) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{httpd.server_port}/"
    point_downloads_to(monkeypatch, url)
    yield Server(url, replies, asked)
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    point_downloads_to(monkeypatch, DEAD_URL)


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_failures", {})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set an empty cache that does not exist yet, and no data folder."""
    monkeypatch.delenv(fetch.DATA_DIR_VARIABLE, raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setenv(fetch.CACHE_DIR_VARIABLE, str(folder))
    return folder


@pytest.fixture
def data_dir(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set an empty data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv(fetch.DATA_DIR_VARIABLE, str(folder))
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder with the real data, where the environment names one."""
    folder = os.environ.get(fetch.DATA_DIR_VARIABLE)
    if not folder:
        pytest.skip(f"{fetch.DATA_DIR_VARIABLE} is not set")
    return Path(folder)


@dataclass
class SmallDigits:
    """Made-up digits in the official sizes, which the loaders take for the real ones."""

    usps: dict[str, tuple[np.ndarray, np.ndarray]]
    mnist: dict[str, tuple[np.ndarray, np.ndarray]]
    files: dict[str, bytes]  # by official name


@pytest.fixture
def small_digits(monkeypatch: pytest.MonkeyPatch) -> SmallDigits:
    """Replace the known hashes by those of small made-up digits."""
    rng = np.random.default_rng(0)

    def draw(n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
        images = rng.integers(0, 256, (n, side, side), dtype=np.uint8)
        return images, np.arange(n, dtype=np.uint8) % 10

    small = SmallDigits(
        usps={"train": draw(60, 16), "test": draw(40, 16)},
        mnist={"train": draw(70, 28), "test": draw(100, 28)},
        files={},
    )
    for split, arrays in small.usps.items():
        file = digits.USPS_FILES[split]
        small.files[file.name] = usps_file(*arrays)
        known = replace(file, sha256=tuple(sha256(array) for array in arrays))
        monkeypatch.setitem(digits.USPS_FILES, split, known)
    for split, arrays in small.mnist.items():
        known_files = []
        for file, array in zip(digits.MNIST_FILES[split], arrays, strict=True):
            content = small.files[file.name] = idx_file(array)
            if file.md5:
                md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
                known_files.append(replace(file, md5=md5))
            else:
                known_files.append(replace(file, sha256=(sha256(array),)))
        monkeypatch.setitem(digits.MNIST_FILES, split, tuple(known_files))
    return small


@pytest.fixture
def file(small_digits: SmallDigits) -> fetch.DataFile:
    """An official file of the small digits."""
    return digits.USPS_FILES["train"]


@pytest.fixture
def content(small_digits: SmallDigits, file: fetch.DataFile) -> bytes:
    """What is in it."""
    return small_digits.files[file.name]


@pytest.fixture
def arrays(small_digits) -> tuple[np.ndarray, np.ndarray]:
    return small_digits.usps["train"]
