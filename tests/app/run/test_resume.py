"""A single run is ended, however, and goes on to what it would have been."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mlr.app.cli.command import main
from mlr.core import locks
from mlr.records.checkpoint_file import encode, read
from tests.app.killing import KEPT, ROOT, came_to
from tests.records.reading import points
from tests.records.written import retell

RUN = ("data=moons", *KEPT)
BARE = ("data=moons", "probes=off")


@pytest.fixture
def trained(train):
    """Exit code, standard output and error of one command."""

    def run(*arguments):
        finished = train(*map(str, arguments))
        return finished.code, finished.out, finished.err

    return run


def assert_as_undisturbed(folder, undisturbed):
    assert came_to(folder) == came_to(undisturbed)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["scripts/train.py", *RUN, f"hydra.run.dir={folder}"])
        assert main() == 0
    return folder


def test_more_epochs_are_those_of_a_longer_run(tmp_path, trained):
    base = ("data=moons", "probes.points=every:1", "optimizer=adam", "optimizer.lr=0.01")
    short, long = tmp_path / "short", tmp_path / "long"
    trained(*base, "epochs=2", f"hydra.run.dir={short}")
    assert trained(f"resume={short}", "epochs=5")[0] == 0
    trained(*base, "epochs=5", f"hydra.run.dir={long}")
    assert_as_undisturbed(short, long)


@pytest.mark.parametrize("killed", [False, True])
def test_each_step_is_shown_once_after_one_and_two_resumes(tmp_path, monkeypatch, trained, killed):
    monkeypatch.setattr("mlr.training.checkpointing.SHARE", 1e9)
    each = "checkpoint.seconds=0.000001"  # kept at the end of each epoch
    probes = ("probes.points=every:1", "probes.histograms=every:1", "probes.figures=0")
    base = ("data=moons", "batch_size=100", *probes)
    folder = tmp_path / "run"
    trained(*base, each, "epochs=2", f"hydra.run.dir={folder}")
    for resumes, epochs in ((1, "epochs=4"), (2, "epochs=6")):
        newest = max(folder.glob("events*"))
        size = newest.stat().st_size
        if killed:  # when events were on the disk, but not the checkpoint that tells of them
            (folder / "checkpoint.safetensors").write_bytes(b"")
            retell(folder, "running")
        assert trained(f"resume={folder}", epochs, each)[0] == 0
        assert newest.stat().st_size < size
        assert len(list(folder.glob("events*"))) == 1 + resumes
        whole = tmp_path / f"whole{resumes}"
        trained(*base, epochs, f"hydra.run.dir={whole}")
        assert points(folder) == points(whole)


def test_what_would_end_otherwise_is_refused_unless_allowed_by_name(tmp_path, trained):
    folder = tmp_path / "run"
    trained(*BARE, "epochs=2", f"hydra.run.dir={folder}")
    done = json.loads((folder / "status.json").read_text())["steps"]
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for override, named in (
        ("optimizer.lr=0.25", "optimizer.lr=0.5, not 0.25"),
        ("seed=4", "seed=0, not 4"),
        ("data.label_noise=0.3", "data.label_noise="),
        ("batch_size=16", "batch_size=32, not 16"),
    ):
        code, _, error = trained(f"resume={folder}", "epochs=3", override)
        assert code == 2
        assert named in error
        assert "allow=[" in error
        assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    code, *_ = trained(
        f"resume={folder}", "epochs=3", "optimizer.lr=0.25",
        "allow=[optimizer.lr]",
    )  # fmt: skip
    assert code == 0
    status = json.loads((folder / "status.json").read_text())
    assert status["steps"] == done // 2 * 3
    assert status["status"] == "done"


def test_other_versions_and_data_are_refused(tmp_path, monkeypatch, trained):
    table = tmp_path / "table.csv"
    rows = [f"{index % 7},{index % 5},{index % 2}" for index in range(60)]
    table.write_text("\n".join(["a,b,label", *rows]) + "\n")
    run = ("data=csv", f"data.path={table}", "epochs=2", "batch_size=8", "probes=off")
    folder = tmp_path / "run"
    assert trained(*run, f"hydra.run.dir={folder}")[0] == 0
    more = (f"resume={folder}", "epochs=3")
    with monkeypatch.context() as patch:
        patch.setattr("mlr.app.run.resume.versions", lambda: {"torch": "9.9"})
        code, _, error = trained(*more)
        assert (code, "versions." in error) == (2, True)
    table.write_text("\n".join(["a,b,label", *rows[:-1], "3,3,1"]) + "\n")
    code, _, error = trained(*more)
    assert code == 3
    assert "other data" in error
    assert trained(*more, "allow=[data]")[0] == 0


def test_a_folder_without_a_run_and_a_damaged_status_are_refused_by_resume(tmp_path, trained):
    folder = tmp_path / "run"
    code, _, error = trained(f"resume={folder}")
    assert code == 2
    assert "run holds no run: status.json is missing; give the folder of an interrupted" in error
    folder.mkdir()
    (folder / "status.json").write_text("{")
    code, _, error = trained(f"resume={folder}")
    assert code == 3
    assert "status.json is damaged" in error


def test_fewer_epochs_and_another_device_are_refused(tmp_path, trained):
    folder = tmp_path / "run"
    trained(*BARE, "epochs=3", f"hydra.run.dir={folder}")
    code, _, error = trained(f"resume={folder}", "epochs=2")
    assert code == 2
    assert "updates already" in error
    arrays, about = read(folder / "checkpoint.safetensors")
    (folder / "checkpoint.safetensors").write_bytes(encode(arrays, about | {"device": "cuda"}))
    code, _, error = trained(f"resume={folder}", "epochs=4")
    assert code == 2
    assert "device=cuda, not cpu" in error
    more = (f"resume={folder}", "epochs=4", "allow=[device]")
    assert trained(*more)[0] == 0


def test_a_run_that_diverged_does_not_go_on(tmp_path, trained):
    line = (
        "head=linear",
        "loss=se",
        "optimizer.lr=1e10",
        "epochs=2",
        "probes.figures=0",
        f"hydra.run.dir={tmp_path}/a",
    )
    assert trained(*line)[0] == 4
    assert trained(f"resume={tmp_path}/a")[0] == 4
    code, _, error = trained(f"resume={tmp_path}/a", "epochs=3")
    assert code == 2
    assert "diverged" in error


def test_a_schedule_allows_more_epochs_by_name_only(tmp_path, trained):
    line = (*BARE, "schedule=cosine", "epochs=2", f"hydra.run.dir={tmp_path}/a")
    trained(*line)
    more = (f"resume={tmp_path}/a", "epochs=3")
    code, _, error = trained(*more)
    assert code == 2
    assert "allow=[epochs]" in error
    assert trained(*more, "allow=[epochs]")[0] == 0


def begun_only(folder, undisturbed):
    """A run that was killed before anything was kept."""
    shutil.copytree(undisturbed, folder)
    for path in folder.glob("checkpoint*"):
        path.unlink()
    retell(folder, "running")
    return folder


def test_without_a_checkpoint_it_is_begun_anew_as_it_was_recorded(tmp_path, undisturbed, trained):
    folder = begun_only(tmp_path / "run", undisturbed)
    code, _, error = trained(f"resume={folder}", "optimizer.lr=0.25")
    assert code == 2
    assert "optimizer.lr=0.5, not 0.25" in error
    assert trained(f"resume={folder}")[0] == 0
    assert_as_undisturbed(folder, undisturbed)
    folder = begun_only(tmp_path / "other", undisturbed)
    (folder / ".hydra" / "config.yaml").write_text("seed: 7\n")
    code, _, error = trained(f"resume={folder}")
    assert code == 3
    assert "start it again" in error


def test_a_command_that_names_its_folder_twice_begins_or_goes_on(tmp_path, undisturbed, trained):
    """As a scheduler starts it, again and again, whenever it was killed."""
    folder = tmp_path / "run"
    line = (*RUN, f"hydra.run.dir={folder}", f"resume={folder}")
    assert trained(*line)[0] == 0
    assert_as_undisturbed(folder, undisturbed)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert trained(*line)[0] == 0
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "status.json").write_text("")  # killed in the midst of its claim
    assert trained(*line)[0] == 0
    assert_as_undisturbed(folder, undisturbed)
    code, _, error = trained(*line, "seed=4")
    assert code == 2
    assert "seed=3, not 4" in error
    code, _, error = trained(*line[:-1], f"resume={tmp_path}/else")
    assert code == 2
    assert "are different folders" in error


def test_a_flipped_bit_of_an_event_file_is_refused(tmp_path, trained):
    folder = tmp_path / "run"
    line = ("data=moons", "epochs=2", "probes.figures=0", f"hydra.run.dir={folder}")
    trained(*line)
    (events,) = folder.glob("events*")
    content = bytearray(events.read_bytes())
    content[len(content) // 3] ^= 1
    events.write_bytes(content)
    code, _, error = trained(f"resume={folder}", "epochs=3")
    assert code == 3
    assert "is damaged at byte" in error
    assert len(error.splitlines()) == 1


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, undisturbed, trained):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    newest = folder / "checkpoint.safetensors"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert trained(f"resume={folder}")[0] == 0
    assert_as_undisturbed(folder, undisturbed)
    for path in folder.glob("checkpoint*"):
        path.write_bytes(b"")
    retell(folder, "running")
    code, _, error = trained(f"resume={folder}")
    assert code == 3
    assert "cannot be continued, start it again" in error


def test_a_run_of_a_sweep_and_a_run_in_use_are_refused(tmp_path, trained):
    sweep = tmp_path / "sweep"
    run = (*BARE, "epochs=1")
    trained("-m", *run, "seed=0,1", f"hydra.sweep.dir={sweep}")
    member = next(path.parent for path in sweep.rglob("status.json"))
    code, _, error = trained(f"resume='{member}'", "epochs=2")
    assert code == 2
    assert "sweep.resume=" in error
    folder = tmp_path / "run"
    trained(*run, f"hydra.run.dir={folder}")
    lock = locks.hold(folder / ".lock", "process 7 on earth")
    code, _, error = trained(f"resume={folder}", "epochs=2")
    assert code == 2
    assert "is trained by process 7 on earth" in error
    os.close(lock)
    assert trained(f"resume={folder}", "epochs=2")[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
@pytest.mark.parametrize(
    ("ignored", "name", "code"),
    [
        # test_told_to_stop sends this one to forks
        pytest.param([], "SIGINT", 130, marks=pytest.mark.slow),
        (["SIGINT", "SIGHUP"], "SIGTERM", 143),
    ],
)
def test_a_signal_ends_a_run_after_its_step_and_says_how_to_go_on(tmp_path, ignored, name, code):
    """Signals that nohup, or the background of a shell, has had ignored from the start do not."""
    folder = tmp_path / "a b=c"
    deaf = [f"trap '' {one.removeprefix('SIG')};" for one in ignored]
    process = subprocess.Popen(
        ["sh", "-c", " ".join((*deaf, 'exec "$0" "$@"')), sys.executable, "scripts/train.py",
         "data=xor", "epochs=2000000", "checkpoint.seconds=0.1", f'hydra.run.dir="{folder}"',
         "allow_targets=[mine]"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while not (folder / "checkpoint.safetensors").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for one in (*ignored, name):
            process.send_signal(getattr(signal, one))
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    told = error.strip().splitlines()[-1]
    command = f"""{sys.executable} scripts/train.py 'resume="{folder}"' 'allow_targets=[mine]'"""
    assert told == f"mlr: interrupted; continue with: {command}"
    assert "Traceback" not in error
    step = read(folder / "checkpoint.safetensors").about["step"]
    assert json.loads((folder / "status.json").read_text())["status"] == "interrupted"
    with (folder / "metrics.csv").open(newline="") as file:
        assert int(list(csv.DictReader(file))[-1]["step"]) <= step
