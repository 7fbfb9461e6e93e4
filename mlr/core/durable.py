"""Durable writing: whole files by rename, appended files that end at a boundary.

No other module of mlr opens a file for writing, except `locks`, whose files need not last. Every
failure becomes one `WriteError` that names the path and the cause, independent of the system call.
All calls go through this module's `os`, so that a test can let the n-th of them fail or be the
last.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

_NUMBER = count()
# a folder that cannot be opened or synced (network file systems, Windows) is no failure
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EACCES, errno.EPERM, errno.EBADF, errno.ENOTSUP}


class WriteError(OSError):
    """A file could not be written; `errno`, `strerror` and `filename` are set as in OSError."""

    exit_code = 74

    def __init__(self, path: Path, cause: OSError, needed: int = 0):
        super().__init__(cause.errno, cause.strerror or str(cause), str(path))
        self.needed = needed

    def __str__(self) -> str:
        """One sentence: path, cause, and for a full disk the bytes needed and free."""
        return f"cannot write {self.filename}: {self.strerror}{self.space}"

    @property
    def space(self) -> str:
        """Bytes needed and free, in brackets, for a full disk; else an empty text."""
        if self.errno not in (errno.ENOSPC, errno.EDQUOT):
            return ""
        return f" ({self.needed:,} bytes needed, {_free(Path(self.filename)):,} free)"


def atomic_write(path: Path, content: bytes, sync: bool = True) -> None:
    """Replace the file at `path` by `content`, so that readers see the old or the new one, whole.

    Args:
        path: the file; its folder must exist.
        content: all of the file.
        sync: wait until file and name are on the disk (fsync), so that a power loss
            leaves the old or the new file too. False leaves only the promise about readers.

    Raises:
        WriteError: the old file is then untouched and no other is left.
    """
    if path.exists() and not path.is_file():
        # a rename would put a file in the place of a device such as /dev/stdout
        raise WriteError(path, OSError(errno.EINVAL, "it is there, and no file"))
    # in the same folder: a rename across file systems is no rename
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_NUMBER)}.tmp")
    try:
        _create(temporary, content, sync)
        try:
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        if sync:
            sync_folder(path.parent)
    except OSError as cause:
        raise WriteError(path, cause, len(content)) from cause


def create_exclusive(path: Path, content: bytes) -> None:
    """Create the file at `path` with `content`; of many callers exactly one succeeds.

    Raises:
        WriteError: with errno EEXIST where the file was there before, else with the cause.
    """
    try:
        _create(path, content, sync=False)
    except OSError as cause:
        raise WriteError(path, cause, len(content)) from cause


def append(path: Path, content: bytes, new: bool = False, sync: bool = False) -> None:
    """Append `content` to the file at `path`, or leave the file as it was.

    One write call: a process killed in the middle leaves all or nothing, as far as the
    system writes it in one go. A write that fails half way is cut off again, so that the
    file ends at the same boundary as before and the call can be repeated. The file is
    open only during the call, so a thousand runs hold no thousand descriptors.

    Args:
        path: the file.
        content: bytes to add.
        new: the file must not exist yet.
        sync: wait until the bytes are on the disk.

    Raises:
        WriteError: naming path and cause.
    """
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (os.O_EXCL if new else 0)
        descriptor = os.open(path, flags, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            _write_all(descriptor, content)
            if sync:
                os.fsync(descriptor)
        except BaseException:  # an interruption too: whoever catches it flushes again
            with suppress(OSError):
                os.ftruncate(descriptor, size)
                if new:
                    os.unlink(path)
            raise
        finally:
            os.close(descriptor)
    except OSError as cause:
        raise WriteError(path, cause, len(content)) from cause


def replace_end(path: Path, old: bytes, new: bytes) -> None:
    """Write `new` over the last bytes of the file at `path`, which are `old`.

    One write call, as in `append`. `new` is at least as long as `old`. If the file ends
    otherwise, somebody else changed it, and `new` is appended.

    Raises:
        WriteError: naming path and cause; the file then ends as it did.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
        try:
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
        finally:
            os.close(descriptor)
    except OSError as cause:
        raise WriteError(path, cause, len(new)) from cause


def cut(path: Path, size: int) -> None:
    """Truncate the file at `path` to `size` bytes, and wait until that is on the disk.

    Raises:
        WriteError: it could not be cut, or is shorter than that.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            if os.fstat(descriptor).st_size < size:
                raise OSError(errno.EIO, f"it should hold {size} bytes at least")
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as cause:
        raise WriteError(path, cause) from cause


def rename(path: Path, target: Path) -> None:
    """Rename the file at `path` within its folder, and replace a file of that name.

    Raises:
        WriteError: naming the target.
    """
    try:
        os.replace(path, target)
    except OSError as cause:
        raise WriteError(target, cause) from cause


def remove(path: Path) -> None:
    """Remove the file at `path`, if it is there.

    Raises:
        WriteError: it cannot be removed.
    """
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
    except OSError as cause:
        raise WriteError(path, cause) from cause


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk, where the file system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as cause:
        if cause.errno in _NO_FOLDER_SYNC:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as cause:
        if cause.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_path(path: Path) -> None:
    """Wait until the file at `path` is on the disk, and so are the names that lead to it.

    Raises:
        WriteError: naming the file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for folder in path.absolute().parents:
            sync_folder(folder)
    except OSError as cause:
        raise WriteError(path, cause) from cause


def sync_all() -> None:
    """Wait until all that was written is on the disk: one wait for many files."""
    if hasattr(os, "sync"):  # Windows has none
        os.sync()


def _create(path: Path, content: bytes, sync: bool) -> None:
    """Create `path`, which must not exist, with `content`; a failed write removes it again."""
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
    """Write all of `content`; the system may take less than it was given."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _free(path: Path) -> int:
    """Return the bytes free at the nearest existing folder above `path`; 0 if unknown."""
    for folder in path.parents:
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return 0
