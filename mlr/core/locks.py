"""Lock files: one process at a time works in a folder, and a lock whose holder is gone is none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mlr.core.durable import WriteError


def hold(path: Path, owner: str) -> int:
    """The open lock file `path`; the system lets it go when the process ends, however.

    Args:
        path: the file, made if it is not there, and left when the lock is let go.
        owner: who holds it, for whoever finds it held.

    Raises:
        BlockingIOError: another process holds it; its text says who.
        WriteError: the file cannot be made or written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise WriteError(path, error) from error
    with suppress(ImportError):  # Windows has none; there, two processes are not told apart
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace").strip()
            os.close(descriptor)
            raise BlockingIOError(holder or "another process") from None
        except OSError:  # a file system without locks
            return descriptor
    with suppress(OSError):  # on a full disk it is held without a name
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{owner}\n".encode())
    return descriptor


def holder(path: Path) -> str | None:
    """Who holds the lock file `path`, as `hold` was told; None where nobody does, or none can tell.

    Writes nothing, so that folders of others can be looked at too.
    """
    with suppress(OSError, ImportError), path.open("rb") as file:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read(200).decode(errors="replace").strip() or "another process"
    return None
