"""Places that cannot hold a run: too small, read-only, forbidden, taken; limits of a process."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from tests.app.killing import CHECKPOINTS, KEPT, LIGHT, RUN, Command, newest_step, read
from tests.app.run.test_killed import SWEEP

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it needs fork")
IO, PARTLY_FAILED = 74, 5


@contextmanager
def mounted(place, options):
    """A tmpfs at `place`; skips where the system refuses that."""
    place.mkdir(exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    try:
        done = subprocess.run(line, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip(f"mount is refused: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def said_in_a_line(answer, place):
    assert answer.code == IO, answer
    (said,) = answer.told.strip().splitlines()
    assert f"/{place.name}" in said  # of a long path the end is shown
    assert len(said) <= 200, said
    return said


def test_a_limit_of_the_size_of_files(server, tmp_path):
    """Every system has this limit, in place of a disk that is full."""
    command = Command(server, tmp_path / "run", RUN)
    sizes = [path.stat().st_size for path in command.folder.iterdir() if path.is_file()]
    for most in sorted({size - 1 for size in sizes if size > 500})[-3:]:
        answer = command.begin(limits={"FSIZE": most})
        said_in_a_line(answer, command.folder)
        command.end()


@pytest.mark.parametrize("kind", ["file", "forbidden"])
def test_what_is_no_place_is_refused_first(server, tmp_path, kind):
    uid = None
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir(mode=0o555)
        uid = 65534 if os.getuid() == 0 else None
    for line in (RUN, SWEEP):
        name = "sweep" if line is SWEEP else "run"
        at = place if kind == "file" else place / "run"
        answer = server.run(*line, f"hydra.{name}.dir={at}", plain=True, uid=uid)
        said_in_a_line(answer, place)
    assert place.read_text() == "mine" if kind == "file" else not list(place.iterdir())


@pytest.mark.faults
def test_a_place_that_can_be_read_only(server, tmp_path):
    with mounted(tmp_path / "place", "ro") as place:
        for line, name in ((RUN, "run"), (SWEEP, "sweep")):
            answer = server.run(*line, f"hydra.{name}.dir={place}/it", plain=True)
            said_in_a_line(answer, place)


@pytest.mark.faults
def test_what_is_there_and_can_only_be_read(server, tmp_path):
    place = tmp_path / "place"
    with mounted(place, "size=64m"):
        assert server.run(*RUN, f"hydra.run.dir={place}/run", plain=True).code == 0
        assert server.run(*SWEEP, f"hydra.sweep.dir={place}/sweep", plain=True).code == 0
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        said_in_a_line(server.run(*SWEEP, f"sweep.resume={place}/sweep", plain=True), place)
        said_in_a_line(server.run(*LIGHT, f"resume={place}/run", "epochs=99", plain=True), place)


@pytest.mark.faults
def test_disks_of_all_sizes(server, tmp_path):
    """Each is full at another place; given room, what was begun goes on."""
    place = tmp_path / "place"
    with mounted(place, "size=64m"):
        command = Command(server, place / "run", RUN)
    ended = set()
    for kib in [*range(16, 128, 4), 256, 1024]:
        with mounted(place, f"size={kib}k"):
            answer = command.begin()
            if answer.code != 0:
                assert "bytes needed" in said_in_a_line(answer, place)
                assert " free)" in answer.told
            ended.add((answer.code, newest_step(command.folder)))
            for name in CHECKPOINTS:
                if (command.folder / name).exists():
                    read(command.folder / name)
            subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
            command.end()
    assert len(ended) >= 3, ended


@pytest.mark.faults
def test_sweeps_on_disks_of_all_sizes(server, tmp_path):
    place = tmp_path / "place"
    with mounted(place, "size=64m"):
        command = Command(server, place / "sweep", SWEEP)
    codes = set()
    for kib in range(32, 640, 32):
        with mounted(place, f"size={kib}k"):
            answer = command.begin()
            codes.add(answer.code)
            subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
            command.end()
    assert codes <= {0, PARTLY_FAILED, IO}
    assert len(codes) > 1


@pytest.mark.faults
def test_data_and_runs_on_other_devices(server, tmp_path):
    """A rename from one to the other is refused by the system."""
    with (
        mounted(tmp_path / "data", "size=4m") as data,
        mounted(tmp_path / "runs", "size=16m") as runs,
    ):
        x, y = np.arange(120.0).reshape(60, 2) % 7, np.arange(60) % 2
        splits = ("", "_val", "_test")
        arrays = {f"{name}{split}": own for split in splits for name, own in (("x", x), ("y", y))}
        np.savez(data / "arrays.npz", **arrays)
        line = ("data=npz", f"data.path={data}/arrays.npz", *KEPT)
        command = Command(server, runs / "run", line)
        for call in range(10, command.answer.calls, 10):
            command.begin(call=call)
            command.end()


@pytest.mark.faults
def test_more_runs_than_files_may_be_open(server, tmp_path):
    line = ("-m", *RUN, "epochs=1", "seed=range(0,256)")
    answer = server.run(*line, f"hydra.sweep.dir={tmp_path}/it", limits={"NOFILE": 64})
    assert answer.code == 0, answer
    assert len([*(tmp_path / "it").glob("*/checkpoint.safetensors")]) == 256


def test_memory_that_is_refused(server, tmp_path):
    """A line, and no traceback, wherever it runs out; what is kept is intact."""
    line = (*LIGHT, "+data.n=40000", "model=mlp", "model.widths=[4096]", "batch_size=20000")
    for extra in (8, 64):
        answer = server.run(
            *(*line, "epochs=1", f"hydra.run.dir={tmp_path}/{extra}"), limits={"AS": extra << 20}
        )
        assert answer.code == IO, answer
        (said,) = answer.told.strip().splitlines()
        assert "memory" in said
        assert len(said) <= 200, said
