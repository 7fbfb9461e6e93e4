"""scripts/verify.py: what is damaged is told and mended; what is not is left as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile

import pytest
from mlr.app.verify.run import examine

from mlr import durable, locks
from mlr.app.report.command import write as write_report
from mlr.app.verify.findings import DAMAGED
from mlr.checks import DataError
from mlr.records.checkpoint_file import read
from mlr.records.checksums import LISTED
from mlr.records.framing import repaired
from mlr.records.run_folder import RunFolder, read_status
from mlr.training.checkpoint import save_checkpoint
from mlr.training.state import State

from ...records.written import retell
from .making import bits, events_of, flip, train

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
    assert verified(run, repair=True)[0] == 0
    assert snapshot(run) == before


def test_a_sound_sweep_is_a_line(swept, verified):
    code, _, out = verified(swept)
    assert code == 0
    (line,) = out.splitlines()
    assert line.endswith("files in 3 folders: 16 ok")


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
        found = {finding.name: finding.kind for finding in examine(folder).found}
        assert [other for other in found if found[other] == DAMAGED] == [name]
    path.unlink()
    if name != "status.json":
        found = {finding.name: finding.kind for finding in examine(folder).found}
        assert found[name] == DAMAGED


def test_what_is_damaged_is_told_with_what_to_do(run, verified):
    newest = run / CHECKPOINTS[0]
    size = newest.stat().st_size
    flip(newest, 8 * (size - 40))  # of the last tensor; the seal is behind
    flip(run / "metrics.csv", 999)
    (run / ".hydra" / "hydra.yaml").unlink()
    code, files, out = verified(run)
    assert code == 3
    assert "tensor 'model.output" in files[CHECKPOINTS[0]]
    assert "previous good: step" in files[CHECKPOINTS[0]]
    assert "have another SHA-256" in files["metrics.csv"]
    assert files[".hydra/hydra.yaml"].startswith("damaged is missing")
    assert f"continue with: python scripts/train.py resume={run}" in out
    assert max(map(len, out.splitlines())) < 300


def test_event_files_are_mended_and_the_run_goes_on(run, verified, capsys, monkeypatch):
    monkeypatch.setattr("sys.orig_argv", ["python"])  # its path may be so long that it is cut
    path = events_of(run)
    content = path.read_bytes()
    flip(path, 4000)
    damaged = path.read_bytes()
    code, files, _ = verified(run)
    assert code == 3
    assert "1 of " in files[path.name]
    assert "--repair" in files[path.name]
    assert train(f"resume={run}", "epochs=4") == 3
    assert f"scripts/verify.py --repair {run}\n" in capsys.readouterr().err
    code, files, _ = verified(run, repair=True)
    assert code == 0
    (original,) = run.glob("*.damaged")
    assert original.read_bytes() == damaged
    assert files[path.name].startswith("mended")
    assert files[path.name].endswith(f"1 lost; the original is {original.name}")
    assert len(path.read_bytes()) == len(content)
    assert verified(run)[0] == 0
    assert train(f"resume={run}", "epochs=4") == 0
    flip(path, 9000)
    assert verified(run, repair=True)[0] == 0
    assert len(list(run.glob("*.damaged*"))) == 2
    assert "tfevents" not in original.name  # TensorBoard would read it


def test_a_cut_event_file_is_mended_and_its_size_told(run, verified):
    path = events_of(run)
    path.write_bytes(path.read_bytes()[:-30])
    assert verified(run)[0] == 3
    assert verified(run, repair=True)[0] == 0
    assert verified(run)[0] == 0
    assert read_status(run)["files"][path.name]["bytes"] == path.stat().st_size


def test_leftovers_are_removed_and_nothing_else(run, verified):
    before = snapshot(run)
    left = [run / ".metrics.csv.12.3.tmp", run / ".hydra" / ".config.yaml.12.3.tmp"]
    mine = [run / "notes.tmp", run / ".hidden"]
    for path in (*left, *mine):
        path.write_bytes(b"x")
    code, files, _ = verified(run)
    assert code == 0
    assert files[left[0].name].startswith("note left by a writer that was killed")
    assert verified(run, repair=True)[0] == 0
    assert snapshot(run) == before | dict.fromkeys(mine, b"x")


def test_a_run_in_use_is_told_and_not_mended(run, verified):
    retell(run, "running")
    path = events_of(run)
    flip(path, 4000)
    lock = locks.hold(run / ".lock", "process 7 on earth")
    try:
        damaged = path.read_bytes()
        code, files, out = verified(run, repair=True)
        assert code == 3
        assert "in use by process 7 on earth" in out
        assert files[path.name].endswith("but not while process 7 on earth is at work")
        assert path.read_bytes() == damaged
        path.write_bytes(damaged + damaged[:17])  # in the midst of a record
        assert "1 of " in verified(run)[1][path.name]
    finally:
        os.close(lock)
    assert verified(run, repair=True)[0] == 0


def test_the_lock_of_a_killed_process_is_let_go(run, verified):
    """Whatever it says, and whoever has that number now (F30)."""
    start = (
        "import sys, pathlib; from mlr.locks import hold; "
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
    assert verified(run)[1]["metrics.csv"] == "ok rows before step 57"
    content = (run / "metrics.csv").read_bytes()
    flip(run / "metrics.csv", 8 * len(content) // 2)
    code, files, _ = verified(run)
    assert code == 3
    assert files["metrics.csv"].startswith("damaged has other rows than when step 57 was saved; ")
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
    assert files["status.json"].startswith("damaged its SHA-256 is not the one written into it; ")
    line = ("-m", "data=moons", "epochs=1", "seed=0,1", f"sweep.resume={sweep}")
    assert f"sweep.resume={sweep}" in out
    assert train(*line) == 0
    assert verified(sweep)[0] == 0
    for bit in bits(sweep / "sweep.yaml", 30, seed=3):
        flip(sweep / "sweep.yaml", bit)
        assert verified(sweep)[1]["sweep.yaml"].startswith("damaged")
        flip(sweep / "sweep.yaml", bit)


def test_a_damaged_run_of_several_is_named_by_those_who_read_it(swept, tmp_path, capsys):
    from mlr.app.compare.command import main as compare

    sweep = tmp_path / "sweep"
    shutil.copytree(swept, sweep)
    first = min(sweep.rglob("status.json"))
    flip(first, 500)
    assert compare([str(sweep)], "head,loss") == 0
    assert f"{first} is damaged" in capsys.readouterr().out.replace("\n", "")
    write_report(sweep)
    with pytest.raises(DataError, match="is damaged"):
        read_status(first.parent)


@pytest.mark.parametrize("way", ["moved", "copied", "tarred"])
def test_a_run_works_wherever_it_lies(run, tmp_path, verified, way):
    """F38: resume, verify and report."""
    place = tmp_path / "another place" / "run"
    place.parent.mkdir()
    if way == "moved":
        run.rename(place)
    elif way == "copied":
        subprocess.run(["cp", "-r", run, place], check=True)
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
    (run / "events.out.tfevents.\x1b[31mred\n").write_bytes(b"x")
    os.mkfifo(run / "events.out.tfevents.pipe")
    code, files, out = verified(run, repair=True)
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
    folder = RunFolder(run, read_status(run))
    folder.status |= entries
    folder.write_status(sync=False)
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


def test_a_failing_call_while_mending_loses_nothing(run, verified, monkeypatch):
    """Whichever call of the system it is: the damaged file or the mended one is there."""
    path = events_of(run)
    flip(path, 4000)
    damaged, mended = path.read_bytes(), repaired(path.read_bytes())
    (run / ".metrics.csv.12.3.tmp").write_bytes(b"x")
    kept = {own: content for own, content in snapshot(run).items() if own.parent.name != ".hydra"}
    failed = 0
    for call in range(1, 99):
        calls = iter(range(1, 999))

        def one(name, call=call, calls=calls):
            def real_or_failing(*arguments, **more):
                if next(calls) == call:
                    raise OSError(28, "No space left on device")
                return getattr(os, name)(*arguments, **more)

            return real_or_failing

        with monkeypatch.context() as patch:
            for place in (durable, locks):
                patch.setattr(place, "os", Calls(one))
            code, _, out = verified(run, repair=True)
        assert code in (0, 74), out
        assert path.read_bytes() in (damaged, mended)
        assert all(own.exists() for own in kept if own.suffix != ".tmp")
        if code == 0 and next(calls) <= call:
            break
        failed += code == 74
        path.write_bytes(damaged)
        for copy in run.glob("*.damaged*"):
            copy.unlink()
    assert failed >= 4
    assert path.read_bytes() == mended
    assert verified(run)[0] == 0


class Calls:
    """`os` as durable sees it, with other changing calls."""

    def __init__(self, one):
        self.one = one

    def __getattr__(self, name):
        changing = name in ("open", "write", "fsync", "replace", "unlink", "ftruncate")
        return self.one(name) if changing else getattr(os, name)


def test_a_damaged_checkpoint_does_not_push_out_the_good_one(run):
    good = (run / CHECKPOINTS[1]).read_bytes()
    flip(run / CHECKPOINTS[0], 900)
    folder = RunFolder(run, read_status(run))
    about = read(run / CHECKPOINTS[1]).about
    save_checkpoint(folder, State(5, {}, {}), {"config": about["config"]}, sync=False)
    assert (run / CHECKPOINTS[1]).read_bytes() == good
    assert read(run / CHECKPOINTS[0]).about["step"] == 5


def test_a_run_goes_on_without_its_status(run, trained, verified, capsys):
    """Its checkpoint is worth more than what status.json says; it is not begun anew for that."""
    flip(run / "status.json", 999)
    code, files, _ = verified(run)
    assert code == 3
    assert files["status.json"].endswith(f"resume={run} writes it again")
    assert train(f"resume={run}", f"hydra.run.dir={run}") == 0
    assert verified(run)[0] == 0
    own, other = read_status(run), read_status(trained)
    for name in ("status", "steps", "metrics", "anatomy", "pair", "seed", "config_hash"):
        assert own[name] == other[name]
    assert (run / "metrics.csv").read_bytes() == (trained / "metrics.csv").read_bytes()
