"""Killed at any change of the file system, what was begun goes on to what it would have been."""

from __future__ import annotations

import sys

import pytest

from .killing import RUN, came_to, kill_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it needs fork")
SWEEP = ("-m", *RUN, "head=sigmoid,clipped_linear", "loss=se", "seed=0,1,2")


@pytest.fixture(scope="module")
def server():
    with kill_server() as started:
        yield started


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory):
    """Folder of a run, and of a sweep."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert server.run(*RUN, f"hydra.run.dir={folder}/run") == 0
    assert server.run(*SWEEP, f"hydra.sweep.dir={folder}/sweep") == 0
    return folder


def test_a_sweep(server, undisturbed, tmp_path):
    expected = sweep_came_to(undisturbed / "sweep")
    assert len(expected) == 6
    call = 1
    while True:
        folder = tmp_path / str(call)
        if server.run(*SWEEP, f"hydra.sweep.dir={folder}", call=call) != "killed":
            break
        if not (folder / "runs.csv").exists():
            assert server.run(*SWEEP, f"hydra.sweep.dir={folder}") == 0
        else:
            code = server.run(*SWEEP, f"sweep.resume={folder}", told=tmp_path / "told")
            assert code == 0, (tmp_path / "told").read_text()
        assert sweep_came_to(folder) == expected
        call += 1 + call // 3
    assert call > 300


def sweep_came_to(folder):
    return {path.parent.name: came_to(path.parent) for path in folder.rglob("status.json")}
