import errno
import os
import stat
from pathlib import Path

import pytest

from mlr.core import durable
from mlr.core.durable import (
    WriteError,
    append,
    atomic_write,
    create_exclusive,
    cut,
    remove,
    rename,
    replace_end,
)
from tests.records.reading import names


@pytest.fixture
def full_disk(monkeypatch):
    """Every write takes a third of what it is given; the third one finds the disk full."""
    calls, real = [0], os.write

    def write(descriptor, content):
        calls[0] += 1
        if calls[0] == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, bytes(content)[: max(1, len(content) // 3)])

    monkeypatch.setattr(durable.os, "write", write)


def test_atomic_write_replaces_all(tmp_path):
    path = tmp_path / "größe mit Leerzeichen.json"
    atomic_write(path, b"a much longer first content")
    atomic_write(path, b"second")
    assert path.read_bytes() == b"second"
    assert names(tmp_path) == [path.name]


def test_permissions_are_those_of_the_umask(tmp_path):
    previous = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", b"")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_short_writes_are_carried_on(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(durable.os, "write", lambda to, part: real(to, bytes(part)[:1]))
    atomic_write(tmp_path / "a", b"content")
    append(tmp_path / "b", b"content")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"content"


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_old_file_alone(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(WriteError, match=r"cannot write .*a: No space left.*100 bytes needed"):
        atomic_write(tmp_path / "a", b"x" * 100)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.usefixtures("full_disk")
def test_an_append_that_fails_half_way_is_cut_off_and_can_be_repeated(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(WriteError) as caught:
        append(tmp_path / "a", b"x" * 100)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    append(tmp_path / "a", b"x" * 100)
    assert (tmp_path / "a").read_bytes() == b"old" + b"x" * 100


@pytest.mark.parametrize("code", [errno.EIO, errno.EDQUOT, errno.ENOSPC])
def test_a_failing_sync_is_reported(tmp_path, monkeypatch, code):
    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(durable.os, "fsync", fail)
    with pytest.raises(WriteError) as caught:
        atomic_write(tmp_path / "a", b"new")
    assert caught.value.errno == code
    assert not (tmp_path / "a").exists()
    with pytest.raises(WriteError):
        append(tmp_path / "b", b"new", sync=True)
    assert (tmp_path / "b").read_bytes() == b""


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    """Some network file systems answer EINVAL (F26)."""
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(durable.os, "fsync", fsync)
    atomic_write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_create_exclusive_never_replaces(tmp_path):
    create_exclusive(tmp_path / "a", b"first")
    with pytest.raises(WriteError) as caught:
        create_exclusive(tmp_path / "a", b"second")
    assert caught.value.errno == errno.EEXIST
    assert (tmp_path / "a").read_bytes() == b"first"


def test_an_interruption_takes_back_what_was_written(tmp_path, monkeypatch):
    """The caller flushes the same bytes again, and no record may stand there twice."""
    real = os.write

    def write(descriptor, content):
        real(descriptor, content)
        raise KeyboardInterrupt

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(durable.os, "write", write)
    for call in (append, atomic_write):
        with pytest.raises(KeyboardInterrupt):
            call(tmp_path / "a", b"new")
    with pytest.raises(KeyboardInterrupt):
        append(tmp_path / "b", b"new", new=True)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_new_file_is_not_appended_to_an_old_one(tmp_path):
    append(tmp_path / "a", b"first", new=True)
    with pytest.raises(WriteError, match="exists"):
        append(tmp_path / "a", b"second", new=True)


def test_write_errors_name_the_missing_folder(tmp_path):
    for write in (atomic_write, create_exclusive, append):
        with pytest.raises(WriteError, match=r"nowhere.*a: No such file"):
            write(tmp_path / "nowhere" / "a", b"")


def test_a_really_full_device_is_named():
    """/dev/full is the kernel's own disk without space."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(WriteError, match="/dev/full: No space left"):
        append(full, b"x")


def test_what_is_no_file_is_not_replaced(tmp_path):
    """As /dev/stdout, which a process of root would replace by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for there in (pipe, tmp_path):
        with pytest.raises(WriteError, match=f"cannot write {there}: it is there, and no file"):
            durable.atomic_write(there, b"new")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_who_reads_the_old_file_reads_on_in_it(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old content")
    with path.open("rb") as reader:
        atomic_write(path, b"new")
        assert reader.read() == b"old content"


def test_an_end_is_replaced_and_an_end_of_others_is_not(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"head,tail")
    replace_end(path, b"tail", b"longer tail")
    assert path.read_bytes() == b"head,longer tail"
    replace_end(path, b"other", b"!")
    assert path.read_bytes() == b"head,longer tail!"


@pytest.mark.usefixtures("full_disk")
def test_an_end_that_cannot_be_replaced_is_put_back(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"head,tail")
    with pytest.raises(WriteError, match="No space left"):
        replace_end(path, b"tail", b"a much longer tail")
    assert path.read_bytes() == b"head,tail"


def test_a_file_is_cut_where_it_is_long_enough(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"head,tail")
    cut(path, 9)
    cut(path, 5)
    assert path.read_bytes() == b"head,"
    with pytest.raises(WriteError, match="it should hold 6 bytes at least"):
        cut(path, 6)
    assert path.read_bytes() == b"head,"


def test_each_change_that_fails_names_its_file(tmp_path):
    missing, folder = tmp_path / "missing", tmp_path / "folder"
    (folder / "within").mkdir(parents=True)
    for task in (
        lambda: replace_end(missing, b"", b""),
        lambda: cut(missing, 0),
        lambda: rename(tmp_path / "nothing", missing),
    ):
        with pytest.raises(WriteError, match="missing: No such file"):
            task()
    with pytest.raises(WriteError, match="folder: "):
        remove(folder)
    remove(missing)
    (tmp_path / "a").write_bytes(b"a")
    rename(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"a"
