"""The process that draws: the same images as here, and never in a run's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from mlr.figures import canvas, process, record
from mlr.figures.process import Drawing
from tests.figures.made import KINDS, moment


def fails(found, title):
    raise ZeroDivisionError(found)


def says(found, title):
    print(found)
    return canvas.new_figure(title)


@pytest.fixture(scope="module", autouse=True)
def running():
    """One process for all tests, although matplotlib is here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "matplotlib.figure", raising=False)
        # it imports the functions of this file
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        process.start()
    yield process._process
    process.stop()


@pytest.fixture
def another(monkeypatch):
    """A process that a test may kill."""
    made = process._Process()
    monkeypatch.setattr(process, "_process", made)
    yield made.child
    made.close()


@cache
def drawings() -> dict[str, Drawing]:
    """One drawing of each kind of figure that needs no series."""
    found = {}
    for kind in ("one output", "images", "a line with spread"):
        for entry in record.entries_of(moment(**KINDS[kind])):
            if isinstance(entry.content, Drawing):
                found.setdefault(entry.name, entry.content)
    assert {*found, "course"} == {picture.name for picture in record.PICTURES}
    return found


def here(*made):
    return process._drawn(made)


def test_images_are_those_that_are_drawn_here(running):
    made = [*drawings().values()]
    images, error = process.draw(made)
    assert error == ""
    assert images == here(*made)[0]
    assert all(image.startswith(b"\x89PNG") for image in images)
    assert process._process is running


def test_an_error_ends_what_is_drawn_and_the_process_goes_on():
    good = drawings()["confusion"]
    images, error = process.draw([good, Drawing(fails, "on purpose", ""), good])
    assert (len(images), error) == (1, "ZeroDivisionError: on purpose")
    assert process.draw([good]) == (images, "")


def test_what_a_figure_prints_is_not_taken_for_an_answer():
    made = Drawing(says, "aloud", "title")
    assert process.draw([made]) == here(made)


def test_what_cannot_be_sent_is_drawn_here(running):
    def own(found, title):
        return canvas.new_figure(f"{found} {title}")

    made = Drawing(own, 1, "x")
    assert process.draw([made]) == here(made)
    assert process._process is running


def test_a_process_that_was_killed_is_done_without(another):
    another.kill()
    another.wait()
    made = Drawing(says, "", "title")
    assert process.draw([made]) == here(made)
    assert process._process is None
    assert process.draw([made]) == here(made)


def test_a_fork_leaves_the_process_to_its_parent(running):
    made = Drawing(says, "", "title")
    child = os.fork()
    if not child:
        process.stop()
        os._exit(process.draw([made]) != here(made))
    assert os.waitpid(child, 0)[1] == 0
    assert running.child.poll() is None
    assert process.draw([made]) == here(made)


def test_ctrl_c_of_a_terminal_does_not_reach_it(running):
    assert os.getsid(running.child.pid) != os.getsid(0)


def test_none_is_started_where_matplotlib_is_or_none_can_be(monkeypatch):
    def refused(*_, **__):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(process, "_process", None)
    assert "matplotlib.figure" in sys.modules
    process.start()
    assert process._process is None
    monkeypatch.delitem(sys.modules, "matplotlib.figure")
    monkeypatch.setattr(subprocess, "Popen", refused)
    process.start()
    assert process._process is None


PARENT = """
import os, sys, time
from mlr.figures import process
process.start()
print(process._process.child.pid, flush=True)
if sys.argv[1] == "killed":
    time.sleep(60)
"""


@pytest.mark.parametrize("how", ["ends", "killed"])
def test_it_ends_with_the_process_that_began_it(how):
    line = [sys.executable, "-c", PARENT, how]
    parent = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    if how == "killed":
        parent.kill()
    assert parent.communicate()[1] == ""
    assert parent.returncode == (-signal.SIGKILL if how == "killed" else 0)
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Return False also where nobody has taken the exit code, as in a container without init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_it_loads_no_torch():
    code = (
        "import sys; from mlr.figures import process; process._load();"
        "assert 'matplotlib.figure' in sys.modules;"
        "print({'torch', 'hydra', 'tensorboard', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_is_drawn_needs_no_torch():
    """The process imports the modules of the drawings, and torch would take longer than they do."""
    program = "import sys, mlr.figures.record; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
