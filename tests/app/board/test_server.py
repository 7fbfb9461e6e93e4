"""`mlr board` as a person has it: an address that leads to the right page, a free port, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener

import pytest

from mlr.app.board.command import has_browser, leading_to

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("path", "query", "leads"),
    [("/", "", True), ("/", "smoothing=0", False), ("/data/runs", "", False)],
)
def test_the_plain_page_alone_leads_to_the_view(path, query, leads):
    told = []

    def inner(environ, start_response):
        start_response("200 OK", [])
        return [b"page"]

    application = leading_to(lambda: "?a=1#timeseries", inner)
    body = application(
        {"PATH_INFO": path, "QUERY_STRING": query},
        lambda status, headers: told.append((status, dict(headers))),
    )
    ((status, headers),) = told
    assert (status, headers.get("Location"), list(body)) == (
        ("302 Found", "/?a=1#timeseries", []) if leads else ("200 OK", None, [b"page"])
    )


@pytest.mark.parametrize(
    ("environment", "platform", "seen"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"DISPLAY": ":0", "CI": "true"}, "linux", False),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "a"}, "linux", False),
        ({"SSH_CONNECTION": "a", "BROWSER": "helper"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_browser_is_opened_where_it_is_seen(environment, platform, seen):
    assert has_browser(environment, platform) == seen


class Stay(HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


@pytest.fixture
def taken():
    """The port that TensorBoard prefers, held by somebody."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 6006))
        except OSError:
            yield  # by somebody indeed
            return
        other.listen()
        yield


def test_the_board_starts_on_a_free_port_and_ends_with_ctrl_c(tmp_path, taken):
    run = tmp_path / "runs" / "sigmoid+se"
    run.mkdir(parents=True)
    (run / "status.json").write_text("{}")
    (run / "metrics.csv").write_text("step,epoch,loss/val\n")
    opened = tmp_path / "opened"
    # what the person's browser is asked to open
    browser = f"""{sys.executable} -c 'open("{opened}", "w").write("%s")'"""
    start = "from mlr.app.cli.main import main; main()"
    board = subprocess.Popen(
        [sys.executable, "-u", "-c", start, "board"],
        cwd=tmp_path,
        env={**os.environ, "BROWSER": browser},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = [board.stdout.readline() for _ in range(3)]
        (address,) = re.findall(r"http://localhost:(?!6006)\d+/", lines[0])
        assert lines[1].split() == ["shows", "runs"]
        with pytest.raises(HTTPError) as answer:
            build_opener(Stay).open(address, timeout=30)
        assert answer.value.code == 302
        assert "loss%2Fval" in answer.value.headers["Location"]
        answer.value.close()
    finally:
        board.send_signal(signal.SIGINT)
        out, err = board.communicate(timeout=30)
    assert (board.returncode, out, err) == (0, "", "")
    for _ in range(100):  # the browser is another process
        if opened.exists() and opened.read_text():
            break
        time.sleep(0.1)
    assert opened.read_text() == address
