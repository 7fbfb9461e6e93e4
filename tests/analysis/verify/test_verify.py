"""scripts/verify.py: damaged files are named, with what to do; nothing is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from mlr.analysis.report.command import write as write_report
from mlr.analysis.verify.findings import DAMAGED, examine_run
from mlr.core import locks
from mlr.records.checkpoint_file import read
from mlr.records.run_folder import LISTED, RunFolder, read_status
from mlr.records.status import encode_entries
from mlr.training.checkpoint import save_checkpoint
from mlr.training.state import State
from tests.analysis.verify.making import bits, events_of, flip, train
from tests.records.written import retell

CHECKPOINTS = ("checkpoint.safetensors", "checkpoint-previous.safetensors")


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_sound_run_is_told_file_by_file_and_left_alone(run, verified):
    before = snapshot(run)
    code, files, out = verified(run)
    assert code == 0
    assert set(files) >= {"status.json", events_of(run).name, *LISTED}
    assert all(files[name].startswith("ok") for name in LISTED)
    assert "done, 57 updates" in out
    assert snapshot(run) == before


def test_a_sound_sweep_is_a_line(swept, verified):
    code, _, out = verified(swept)
    assert code == 0
    (line,) = out.splitlines()
    assert line.endswith("files in 3 folders: 18 ok")


@pytest.mark.parametrize("name", [*LISTED, "status.json", "events"])
def test_a_changed_bit_a_cut_and_a_loss_are_found(trained, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    path = events_of(folder) if name == "events" else folder / name
    content = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    spoiled = [content[: bit // 8] for bit in bits(path, 12, seed=1)]
    for bit in bits(path, 25, seed=2):
        other = bytearray(content)
        other[bit // 8] ^= 1 << bit % 8
        spoiled.append(bytes(other))
    for one in [*spoiled, content + b"\0", b""]:
        path.write_bytes(one)
        found = {finding.name: finding.kind for finding in examine_run(folder).found}
        assert [other for other in found if found[other] == DAMAGED] == [name]
    path.unlink()
    if name != "status.json":
        found = {finding.name: finding.kind for finding in examine_run(folder).found}
        assert found[name] == DAMAGED


def test_what_is_damaged_is_told_with_what_to_do(run, verified):
    newest = run / CHECKPOINTS[0]
    size = newest.stat().st_size
    flip(newest, 8 * (size - 40))  # of the last tensor; the seal is behind
    flip(run / "metrics.csv", 999)
    (run / ".hydra" / "hydra.yaml").unlink()
    code, files, out = verified(run)
    assert code == 3
    assert "its SHA-256 is not the one written into it" in files[CHECKPOINTS[0]]
    assert "the other is good: step" in files[CHECKPOINTS[0]]
    assert "have another SHA-256" in files["metrics.csv"]
    assert files[".hydra/hydra.yaml"].startswith("damaged is missing")
    assert f"continue with: python scripts/train.py resume={run}; what is damaged: restore" in out
    assert max(map(len, out.splitlines())) < 300


def test_a_damaged_event_file_is_named_and_its_run_does_not_go_on(run, verified, capsys):
    path = events_of(run)
    flip(path, 4000)
    code, files, _ = verified(run)
    assert code == 3
    assert "another SHA-256" in files[path.name]
    assert train(f"resume={run}", "epochs=4") == 3
    error = capsys.readouterr().err
    assert "is damaged at byte" in error
    assert len(error.splitlines()) == 1
    retell(run, "running")
    assert verified(run)[1][path.name].startswith("damaged is damaged at byte")


def test_a_run_in_use_is_said_to_be_so(run, verified):
    retell(run, "running")
    lock = locks.hold(run / ".lock", "process 7 on earth")
    try:
        with events_of(run).open("ab") as file:
            file.write(b"the start of a record")
        code, _, out = verified(run)
        assert code == 0
        assert "in use by process 7 on earth" in out
    finally:
        os.close(lock)


def test_the_lock_of_a_killed_process_is_let_go(run, verified):
    """Whatever it says, and whoever has that number now (F30)."""
    start = (
        "import sys, pathlib; from mlr.core.locks import hold; "
        "hold(pathlib.Path(sys.argv[1]), 'process 1 on elsewhere'); "
        "print('held', flush=True); sys.stdin.read()"
    )
    retell(run, "running")
    with subprocess.Popen(
        [sys.executable, "-c", start, str(run / ".lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "held\n"
        assert "in use by process 1 on elsewhere" in verified(run)[2]
        process.kill()
    code, _, out = verified(run)
    assert code == 0
    assert f"killed after step 57; continue with: python scripts/train.py resume={run}" in out
    os.close(locks.hold(run / ".lock", "process 2"))


def test_the_table_of_a_run_that_has_not_ended(run, verified):
    """No manifest tells of it yet: the checkpoint does."""
    retell(run, "running")
    assert verified(run)[1]["metrics.csv"] == "ok"
    content = (run / "metrics.csv").read_bytes()
    flip(run / "metrics.csv", 8 * len(content) // 2)
    code, files, _ = verified(run)
    assert code == 3
    assert files["metrics.csv"].startswith("damaged is damaged within its first ")
    (run / "metrics.csv").write_bytes(content + b"58,3.1")  # written after that
    assert verified(run)[0] == 0


def test_a_sweep_tells_what_is_missing(swept, tmp_path, verified, capsys):
    sweep = tmp_path / "sweep"
    shutil.copytree(swept, sweep)
    first, second = sorted(path.parent for path in sweep.rglob("status.json"))
    shutil.rmtree(first)
    flip(second / "status.json", 500)
    flip(sweep / "runs.csv", 100)
    code, files, out = verified(sweep)
    assert code == 3
    assert "the run is missing" in files[first.name]
    assert files["runs.csv"].startswith("damaged")
    assert "SHA-256 is not the one written into it" in files["status.json"]
    line = ("-m", "data=moons", "epochs=1", "seed=0,1", f"sweep.resume={sweep}")
    assert f"sweep.resume={sweep}" in out
    assert train(*line) == 0
    assert verified(sweep)[0] == 0
    (sweep / "sweep.yaml").write_text("runs: [")
    assert verified(sweep)[1]["sweep.yaml"].startswith("damaged")


@pytest.mark.parametrize("way", ["moved", "tarred"])
def test_a_run_works_wherever_it_lies(run, tmp_path, verified, way):
    """F38: resume, verify and report."""
    place = tmp_path / "another place" / "run"
    place.parent.mkdir()
    if way == "moved":
        run.rename(place)
    else:
        with tarfile.open(tmp_path / "run.tar", "w") as archive:
            archive.add(run, "run")
        with tarfile.open(tmp_path / "run.tar") as archive:
            archive.extractall(place.parent, filter="data")
    assert verified(place)[0] == 0
    assert train(f"resume='{place}'", "epochs=4") == 0
    assert verified(place)[0] == 0
    assert write_report(place).stat().st_size > 10_000


def test_names_are_shown_as_text_and_links_not_followed(run, tmp_path, verified):
    outside = tmp_path / "outside"
    outside.write_text("secret")
    (run / "metrics.csv").unlink()
    (run / "metrics.csv").symlink_to(outside)
    names = ("events.out.tfevents.\x1b[31mred\n", "events.out.tfevents.pipe")
    files = dict(read_status(run).files) | {key: {"bytes": 1} for key in names}
    retell(run, None, files=files)
    (run / names[0]).write_bytes(b"x")
    os.mkfifo(run / names[1])
    code, files, out = verified(run)
    assert code == 3
    assert "is a link out of the folder, which is not followed" in files["metrics.csv"]
    assert r"events.out.tfevents.\x1b[31mred\n" in files
    assert "is not a file" in files["events.out.tfevents.pipe"]
    assert "\x1b" not in out
    assert "secret" not in out
    assert outside.read_text() == "secret"


HOSTILE = (
    {"files": {"../../outside": {"bytes": 1}, "/etc/passwd": {"bytes": 1}}},
    {"files": {"metrics.csv": 7, "checkpoint.safetensors": {"bytes": "x"}}},
    {"files": [1, 2], "steps": [3], "status": {"a": 1}},
    {"files": {"metrics.csv": {"bytes": 10**30, "sha256": None}}, "steps": 10**40},
    {"status": "running", "files": {"events.out.tfevents.a/b": {"bytes": 0}}},
)


@pytest.mark.parametrize("entries", HOSTILE, ids=map(str, range(len(HOSTILE))))
def test_a_foreign_status_is_data(run, verified, entries):
    """Anybody can make a seal: it keeps chance out, and nobody else."""
    (run / "status.json").write_bytes(encode_entries({**read_status(run), **entries}))
    code, files, _ = verified(run)
    assert code in (0, 3)
    assert not [name for name in files if "outside" in name or "passwd" in name]


def test_what_is_no_run_and_what_cannot_be_read(tmp_path, run, verified, monkeypatch):
    assert verified(tmp_path / "none")[0] == 2
    (tmp_path / "empty").mkdir()
    assert verified(tmp_path / "empty")[0] == 2

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mlr.records.checksums.file_digest", fail)
    code, files, _ = verified(run)
    assert code == 74
    assert files["metrics.csv"] == "unreadable Permission denied"


def test_a_damaged_checkpoint_does_not_push_out_the_good_one(run):
    good = (run / CHECKPOINTS[1]).read_bytes()
    flip(run / CHECKPOINTS[0], 900)
    folder = RunFolder(run, read_status(run))
    about = read(run / CHECKPOINTS[1]).about
    save_checkpoint(folder, State(5, {}), {"config": about["config"]}, sync=False)
    assert (run / CHECKPOINTS[1]).read_bytes() == good
    assert read(run / CHECKPOINTS[0]).about["step"] == 5


def test_a_run_goes_on_without_its_status(run, trained, verified, capsys):
    """Its checkpoint is worth more than what status.json says; it is not begun anew for that."""
    flip(run / "status.json", 999)
    code, _, out = verified(run)
    assert code == 3
    assert f"unknown after step 57; continue with: python scripts/train.py resume={run};" in out
    assert train(f"resume={run}", f"hydra.run.dir={run}") == 0
    assert verified(run)[0] == 0
    own, other = read_status(run), read_status(trained)
    for name in ("status", "steps", "metrics", "anatomy", "pair", "seed", "config_hash"):
        assert own[name] == other[name]
    assert (run / "metrics.csv").read_bytes() == (trained / "metrics.csv").read_bytes()
