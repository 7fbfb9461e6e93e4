"""Findings, state and exit code of folders that are written by hand."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
import yaml

from mlr import locks
from mlr.app.verify import command
from mlr.app.verify.findings import Examined, Finding
from mlr.app.verify.run import check_events, lock_of
from mlr.app.verify.run import examine as examine_run
from mlr.app.verify.sweep import examine as examine_sweep
from mlr.records.checksums import YAML, entry, sealed
from tests.records.written import retell, write_run

from .making import events_of, flip


def write_sweep(folder: Path, table: str = "run,status\n", **told) -> Path:
    """A sweep's own files, as if mlr had written them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs.csv").write_text(table)
    story = {"format": 2, "files": {"runs.csv": entry(table.encode())}, "status": "done"}
    text = yaml.safe_dump(story | told, sort_keys=False)
    (folder / "sweep.yaml").write_bytes(sealed(text.encode(), YAML))
    return folder


def kinds(examined: Examined) -> dict[str, str]:
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
    go_on = f"its command with {shlex.quote(f'sweep.resume={sweep}')} trains it again"
    assert examined.found[-1].text == f"the run is missing; {go_on}"


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


def test_what_holds_no_record_stays_as_it_is(run, verified):
    for name, content in (("a", b""), ("b", b"x"), ("c", bytes(99))):
        (run / f"events.out.tfevents.{name}").write_bytes(content)
    code, files, _ = verified(run, repair=True)
    assert code == 3
    assert files["events.out.tfevents.a"] == "ok 0 records"
    for name, content in (("b", b"x"), ("c", bytes(99))):
        assert files[f"events.out.tfevents.{name}"].startswith("damaged is not an event file; ")
        assert (run / f"events.out.tfevents.{name}").read_bytes() == content
    assert list(run.glob("*.damaged*")) == []


def test_event_files_are_mended_and_a_table_beside_them_is_not(run, verified):
    flip(events_of(run), 4000)
    (run / "metrics.csv").write_bytes(b"x")
    before = verified(run)[1]["metrics.csv"]
    code, files, _ = verified(run, repair=True)
    assert code == 3
    assert files["metrics.csv"] == before
    assert files[events_of(run).name].startswith("mended ")
    assert (run / "metrics.csv").read_bytes() == b"x"


def test_places_of_damage_are_told_up_to_three(run):
    path = events_of(run)
    content, starts = path.read_bytes(), [0]
    while starts[-1] < len(content):  # length, its checksum, data, their checksum
        size = int.from_bytes(content[starts[-1] : starts[-1] + 8], "little")
        starts.append(starts[-1] + size + 16)
    count = f"{len(starts) - 1:,}"
    assert check_events(path, run, None, None) == f"{count} records"
    places = []
    for number in (0, 2, 4, 6):
        flip(path, 8 * (starts[number] + 12))
        places.append(f"{starts[number]:,} to {starts[number + 1]:,}")
        more = " and 1 more places" if number == 6 else ""
        told = f"{len(places)} of {count} records damaged, bytes {', '.join(places[:3])}{more}"
        with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
            check_events(path, run, None, None)


def test_folders_that_look_like_leftovers_stay(run, verified):
    (run / ".a.12.3.tmp").mkdir()
    code, files, _ = verified(run, repair=True)
    assert code == 0
    assert ".a.12.3.tmp" not in files
    assert (run / ".a.12.3.tmp").is_dir()


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


def test_leftovers_behind_a_link_are_not_looked_for(run, tmp_path, verified):
    outside = tmp_path / "outside"
    (run / ".hydra").rename(outside)
    (run / ".hydra").symlink_to(outside)
    (outside / ".a.12.3.tmp").write_text("x")
    (run / ".b.12.3.tmp").write_text("x")
    link = tmp_path / "link"
    link.symlink_to(run)
    files = verified(link, repair=True)[1]
    assert ".hydra/.a.12.3.tmp" not in files
    assert files[".b.12.3.tmp"] == "mended removed"
    assert (outside / ".a.12.3.tmp").exists()


def test_a_run_without_a_told_event_file_is_mended_too(run, verified):
    """A killed one: status.json tells of no file yet."""
    retell(run, "running", files={})
    flip(events_of(run), 4000)
    assert verified(run)[0] == 3
    assert verified(run, repair=True)[0] == 0
    assert verified(run)[0] == 0


@pytest.fixture
def printed(tmp_path, monkeypatch, capsys):
    """The command with folders that are found to be so."""

    def call(*found: Examined, again: int = 0) -> tuple[int, list[str]]:
        by_place = {one.place: one for one in found}
        pairs = [(place, by_place.__getitem__) for place in by_place]
        monkeypatch.setattr(command, "folders", lambda place: pairs)
        code = command.main(["x"] * (1 + again))
        return code, capsys.readouterr().out.splitlines()

    return call


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((), 0),
        (("ok", "note", "mended"), 0),
        (("ok", "damaged"), 3),
        (("format",), 3),
        (("unreadable", "damaged"), 74),
    ],
)
def test_the_worst_finding_is_the_exit_code(printed, found, code):
    assert (
        printed(Examined(Path("run"), "done", "", [Finding(kind, "a") for kind in found]))[0]
        == code
    )


def test_files_stand_in_columns_and_are_counted(printed):
    found = [Finding("ok", "status.json"), Finding("damaged", "a", "is short")]
    assert printed(Examined(Path("run"), "killed", "go on", found))[1] == [
        "run  killed; continue with: go on",
        "  ok          status.json",
        "  damaged     a            is short",
        "2 files: 1 ok, 1 damaged",
    ]


def test_of_several_folders_what_is_good_is_only_counted(printed):
    good = Examined(Path("a"), "done", "", [Finding("ok", "x"), Finding("ok", "y")])
    early = Examined(Path("b"), "killed", "go on", [Finding("ok", "x")])
    bad = Examined(Path("c"), "done", "", [Finding("ok", "x"), Finding("format", "y", "old")])
    told = [
        "b  killed; continue with: go on",
        "c  done",
        "  format      y  old",
        "5 files in 3 folders: 4 ok, 1 format",
    ]
    assert printed(good, early, bad) == (3, told)
    assert printed(good, early, bad, again=1) == (3, told)  # the same folders are asked for twice
