import errno
import json
import multiprocessing
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Barrier

import pytest

from mlr.core import durable as durable_module
from mlr.core.checks import DataError, InputError
from mlr.core.durable import WriteError
from mlr.records import RunFolder
from mlr.records.checksums import checksum
from mlr.records.run_folder import check_links, read_status
from mlr.records.status import FormatError, encode_entries
from tests.records.reading import names


def _claim(path: Path, together) -> bool:
    together.wait()
    try:
        RunFolder.claim(path)
    except InputError as error:
        if "already holds a run" not in str(error):
            raise
        return False
    return True


def _claim_in_process(path, together, won):
    if _claim(path, together):
        with won.get_lock():
            won.value += 1


def test_claim_says_what_the_run_is(tmp_path):
    folder = RunFolder.claim(tmp_path / "a b" / "größe=ü", seed=7, command="train.py head=sigmoid")
    status = json.loads((folder.path / "status.json").read_bytes())
    assert len(status.pop("seal")) == 64
    assert status == folder.status == read_status(folder.path)
    assert status["status"] == "running"
    assert (status["seed"], status["command"]) == (7, "train.py head=sigmoid")
    assert (status["host"], status["pid"]) == (socket.gethostname(), os.getpid())
    assert datetime.fromisoformat(status["started"]).utcoffset().total_seconds() == 0
    assert status["finished"] is None
    assert {"mlr", "torch", "python", "hydra", "numpy"} == set(status["versions"])


def test_a_folder_prepared_by_hydra_can_be_claimed(tmp_path):
    (tmp_path / ".hydra").mkdir()
    assert RunFolder.claim(tmp_path).path == tmp_path


@pytest.mark.parametrize(
    "trace",
    ["status.json", "metrics.csv", "checkpoint.safetensors", "events.out.tfevents.1.host.2.3"],
)
def test_a_folder_that_holds_a_run_is_refused(tmp_path, trace):
    (tmp_path / trace).write_text("x")
    with pytest.raises(InputError, match=r"already holds a run.*never overwritten.*run\.dir"):
        RunFolder.claim(tmp_path)
    assert names(tmp_path) == [trace]
    assert (tmp_path / trace).read_text() == "x"


def test_of_many_threads_exactly_one_wins(tmp_path):
    for attempt in range(20):
        together = Barrier(16)
        with ThreadPoolExecutor(16) as pool:
            tries = [pool.submit(_claim, tmp_path / str(attempt), together) for _ in range(16)]
            assert sum(one.result() for one in tries) == 1


def test_of_many_processes_exactly_one_wins(tmp_path):
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    for attempt in range(3):
        together, won = context.Barrier(16), context.Value("i", 0)
        children = [
            context.Process(target=_claim_in_process, args=(tmp_path / str(attempt), together, won))
            for _ in range(16)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0] * 16
        assert won.value == 1


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "runs").write_text("")
    for path in (tmp_path / "runs", tmp_path / "runs" / "a", tmp_path / "runs" / "a" / "b"):
        with pytest.raises(InputError, match=r"written: (File exists|Not a directory)") as caught:
            RunFolder.claim(path)
        assert str(tmp_path / "runs") in str(caught.value)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (errno.EACCES, "Permission denied"),
        (errno.EROFS, "Read-only file system"),
        (errno.ENOSPC, "No space left on device"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("call", ["mkdir", "open", "write"])
def test_an_unwritable_place_is_named_with_its_cause(tmp_path, monkeypatch, code, text, call):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code), str(tmp_path / "runs"))

    if call == "mkdir":
        monkeypatch.setattr(Path, "mkdir", fail)
    else:
        monkeypatch.setattr(durable_module.os, call, fail)
    with pytest.raises(InputError, match=text) as caught:
        RunFolder.claim(tmp_path / "runs" / "a")
    assert str(tmp_path / "runs" / "a") in str(caught.value)
    monkeypatch.undo()
    assert RunFolder.claim(tmp_path / "runs" / "a")  # the refused claim left no claim behind


def test_a_name_that_is_too_long_is_said(tmp_path):
    with pytest.raises(InputError, match="File name too long"):
        RunFolder.claim(tmp_path / ("x" * 300))


def test_write_status_merges_and_ends_the_run(tmp_path):
    folder = RunFolder.claim(tmp_path, seed=3)
    folder.write_status("diverged", reason="loss is nan at step 5", metrics={"a": float("nan")})
    status = read_status(tmp_path)
    assert (status["status"], status["reason"], status["seed"]) == (
        "diverged",
        "loss is nan at step 5",
        3,
    )
    assert datetime.fromisoformat(status["finished"]) >= datetime.fromisoformat(status["started"])
    assert names(tmp_path) == ["status.json"]


def test_status_is_strict_json_with_numbers_that_float_reads(tmp_path):
    folder = RunFolder.claim(tmp_path)
    folder.write_status("done", metrics={"a": float("nan"), "b": [float("-inf"), 0.1]})

    def refuse(constant):
        raise AssertionError(constant)

    text = (tmp_path / "status.json").read_text(encoding="utf-8")
    metrics = json.loads(text, parse_constant=refuse)["metrics"]
    assert metrics == {"a": "nan", "b": ["-inf", 0.1]}
    assert float(metrics["b"][0]) == float("-inf")


def test_an_unknown_status_is_refused(tmp_path):
    folder = RunFolder.claim(tmp_path)
    with pytest.raises(InputError, match="Unknown status=finished"):
        folder.write_status("finished")


def test_a_full_disk_keeps_the_old_status(tmp_path, monkeypatch):
    folder = RunFolder.claim(tmp_path)

    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable_module.os, "write", fail)
    with pytest.raises(WriteError, match=r"status\.json: No space left"):
        folder.write_status("done")
    assert read_status(tmp_path)["status"] == folder.status["status"] == "running"
    assert names(tmp_path) == ["status.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"format": 3, "status": "done"}'],
)
def test_a_damaged_status_is_refused(tmp_path, content):
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(InputError, match=r"status\.json is damaged"):
        read_status(tmp_path)


def test_a_status_that_is_no_file_or_too_large_is_refused(tmp_path, monkeypatch):
    RunFolder.claim(tmp_path / "a")
    monkeypatch.setattr("mlr.records.checksums.MOST", 10)
    with pytest.raises(DataError, match="more than 10"):
        read_status(tmp_path / "a")
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / "status.json")  # reading it would never end
    with pytest.raises(DataError, match="it is not a file"):
        read_status(tmp_path / "b")


def test_a_run_that_has_ended_lists_its_files(tmp_path):
    folder = RunFolder.claim(tmp_path)
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_bytes(b"seed: 0\n")
    (tmp_path / "notes.txt").write_text("mine")
    folder.files["metrics.csv"] = checksum(b"step\n")
    assert "files" not in read_status(tmp_path)
    folder.write_status("done")
    known = {"metrics.csv": checksum(b"step\n"), ".hydra/config.yaml": checksum(b"seed: 0\n")}
    assert read_status(tmp_path)["files"] == known
    again = RunFolder.reopen(tmp_path)
    assert "files" not in again.status


def test_a_run_taken_up_again_says_who_goes_on(tmp_path, monkeypatch):
    folder = RunFolder.claim(tmp_path, 7, "first", pair="a+b", pid=1, host="there", versions={})
    folder.write_status("interrupted", reason="Ctrl-C", steps=3)
    started = folder.status["started"]
    for number, now in enumerate(("2031-01-01T00:00:00+00:00", "2032-01-01T00:00:00+00:00"), 1):
        monkeypatch.setattr("mlr.records.status.now", lambda now=now: now)
        again = RunFolder.reopen(tmp_path, f"again {number}", device="cpu")
        assert again.status == read_status(tmp_path)
    assert {key: again.status[key] for key in ("seed", "pair", "steps", "started")} == {
        **{"seed": 7, "pair": "a+b", "steps": 3},
        "started": started,
    }
    assert (again.status["status"], again.status["reason"]) == ("running", None)
    assert (again.status["finished"], again.status["device"]) == (None, "cpu")
    assert (again.status["command"], again.status["pid"]) == ("again 2", os.getpid())
    assert again.status["host"] == socket.gethostname()
    assert set(again.status["versions"]) == {"mlr", "torch", "python", "hydra", "numpy"}
    years = [session[:4] for session in again.status["sessions"]]
    assert years == ["2031", "2032"]


def test_a_damaged_status_is_written_anew(tmp_path):
    RunFolder.claim(tmp_path, 7)
    (tmp_path / "status.json").write_text("{")
    again = RunFolder.reopen(tmp_path, "again")
    status = read_status(tmp_path)
    assert (status["status"], status["seed"], status["command"]) == ("running", None, "again")
    assert status["sessions"] == [status["started"]] == [again.status["started"]]
    with pytest.raises(InputError, match="holds no run"):
        RunFolder.reopen(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["metrics.csv", ".hydra"])
def test_a_link_in_a_folder_that_is_continued_is_named(tmp_path, name):
    (tmp_path / "status.json").touch()
    (tmp_path / ".lock").touch()
    check_links(tmp_path)
    (tmp_path / name).symlink_to(tmp_path / "status.json")
    with pytest.raises(DataError, match=f"{re.escape(name)} is a link, and continuing would"):
        check_links(tmp_path)


def test_a_status_that_is_a_link_is_refused(tmp_path):
    RunFolder.claim(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "status.json").symlink_to(tmp_path / "a" / "status.json")
    with pytest.raises(DataError, match=r"b/status\.json is a link, which is not followed"):
        read_status(tmp_path / "b")


def test_a_status_of_another_format_is_told(tmp_path):
    folder = RunFolder.claim(tmp_path)
    folder.write_status(None, format=4)
    with pytest.raises(FormatError, match=r"status\.json is of format 4"):
        read_status(tmp_path)
    folder.write_status(None, format=2)
    assert read_status(tmp_path).format == 2
    (tmp_path / "status.json").write_bytes(encode_entries({"status": "dome"}))
    with pytest.raises(DataError, match="damaged: its entry 'status' is not as mlr writes it"):
        read_status(tmp_path)


def test_an_unknown_entry_is_refused(tmp_path):
    with pytest.raises(TypeError, match="colour"):
        RunFolder.claim(tmp_path, colour="red")


def test_a_missing_status_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        read_status(tmp_path)
