"""Standard output and error of any encoding, full, closed or left: no result is lost by them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlr.app.cli.main import start
from mlr.core import console, streams
from tests.records.written import write_run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("latin-1", "±2 d² x ½é 10²^0 e^ssummu ?"),
        ("ascii", "+-2 d^2 x 1/2e 10^20 e^ssummu ?"),
        ("utf-8", "±2 d² x ½é 10²⁰ eˢΣμ 数"),
    ],
)
def test_what_an_encoding_lacks_is_written_in_ascii(monkeypatch, encoding, written):
    below = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(below, encoding=encoding))
    streams.prepare()
    streams.prepare()  # as `mlr` and then its command
    print("±2 d² x ½é 10²⁰ eˢΣμ 数", end="", flush=True)
    assert below.getvalue() == written.encode(encoding)


OF_PAGES = {*"■●▲▬✕©⊙⌊⌋ℓ"}
UNSEEN = {*"\u2028\u2029\u202a\u202e\u2066\u2069"}
"""Looked for in what others type."""


def test_no_sign_of_ours_is_a_question_mark():
    files = [*(ROOT / "mlr").rglob("*.py"), *(ROOT / "configs").rglob("*.yaml")]
    signs = set().union(*(path.read_text(encoding="utf-8") for path in files)) - {"?"}
    lost = {sign for sign in signs if b"?" in sign.encode("ascii", "in_ascii")}
    assert lost <= OF_PAGES | UNSEEN


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """Return what a command writes on a standard output of this encoding."""
    for pair, end in (("softmax+ce", 0.9), ("sigmoid+se", 0.8)):
        for seed in range(3):
            typed = ["data.path=größe数.csv"]
            metrics = {"accuracy/test": end + 0.01 * seed, "logit_grad/wrong": 0.5}
            write_run(tmp_path / f"{pair},seed={seed}", pair, seed, typed, metrics=metrics)

    def run(encoding, name, *words):
        below = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(below, encoding=encoding))
        monkeypatch.setattr(sys, "argv", ["mlr", str(tmp_path), *words])
        assert start(name) == 0
        return below.getvalue()

    return run


def test_a_table_in_ascii(shown):
    head, first, _ = shown("ascii", "compare").decode("ascii").splitlines()[:3]
    assert "test accuracy ^" in head
    assert "||dL/dz|| wrong" in head
    assert "91.0 +- 1.0 %" in first


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_programs_read_utf8_whatever_the_terminal_has(shown, encoding):
    table = shown(encoding, "compare", "--by", "data.path", "--csv", "-").decode("utf-8")
    assert next(csv.DictReader(io.StringIO(table)))["data.path"] == "größe数.csv"
    (ranking,) = json.loads(
        shown(encoding, "compare", "--by", "data.path", "--json", "-").decode("utf-8")
    )["rankings"]
    assert ranking["groups"][0]["data.path"] == "größe数.csv"


WORK = (
    "import sys; from mlr.core import streams; streams.prepare(); "
    "work = lambda: [print('\\u00bd said'), print('told', file=sys.stderr)] and {code}; "
    "code = streams.exit_code(work); print(len(sys.argv), file=sys.stderr); sys.exit(code)"
)


def ended(redirected, code=0, **environment):
    """Exit code, standard output and error of work in a shell that redirects them."""
    line = f'"{sys.executable}" -S -c "{WORK.format(code=code)}" {redirected}'
    told = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(["bash", "-c", line], env=told, capture_output=True, timeout=60)
    return done.returncode, *(
        out.decode(errors="backslashreplace") for out in (done.stdout, done.stderr)
    )


FULL = "mlr: cannot write the output: No space left on device.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("redirected", "code", "expected"),
    [
        ("", 0, (0, "½ said\n", "told\n1\n")),
        (">/dev/full", 0, (74, "", f"told\n{FULL}1\n")),
        (">/dev/full", 5, (5, "", "told\n1\n")),  # what the work says comes first
        ("2>/dev/full", 0, (0, "½ said\n", "")),
        ("2>/dev/full", 5, (5, "½ said\n", "")),
        (">/dev/full 2>/dev/full", 0, (74, "", "")),
        (">&-", 0, (0, "", "told\n1\n")),
        ("2>&-", 0, (0, "½ said\n", "")),
        ("<&- >&- 2>&-", 5, (5, "", "")),
        ("| true; exit ${PIPESTATUS[0]}", 0, (0, "", "told\n1\n")),
    ],
)
def test_streams_that_take_nothing(redirected, code, expected):
    assert ended(redirected, code) == expected


def test_a_locale_without_letters():
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert ended("", **locale) == (0, "1/2 said\n", "told\n1\n")
    # ½ is 0xAB in the code page of old terminals
    assert ended("", PYTHONUNBUFFERED="1", PYTHONIOENCODING="cp437")[1] == "\\xab said\n"


def test_files_never_get_the_number_of_a_closed_stream(tmp_path):
    code = (
        "import os; from mlr.core import streams; streams.prepare(); "
        f"print(os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY) > 2); "
        "os.write(2, b'x')"
    )
    line = f'"{sys.executable}" -S -c "{code}" 2>&- <&-'
    told = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", line], env=told, capture_output=True, timeout=60)
    assert done.stdout == b"True\n"
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_does_not_block_gets_all(unbuffered):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    code = "from mlr.core import streams; streams.prepare(); print('x' * 300_000)"
    told = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen([sys.executable, "-S", "-c", code], env=told, stdout=writing) as child:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert len(pipe.read()) == 300_001
    assert child.returncode == 0


@pytest.mark.parametrize(
    ("columns", "width"),
    [("0", 80), ("1", 40), ("10", 40), ("-5", 80), ("abc", 80), ("", 80), ("90", 90)],
)
def test_a_terminal_has_a_width_that_can_be_read(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    # there is no terminal: 80 is what programs take for one that tells nothing
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    assert console.console().width == width


def test_a_bar_needs_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for one
    with console.progress_bar("training") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with console.progress_bar("training") as progress:
        progress(1, 2)
    assert re.search("training.* 50%", capsys.readouterr().err)
