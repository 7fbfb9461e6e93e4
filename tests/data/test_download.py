"""Downloads from a server on this machine that behaves as badly as servers do."""

import errno
import hashlib
import io
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from mlr.core.checks import DataError
from mlr.core.durable import WriteError
from mlr.data import download

CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """`/<behaviour>/file`; the server lists what was asked of it."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        behaviour = self.path.split("/")[1]
        self.server.asked.append(behaviour)
        getattr(self, f"answer_{behaviour}")()

    def send(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_good(self):
        self.send(CONTENT)

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

    def answer_elsewhere(self):
        self.send(b"", 302, Location="http://localhost:1/file.gz")

    def answer_slow(self):
        time.sleep(0.2)
        self.send(CONTENT)


class Server(ThreadingHTTPServer):
    """A server that stays silent where clients have gone: the next test reads standard error."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture(scope="module")
def web():
    server = Server(("127.0.0.1", 0), Handler)
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
    """Fetches from these behaviours as mirrors; leaves what was asked in `web.asked`."""
    web.asked = []
    monkeypatch.setattr(download, "_SCHEMES", ("https://", "http://127.0.0.1:"))
    target = tmp_path / "new" / "file.gz"

    def run(*behaviours, timeout=5.0, sha256=DIGEST):
        urls = [f"http://127.0.0.1:{web.server_port}/{name}/file.gz" for name in behaviours]
        return download.fetch(urls, sha256, target, timeout=timeout)

    run.web, run.target = web, target
    return run


def files(fetch):
    return sorted(path.name for path in fetch.target.parent.iterdir())


def test_a_file_is_downloaded_once(fetch):
    assert fetch("good").read_bytes() == CONTENT
    assert files(fetch) == ["file.gz"]
    fetch("good")
    assert fetch.web.asked == ["good"], "an intact file is not asked for again"


def test_a_damaged_cache_is_replaced(fetch):
    fetch("good").write_bytes(b"")
    assert fetch("good").read_bytes() == CONTENT


@pytest.mark.parametrize("bad", ["missing", "html", "busy", "loop", "file", "elsewhere", "cut"])
def test_the_next_mirror_is_tried(fetch, bad):
    assert fetch(bad, "good").read_bytes() == CONTENT
    assert files(fetch) == ["file.gz"]


def test_a_stalled_mirror_is_left_after_the_time_out(fetch):
    assert fetch("stall", "good", timeout=0.3).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("missing", "answers 404"),
        ("busy", "answers 503"),
        ("html", "another file"),
        ("file", "leads away from https"),
        ("elsewhere", "leads away from https"),
        ("loop", "TooManyRedirects"),
        ("cut", "ChunkedEncodingError"),
        ("stall", "no connection; offline"),
        ("slow", "ReadTimeout"),
    ],
)
def test_a_mirror_that_does_not_deliver_is_named_with_the_reason(fetch, bad, message):
    with pytest.raises(
        DataError, match=rf"^file\.gz cannot .* \(127\.0\.0\.1:\d+: {message}\S*\)$"
    ):
        fetch(bad, timeout=0.1)
    assert files(fetch) == []


def test_a_certificate_that_is_not_trusted_is_named(fetch, monkeypatch):
    def fails(*_, **__):
        raise requests.exceptions.SSLError("verify failed")

    monkeypatch.setattr(requests, "get", fails)
    with pytest.raises(DataError, match=r"\(127\.0\.0\.1:\d+: SSLError\)$"):
        fetch("good")


def test_no_connection(tmp_path):
    target = tmp_path / "file"
    for host in ("127.0.0.1:1", "mlr.invalid"):
        with pytest.raises(DataError, match=rf"\({host}: no connection; offline\?\)$"):
            download.fetch([f"https://{host}/file"], DIGEST, target, 1.0)
    assert not target.exists()


@pytest.mark.parametrize("scheme", ["http", "file", "ftp", "data"])
def test_only_https_is_spoken(tmp_path, scheme):
    with pytest.raises(DataError, match="leads away from https"):
        download.fetch([f"{scheme}://127.0.0.1/file"], DIGEST, tmp_path / "file")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match=r"cannot write .*/file: ") as caught:
        download.fetch(["https://127.0.0.1:1/"], DIGEST, tmp_path / "file" / "target")
    assert caught.value.exit_code == 74


def test_a_full_disk_leaves_nothing(fetch, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pooch.downloaders.open", lambda *_: Full(), raising=False)
    with pytest.raises(WriteError, match="No space left on device"):
        fetch("good")
    assert files(fetch) == []


def test_a_process_that_is_killed_leaves_no_file_under_the_name(fetch, monkeypatch):
    monkeypatch.setattr("pooch.utils.os.remove", lambda _: None)  # a killed process tidies nothing
    with pytest.raises(DataError):
        fetch("cut")
    (left,) = files(fetch)
    assert left.startswith(tempfile.gettempprefix())
    assert fetch("good").read_bytes() == CONTENT


class Stderr(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_a_progress_bar(fetch, monkeypatch, terminal):
    out = Stderr(terminal)
    monkeypatch.setattr(sys, "stderr", out)
    fetch("good")
    assert ("100%" in out.getvalue()) is terminal
    assert bool(out.getvalue()) is terminal


def test_jobs_that_start_together_do_not_disturb_each_other(fetch):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fetch("slow"), range(4)))
    assert all(path.read_bytes() == CONTENT for path in found)
    assert files(fetch) == ["file.gz"]
