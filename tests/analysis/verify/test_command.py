"""Findings, state and exit code of folders that are written by hand."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
import yaml

from mlr.analysis.verify import command
from mlr.analysis.verify.findings import (
    FileFinding,
    FolderFindings,
    examine_run,
    examine_sweep,
    lock_of,
)
from mlr.core import locks
from mlr.records.checksums import checksum
from tests.analysis.verify.making import flip
from tests.records.written import retell, write_run


def write_sweep(folder: Path, table: str = "run,status\n", **told) -> Path:
    """A sweep's own files, as if mlr had written them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs.csv").write_text(table)
    story = {"format": 3, "files": {"runs.csv": checksum(table.encode())}, "status": "done"}
    text = yaml.safe_dump(story | told, sort_keys=False)
    (folder / "sweep.yaml").write_text(text)
    return folder


def kinds(examined: FolderFindings) -> dict[str, str]:
    return {one.name: one.kind for one in examined.found}


@pytest.mark.parametrize(
    ("told", "state", "ends"),
    [
        ({"runs": {"done": 3}}, "done", True),
        ({"runs": {"done": 2, "interrupted": 1}}, "done, but 1 of its runs interrupted", False),
        ({"runs": 7}, "done", True),
        ({"status": "running"}, "killed", False),
        ({"status": "interrupted"}, "interrupted", False),
    ],
)
def test_the_state_of_a_sweep_and_how_it_goes_on(tmp_path, told, state, ends):
    sweep = write_sweep(tmp_path / "sweep", **told)
    examined = examine_sweep(sweep)
    assert examined.state == state
    go_on = f"its command with {shlex.quote(f'sweep.resume={sweep}')}"
    assert examined.go_on == ("" if ends else go_on)
    assert kinds(examined) == {"sweep.yaml": "ok", "runs.csv": "ok"}


def test_a_sweep_in_use_is_said_to_be_so(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", status="running")
    lock = locks.hold(sweep / ".lock", "process 7 on earth")
    try:
        examined = examine_sweep(sweep)
    finally:
        os.close(lock)
    assert (examined.state, examined.go_on) == ("in use by process 7 on earth", "")


@pytest.mark.parametrize("files", [None, [1], {}, {"runs.csv": 3}, {"runs.csv": {"bytes": "x"}}])
def test_a_story_that_tells_no_size_of_its_table_is_data(tmp_path, files):
    assert set(kinds(examine_sweep(write_sweep(tmp_path, files=files))).values()) == {"ok"}


def test_of_the_runs_of_a_table_those_that_ended_must_be_there(tmp_path):
    table = "run,status\nhere,done\ngone,done\nlost,diverged\nrefused,refused\nnever,interrupted\n"
    sweep = write_sweep(tmp_path, table)
    write_run(sweep / "here")
    examined = examine_sweep(sweep)
    assert kinds(examined) == {
        **{"sweep.yaml": "ok", "runs.csv": "ok"},
        **{"gone": "damaged", "lost": "damaged"},
    }
    go_on = f"its command with {shlex.quote(f'sweep.resume={sweep}')} writes it again"
    assert (examined.found[-1].text, examined.remedy) == ("the run is missing", go_on)


@pytest.mark.parametrize(
    ("status", "swept", "locked", "state"),
    [
        ("done", False, False, "done, 7 updates"),
        ("diverged", False, False, "diverged, 7 updates"),
        ("failed", False, False, "failed"),
        ("running", False, False, "running, or killed"),
        ("running", False, True, "killed"),
        ("failed", True, False, "failed, as its sweep SWEEP"),
    ],
)
def test_the_state_of_a_run_without_checkpoint(tmp_path, status, swept, locked, state):
    run = write_run(tmp_path / "run", status=status, steps=7)
    if swept:
        write_sweep(tmp_path)
    if locked:
        (run / ".lock").touch()
    examined = examine_run(run)
    assert examined.state == state.replace("SWEEP", str(tmp_path))
    assert examined.go_on == ""
    assert lock_of(run) == (tmp_path if swept else run) / ".lock"


def test_a_sound_run_goes_on_nowhere_and_an_interrupted_one_does(run, verified):
    _, files, out = verified(run)
    assert files["status.json"] == "ok"
    assert "continue with" not in out
    retell(run, "interrupted")
    assert (
        f"interrupted after step 57; continue with: python scripts/train.py resume={run}\n"
        in (verified(run)[2])
    )
    retell(run, "done")
    (run / "checkpoint.safetensors").unlink()
    assert "done, 57 updates; continue with: " in verified(run)[2]
    retell(run, "diverged")
    assert "continue with" not in verified(run)[2]


def test_a_link_to_a_run_elsewhere_is_told_and_not_followed(run, tmp_path, verified):
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(run)
    flip(run / "metrics.csv", 999)
    code, files, _ = verified(top)
    assert code == 74
    assert "is a link, which is not followed: give" in files["."]
    code, files, _ = verified(top / "link")  # given itself
    assert code == 3
    assert files["metrics.csv"].startswith("damaged")


@pytest.fixture
def printed(tmp_path, monkeypatch, capsys):
    """The command with folders that are found to be so."""

    def call(*found: FolderFindings) -> tuple[int, list[str]]:
        monkeypatch.setattr(command, "examine", lambda place: found)
        code = command.main(["x"])
        return code, capsys.readouterr().out.splitlines()

    return call


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((), 0),
        (("ok", "ok"), 0),
        (("ok", "damaged"), 3),
        (("format",), 3),
        (("unreadable", "damaged"), 74),
    ],
)
def test_the_worst_finding_is_the_exit_code(printed, found, code):
    files = [FileFinding(kind, "a") for kind in found]
    assert printed(FolderFindings(Path("run"), "done", "", "", files))[0] == code


def test_files_stand_in_columns_and_are_counted(printed):
    found = [FileFinding("ok", "status.json"), FileFinding("damaged", "a", "is short")]
    assert printed(FolderFindings(Path("run"), "killed", "go on", "mend it", found))[1] == [
        "run  killed; continue with: go on; what is damaged: mend it",
        "  ok          status.json",
        "  damaged     a            is short",
        "2 files: 1 ok, 1 damaged",
    ]


def test_of_several_folders_what_is_good_is_only_counted(printed):
    sound, other = [FileFinding("ok", "x")], [FileFinding("ok", "x"), FileFinding("ok", "y")]
    good = FolderFindings(Path("a"), "done", "", "mend", other)
    early = FolderFindings(Path("b"), "killed", "go on", "mend", sound)
    bad = FolderFindings(Path("c"), "done", "", "mend", [*sound, FileFinding("format", "y", "old")])
    assert printed(good, early, bad) == (
        3,
        [
            "b  killed; continue with: go on",
            "c  done",
            "  format      y  old",
            "5 files in 3 folders: 4 ok, 1 format",
        ],
    )
