"""Durable writing: whole files by rename, appended files that end at a boundary.

This is the only module of mlr that opens files for writing, except for the lock files of `locks`.
Every failure raises a `WriteError` that names the path and the cause. All system calls go through
this module's `os`, so that a test can make the n-th of them fail or kill the process there.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

_NUMBER = count()
# a folder that cannot be opened or synced (network file systems, Windows) is no failure
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EACCES, errno.EPERM, errno.EBADF, errno.ENOTSUP}


class WriteError(OSError):
    """Failure to write a file; `errno`, `strerror` and `filename` are set as in OSError."""

    exit_code = 74

    def __init__(self, path: Path, cause: OSError, needed: int = 0):
        super().__init__(cause.errno, cause.strerror or str(cause), str(path))
        self.needed = needed

    def __str__(self) -> str:
        """Return one sentence: path, cause, and for a full disk the bytes needed and free."""
        return f"cannot write {self.filename}: {self.strerror}{self.space}"

    @property
    def space(self) -> str:
        """Bytes needed and free, in brackets, if the disk is full; else empty."""
        if self.errno not in (errno.ENOSPC, errno.EDQUOT):
            return ""
        return f" ({self.needed:,} bytes needed, {_free(Path(self.filename)):,} free)"


@contextmanager
def _naming(path: Path, needed: int = 0) -> Iterator[None]:
    """Make a failure of the system inside the context a `WriteError`."""
    try:
        yield
    except OSError as cause:
        raise WriteError(path, cause, needed) from cause


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file for calls of the system inside the context."""
    descriptor = os.open(path, flags, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def atomic_write(path: Path, content: bytes, sync: bool = True) -> None:
    """Replace the file at `path` by `content`; readers see the complete old or new file.

    If that fails, the old file is unchanged and no temporary file is left.

    Args:
        path: the file; its folder must exist.
        content: all of the file.
        sync: wait until file and name are on the disk (fsync), so that the same holds after a
            power loss.
    """
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)
    except OSError:  # it is not there yet
        is_file = True
    if not is_file:  # a rename would replace a device such as /dev/stdout by a file
        raise WriteError(path, OSError(errno.EINVAL, "it is there, and no file"))
    # in the target's folder, since a rename works within one file system only
    folder, name = os.path.split(path)
    temporary = Path(folder, f".{name}.{os.getpid()}.{next(_NUMBER)}.tmp")
    with _naming(path, len(content)):
        _create(temporary, content, sync)
        try:
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        if sync:
            sync_folder(path.parent)


def create_exclusive(path: Path, content: bytes) -> None:
    """Create the file at `path` with `content`; of many concurrent callers exactly one succeeds."""
    with _naming(path, len(content)):
        _create(path, content, sync=False)


def append(path: Path, content: bytes, new: bool = False, sync: bool = False) -> None:
    """Append `content` to the file at `path`, or leave the file unchanged.

    It is one write call, so a process killed in it leaves all or nothing, as far as the system
    writes at once. A write that fails halfway is truncated, so that the file ends at the same
    boundary as before and the call can be repeated. The file is open only during the call, so
    that a thousand runs need no thousand descriptors.

    Args:
        path: the file.
        content: bytes to add.
        new: the file must not exist yet.
        sync: wait until the bytes are on the disk.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (os.O_EXCL if new else 0)
    with _naming(path, len(content)), _opened(path, flags) as descriptor:
        size = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, content)
            if sync:
                os.fsync(descriptor)
        except BaseException:  # also an interruption, after which the caller flushes again
            with suppress(OSError):
                os.ftruncate(descriptor, size)
                if new:
                    os.unlink(path)
            raise


def replace_end(path: Path, old: bytes, new: bytes) -> None:
    """Overwrite the last bytes of the file at `path`, which are `old`, by `new`.

    It is one write call, as in `append`, and if it fails the file ends as before; `new` must not
    be shorter than `old`. If the file does not end with `old`, another program changed it, and
    `new` is appended.
    """
    with _naming(path, len(new)), _opened(path, os.O_RDWR) as descriptor:
        size = os.fstat(descriptor).st_size
        start = max(0, size - len(old))
        os.lseek(descriptor, start, os.SEEK_SET)
        found = os.read(descriptor, len(old))
        if found != old:
            start, found = size, b""
        os.lseek(descriptor, start, os.SEEK_SET)
        try:
            _write_all(descriptor, new)
        except BaseException:
            with suppress(OSError):
                os.lseek(descriptor, start, os.SEEK_SET)
                _write_all(descriptor, found)
                os.ftruncate(descriptor, size)
            raise


def cut(path: Path, size: int) -> None:
    """Truncate the file at `path`, which must be longer, and wait until that is on the disk."""
    with _naming(path), _opened(path, os.O_WRONLY) as descriptor:
        if os.fstat(descriptor).st_size < size:
            raise OSError(errno.EIO, f"it should hold {size} bytes at least")
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)


def rename(path: Path, target: Path) -> None:
    """Rename the file at `path` within its folder, replacing a file of that name."""
    with _naming(target):
        os.replace(path, target)


def remove(path: Path) -> None:
    """Remove the file at `path` if it exists."""
    with _naming(path), suppress(FileNotFoundError):
        os.unlink(path)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk, if the file system supports that."""
    try:
        with _opened(folder, os.O_RDONLY) as descriptor:
            os.fsync(descriptor)
    except OSError as cause:
        if cause.errno not in _NO_FOLDER_SYNC:
            raise


def sync_path(path: Path) -> None:
    """Wait until the file at `path` and the names of its folders are on the disk."""
    with _naming(path):
        with _opened(path, os.O_RDONLY) as descriptor:
            os.fsync(descriptor)
        for folder in path.absolute().parents:
            sync_folder(folder)


def sync_all() -> None:
    """Wait until all writes of the system are on the disk: one wait for many files."""
    if hasattr(os, "sync"):  # Windows has none
        os.sync()


def _create(path: Path, content: bytes, sync: bool) -> None:
    """Create `path`, which must not exist, with `content`; remove it if the write fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            _write_all(descriptor, content)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def _write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`; one call of the system may write less."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _free(path: Path) -> int:
    """Return the bytes free at the nearest existing folder above `path`, 0 if unknown."""
    for folder in path.parents:
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return 0
