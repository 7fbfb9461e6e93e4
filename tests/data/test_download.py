"""Downloads from a server on this machine that behaves as badly as servers do."""

import errno
import hashlib
import io
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from requests import Session, exceptions

from mlr.core.checks import DataError
from mlr.core.durable import WriteError
from mlr.data import download

CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """`/<behaviour>/file`; the server counts requests and what was asked of it."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        behaviour = self.path.split("/")[1]
        self.server.asked.append((behaviour, self.headers.get("Range")))
        getattr(self, f"answer_{behaviour}")()

    def send(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_good(self):
        asked = self.headers.get("Range")
        if asked is None:
            return self.send(CONTENT)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(CONTENT):
            return self.send(b"", 416)
        found = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        return self.send(CONTENT[start:], 206, Content_Range=found)

    def answer_norange(self):
        self.send(CONTENT)

    def answer_refused(self):
        self.send(b"no", 400)

    def answer_whole(self):
        """All of it, called a part."""
        self.send(CONTENT, 206, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")

    def answer_named(self):
        """All of it, with the range that was asked for."""
        asked = self.headers["Range"].removeprefix("bytes=")
        self.send(CONTENT, Content_Range=f"bytes {asked}{len(CONTENT) - 1}/{len(CONTENT)}")

    def answer_cut(self):
        self.send(CONTENT[:100_000], length=len(CONTENT))
        self.close_connection = True

    def answer_missing(self):
        self.send(b"not here", 404)

    def answer_busy(self):
        self.send(b"later", 503)

    def answer_html(self):
        self.send(b"<html>please log in</html>")

    def answer_stall(self):
        self.send(CONTENT[:50_000], length=len(CONTENT))
        self.wfile.flush()
        self.server.released.wait(10)

    def answer_loop(self):
        self.send(b"", 302, Location=self.path)

    def answer_file(self):
        self.send(b"", 302, Location="file:///etc/passwd")

    def answer_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(2**16))
        except OSError:
            self.close_connection = True

    def answer_elsewhere(self):
        self.send(b"", 302, Location="http://localhost:1/file.gz")

    def answer_boast(self):
        self.send(CONTENT, length=10**30)

    def answer_drip(self):
        self.send(b"", length=len(CONTENT))
        try:
            while not self.server.released.wait(0.02):
                self.wfile.write(b"x")
        except OSError:
            self.close_connection = True

    def answer_slow(self):
        time.sleep(0.2)
        self.send(CONTENT)


@pytest.fixture(scope="module")
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.released = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(web, tmp_path, monkeypatch):
    """Fetches from these behaviours as mirrors; leaves what was asked in `fetch.asked`."""
    web.asked = []
    monkeypatch.setattr(download, "_SCHEMES", ("https://", "http://127.0.0.1:"))
    target = tmp_path / "new" / "file.gz"

    def run(*behaviours, timeout=5.0, sha256=DIGEST, progress=False):
        urls = [f"http://127.0.0.1:{web.server_port}/{name}/file.gz" for name in behaviours]
        return download.fetch(urls, sha256, target, timeout=timeout, progress=progress)

    run.web, run.target = web, target
    return run


def leftovers(fetch):
    return sorted(path.name for path in fetch.target.parent.iterdir() if path.name != ".lock")


def part(fetch):
    fetch.target.parent.mkdir()
    return fetch.target.with_name("file.gz.part")


def test_good(fetch):
    assert fetch("good").read_bytes() == CONTENT
    assert leftovers(fetch) == ["file.gz"]
    fetch("good")
    assert len(fetch.web.asked) == 1, "an intact file is not asked for again"


def test_a_damaged_cache_is_mended(fetch):
    fetch("good").write_bytes(b"")
    assert fetch("good").read_bytes() == CONTENT


def test_broken_off_is_resumed_from_the_next_mirror(fetch):
    assert fetch("cut", "good").read_bytes() == CONTENT
    assert fetch.web.asked == [("cut", None), ("good", "bytes=100000-")]
    assert leftovers(fetch) == ["file.gz"]


def test_what_a_killed_download_left_is_gone_on_from(fetch):
    part(fetch).write_bytes(CONTENT[:100_000])
    assert fetch("good").read_bytes() == CONTENT
    assert fetch.web.asked == [("good", "bytes=100000-")]
    assert leftovers(fetch) == ["file.gz"]


def test_a_server_without_ranges_starts_over(fetch):
    assert fetch("cut", "norange").read_bytes() == CONTENT


@pytest.mark.parametrize("behaviour", ["norange", "whole", "named"])
def test_what_is_not_the_rest_is_taken_from_its_beginning(fetch, behaviour):
    part(fetch).write_bytes(CONTENT[:100_000])
    assert fetch(behaviour).read_bytes() == CONTENT
    assert fetch.web.asked == [(behaviour, "bytes=100000-")]


@pytest.mark.parametrize("behaviour", ["good", "norange"])
def test_as_much_as_is_allowed_is_taken(fetch, monkeypatch, behaviour):
    monkeypatch.setattr(download, "MOST_BYTES", len(CONTENT))
    assert fetch(behaviour).read_bytes() == CONTENT
    fetch.target.unlink()
    monkeypatch.setattr(download, "MOST_BYTES", len(CONTENT) - 1)
    with pytest.raises(DataError, match="sends more than 255999 bytes"):
        fetch(behaviour)


def test_a_mirror_that_is_fast_enough_may_take_its_time(fetch, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.0)
    assert fetch("good").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.ConnectionError("read timed out."), "stalled for 5 s"),
        (exceptions.ConnectionError("Failed to resolve 'x'"), r"unknown address; offline\?"),
        (exceptions.ChunkedEncodingError("IncompleteRead(3 bytes read)"), "broke off"),
        (exceptions.ChunkedEncodingError("Connection broken: reset"), "broke off"),
        (exceptions.SSLError("certificate verify failed"), "its certificate is not trusted"),
        (exceptions.ConnectionError("refused"), r"no connection \(ConnectionError\)"),
        (exceptions.ReadTimeout("slow"), "no answer within 5 s"),
        (exceptions.InvalidURL("http://"), "leads away from https"),
        (exceptions.TooManyRedirects("6"), "redirects without end"),
    ],
    ids=str,
)
def test_why_a_mirror_did_not_deliver_is_said_in_a_few_words(fetch, monkeypatch, error, reason):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(Session, "get", fails)
    with pytest.raises(DataError, match=rf"\(127\.0\.0\.1:\d+: {reason}\)$"):
        fetch("good")


def test_a_part_that_is_complete_already(fetch):
    part(fetch).write_bytes(CONTENT)
    assert fetch("good").read_bytes() == CONTENT


@pytest.mark.parametrize("garbage", [b"x" * 1000, b"x" * 2 * len(CONTENT)])
def test_a_garbage_part_is_dropped_and_loaded_anew(fetch, garbage):
    part(fetch).write_bytes(garbage)
    assert fetch("good").read_bytes() == CONTENT
    assert [asked for _, asked in fetch.web.asked] == [f"bytes={len(garbage)}-", None]


def test_wrong_content_names_mirror_expected_and_got(fetch):
    got = hashlib.sha256(CONTENT).hexdigest()
    wanted = "0" * 64
    with pytest.raises(DataError) as caught:
        fetch("good", sha256=wanted)
    text = str(caught.value)
    assert f"127.0.0.1:{fetch.web.server_port}: SHA-256 {got[:12]}…, not {wanted[:12]}…" in text
    assert leftovers(fetch) == []
    assert len(fetch.web.asked) == 1


@pytest.mark.parametrize("bad", ["missing", "html", "busy", "loop", "file", "cut"])
def test_the_next_mirror_is_tried(fetch, bad):
    assert fetch(bad, "good").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("bad", "times", "message"),
    [
        ("missing", 1, "answers 404"),
        ("refused", 1, "answers 400"),
        ("busy", 2, "answers 503"),
        ("html", 1, "SHA-256 [0-9a-f]{12}…, not"),
        ("file", 1, "leads away from https"),
        ("elsewhere", 1, "leads away from https"),
        ("loop", 6, "redirects without end"),
        ("cut", 2, "broke off"),
        ("boast", 1, "sends more than"),
    ],
)
def test_what_cannot_get_better_is_not_tried_again(fetch, bad, times, message):
    with pytest.raises(DataError, match=message):
        fetch(bad)
    assert len(fetch.web.asked) == times
    assert leftovers(fetch) == []


def test_a_stalled_mirror_is_left_after_the_time_out(fetch):
    assert fetch("stall", "good", timeout=0.3).read_bytes() == CONTENT
    assert fetch.web.asked[1] == ("good", "bytes=50000-")


def test_all_stalled(fetch):
    with pytest.raises(DataError, match=r"127\.0\.0\.1:\d+: stalled for 0\.2 s"):
        fetch("stall", timeout=0.2)


def test_no_answer_at_all(fetch):
    with pytest.raises(DataError, match=r"no answer within 0\.05 s"):
        fetch("slow", timeout=0.05)


def test_an_endless_answer_is_cut(fetch, monkeypatch):
    monkeypatch.setattr(download, "MOST_BYTES", 500_000)
    with pytest.raises(DataError, match="sends more than 500000 bytes"):
        fetch("endless")


def test_no_connection(tmp_path):
    target = tmp_path / "file"
    with pytest.raises(DataError, match=r"127\.0\.0\.1:1: no connection"):
        download.fetch(["https://127.0.0.1:1/file"], DIGEST, target, 1.0, progress=False)
    with pytest.raises(DataError, match="unknown address; offline"):
        download.fetch(["https://mlr.invalid/file"], DIGEST, target, 1.0, progress=False)
    assert not target.exists()


@pytest.mark.parametrize("scheme", ["http", "file", "ftp", "data"])
def test_only_https_is_spoken(tmp_path, scheme):
    with pytest.raises(DataError, match="leads away from https"):
        download.fetch([f"{scheme}://127.0.0.1/file"], DIGEST, tmp_path / "file", progress=False)


def test_a_mirror_that_drips_is_left(fetch, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    with pytest.raises(DataError, match="sends less than 1024 bytes a second"):
        fetch("drip")
    assert leftovers(fetch) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match=r"cannot write .*/file: ") as caught:
        download.fetch(["https://127.0.0.1:1/"], DIGEST, tmp_path / "file" / "target")
    assert caught.value.exit_code == 74


def test_a_full_disk_leaves_nothing(fetch, monkeypatch):
    def full(path, content):
        raise WriteError(path, OSError(errno.ENOSPC, "No space left on device"), len(content))

    monkeypatch.setattr(download, "append", full)
    with pytest.raises(WriteError, match="No space left on device"):
        fetch("good")
    assert leftovers(fetch) == []


def test_the_limits_of_a_download():
    assert (download.TIMEOUT, download.ROUNDS, download.MOST_BYTES) == (10.0, 2, 67_108_864)
    assert (download.SLOWEST, download.PATIENCE) == (1024, 30.0)


class Stderr(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize(("terminal", "progress"), [(True, True), (True, False), (False, True)])
def test_on_a_terminal_a_bar_counts_the_bytes(fetch, monkeypatch, terminal, progress):
    out = Stderr(terminal)
    monkeypatch.setattr(sys, "stderr", out)
    part(fetch).write_bytes(CONTENT[:100_000])
    fetch("good", progress=progress)
    if terminal and progress:
        first, *_, last = out.getvalue().strip().split("\r")
        assert "| 100k/256k [" in first  # what is there already, of 256,000 bytes
        assert last.startswith("file.gz: 100%|")
        assert "| 256k/256k [" in last
    else:
        assert out.getvalue() == ""


def test_jobs_that_start_together_download_once(fetch):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fetch("slow"), range(4)))
    assert all(path.read_bytes() == CONTENT for path in found)
    assert len(fetch.web.asked) == 1
