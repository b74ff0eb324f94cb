"""Mirrors that refuse, hang, crawl or send something else, and the memory of such failures."""

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from official_files import DEAD_URL, point_downloads_to

import lrmf
from lrmf.data import DataUnavailableError, download, fetch

HTML = b"<html>Log in to this network</html>"
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(download, "PATIENCE", 0.4)  # a busy machine answers within it
    return 0.4


@contextlib.contextmanager
def talking(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Serve every connection by ``talk``, below HTTP."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection, stop)

    def accept() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=answer, args=(connection,)))
                threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        listener.close()


def hang(connection: socket.socket, stop: threading.Event) -> None:
    stop.wait()


def crawl(connection: socket.socket, stop: threading.Event) -> None:
    connection.recv(1000)
    connection.sendall(HEADERS)
    while not stop.wait(0.01):
        connection.sendall(b"x" * 100)


def crawl_through_the_headers(connection: socket.socket, stop: threading.Event) -> None:
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Padding: ")
    while not stop.wait(0.01):
        connection.sendall(b"x")


def begin_and_hang(connection: socket.socket, stop: threading.Event) -> None:
    connection.recv(1000)
    connection.sendall(HEADERS + b"x" * 50_000)
    stop.wait()


# Slow mirrors


@pytest.mark.parametrize(
    ("talk", "message"),
    [
        (hang, "no answer within [0-9.]+ s"),
        (crawl, "too slow, [0-9]+ kB in [0-9.]+ s"),
        (crawl_through_the_headers, "no answer within [0-9.]+ s"),
        (begin_and_hang, "too slow, [0-9]+ kB in [0-9.]+ s"),
    ],
)
def test_a_slow_mirror_costs_no_more_than_the_patience(
    impatient, cache, file, monkeypatch, talk, message
):
    with talking(talk) as url:
        point_downloads_to(monkeypatch, url, url)
        start = time.monotonic()
        with pytest.raises(DataUnavailableError, match=f"{message}; .*{message}"):
            fetch.load(file)
        assert 2 * impatient <= time.monotonic() - start < 2 * impatient + 2


def test_nothing_listens_to_a_drip_for_longer(impatient, cache, file, monkeypatch):
    gone = threading.Event()

    def drip(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(1000)
        connection.sendall(HEADERS)
        try:
            while not stop.wait(0.1):
                connection.sendall(b"x")
        except OSError:
            gone.set()

    with talking(drip) as url:
        point_downloads_to(monkeypatch, url)
        with pytest.raises(DataUnavailableError, match="too slow, 0 kB"):
            fetch.load(file)
        assert gone.wait(2)


def test_a_name_that_is_looked_up_forever(impatient, cache, file, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: over.wait(10))
    point_downloads_to(monkeypatch, "http://mirror.test/")
    start = time.monotonic()
    with pytest.raises(DataUnavailableError, match=r"from mirror\.test: no answer within"):
        fetch.load(file)
    assert time.monotonic() - start < 1 + impatient
    over.set()


def test_a_name_that_nobody_knows(cache, file, monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    point_downloads_to(monkeypatch, "http://mirror.test/")
    with pytest.raises(
        DataUnavailableError, match=r"Failed to resolve 'mirror.test' .*Name or service not known"
    ):
        fetch.load(file)


def test_a_mirror_at_the_lowest_speed_is_waited_for(impatient, cache, monkeypatch):
    """Longer than the patience in all, and steady."""
    monkeypatch.setattr(download, "SLOWEST", 4000)

    def dawdle(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\n")
        for _ in range(16):
            stop.wait(0.06)
            connection.sendall(b"x" * 1024)

    with talking(dawdle) as url:
        start = time.monotonic()
        assert download.get(url) == b"x" * 16384
        assert time.monotonic() - start > 2 * impatient


def test_the_bounds_add_up_to_seconds():
    most = max(len(mirrors) for mirrors in download.MIRRORS.values())
    assert most * download.PATIENCE < 15


# The next mirror


@pytest.mark.parametrize("bad", [HTML, b"", b"\x1f\x8b not gzip"])
def test_other_content_is_refused_and_the_next_mirror_asked(server, cache, file, content, bad):
    server.serve(f"a/{file.name}", bad)
    server.serve(f"b/{file.name}", content)
    with pytest.MonkeyPatch.context() as patch:
        point_downloads_to(patch, server.url + "a/", server.url + "b/")
        fetch.load(file)
    assert server.asked == [f"a/{file.name}", f"b/{file.name}"]
    assert (cache / file.name).read_bytes() == content
    assert [path.name for path in cache.iterdir()] == [file.name]  # no failure to remember


def test_a_refusing_and_a_hanging_mirror_come_before_a_good_one(
    impatient, server, cache, file, content, monkeypatch
):
    server.serve(file.name, content)
    with talking(hang) as url:
        point_downloads_to(monkeypatch, DEAD_URL, url, server.url)
        fetch.load(file)
    assert server.asked == [file.name]


def test_a_mirror_that_sends_without_end(cache, file, monkeypatch):
    def flood(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.is_set():
            connection.sendall(b"x" * 10_000)

    monkeypatch.setattr(download, "LARGEST", 1_000_000)
    with talking(flood) as url:
        point_downloads_to(monkeypatch, url)
        with pytest.raises(DataUnavailableError, match="longer than 1 MB, which no official"):
            fetch.load(file)


@pytest.mark.parametrize(("status", "times"), [(503, 2), (404, 1)])
def test_a_busy_server_is_asked_once_more(server, cache, file, status, times):
    server.serve(file.name, b"", status=status, headers={"Retry-After": "3600"})
    with pytest.raises(DataUnavailableError, match=f"HTTP status {status}"):
        fetch.load(file)
    assert server.asked == [file.name] * times


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        (DEAD_URL, "Connection refused"),
        ("nonsense://127.0.0.1:9", "Proxy URL had unsupported scheme nonsense"),
        ("http://[", "Failed to parse"),
    ],
)
def test_a_proxy_that_does_not_work(cache, file, monkeypatch, proxy, message):
    point_downloads_to(monkeypatch, "http://mirror.test/")
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(DataUnavailableError, match=f"from mirror.test: .*{message}"):
        fetch.load(file)


# Failures are remembered


def test_a_failure_counts_for_every_file_of_the_dataset(server, cache, small_digits, content):
    with pytest.raises(DataUnavailableError, match=r"Tried: zip.train.gz from"):
        lrmf.data.usps()
    server.asked.clear()
    for name, body in small_digits.files.items():
        server.serve(name, body)
    with pytest.raises(
        DataUnavailableError,
        match=r"cannot download zip.test.gz, .*zip.train.gz from 127.0.0.1:[0-9]+: HTTP status 404"
        r".*USPS is not tried again for 10 minutes; .*remove .*usps-unavailable\.json$",
    ):
        lrmf.data.usps(split="test")
    assert server.asked == []
    lrmf.data.mnist(split="test")  # another dataset, other hosts
    (cache / "usps-unavailable.json").unlink()
    lrmf.data.usps(split="test")
    assert server.asked[-1] == "zip.test.gz"


def test_a_failure_counts_in_another_process(no_network, cache):
    with pytest.raises(DataUnavailableError):
        lrmf.data.usps()
    code = """
import socket, lrmf.data
def refuse(*args, **options): raise AssertionError("asked again")
socket.getaddrinfo = socket.create_connection = refuse
try:
    lrmf.data.usps(split="test")
except lrmf.data.DataUnavailableError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Tried 0 s ago" not in done.stdout
    assert "zip.train.gz from 127.0.0.1:9: Failed to establish" in done.stdout


def test_a_remembered_failure_says_when_it_was(no_network, cache):
    cache.mkdir()
    noted = {"what": "zip.train.gz from somewhere: refused", "when": time.time() - 42}
    (cache / "usps-unavailable.json").write_text(json.dumps(noted))
    with pytest.raises(DataUnavailableError, match=r"Tried 42 s ago: zip.train.gz from somewhere"):
        lrmf.data.usps()


@pytest.mark.parametrize(
    "noted",
    [
        pytest.param('{"what": "x", "when": NOW - 601}', id="over"),
        pytest.param('{"what": "x", "when": NOW + 3600}', id="the clock was set back"),
        '{"what": "x"}',
        '{"what": "x", "when": null}',
        "[1]",
        "{",
        "",
    ],
)
def test_what_does_not_count_is_no_reason_not_to_try(server, cache, file, content, noted):
    cache.mkdir()
    for offset in (" - 601", " + 3600"):
        noted = noted.replace(f"NOW{offset}", str(time.time() + float(offset.replace(" ", ""))))
    (cache / "usps-unavailable.json").write_text(noted)
    server.serve(file.name, content)
    fetch.load(file)
    assert server.asked == [file.name]


def test_data_folder_and_cache_come_before_the_memory_of_a_failure(
    no_network, data_dir, cache, file, content
):
    with pytest.raises(DataUnavailableError):
        fetch.load(file)
    (data_dir / file.name).write_bytes(content)
    fetch.load(file)
    os.replace(data_dir / file.name, cache / file.name)
    fetch.load(file)


def test_a_failure_is_remembered_in_the_process_where_the_cache_cannot_be_written(
    server, cache, file, content, tmp_path, monkeypatch
):
    (tmp_path / "taken").write_text("mine")
    monkeypatch.setenv(fetch.CACHE_DIR_VARIABLE, str(tmp_path / "taken"))
    with pytest.raises(DataUnavailableError, match="tried at once, start Python anew"):
        fetch.load(file)
    server.serve(file.name, content)
    server.asked.clear()
    with pytest.raises(DataUnavailableError, match=r"Tried: zip.train.gz from .*HTTP status 404"):
        fetch.load(file)
    assert server.asked == []
    monkeypatch.setenv(fetch.CACHE_DIR_VARIABLE, str(cache))
    fetch.load(file)


def test_the_hosts_are_logged(server, cache, file, content, caplog):
    server.serve(file.name, content)
    with caplog.at_level(logging.INFO):
        fetch.load(file)
    assert f"downloading {server.url}{file.name} to" in caplog.text
