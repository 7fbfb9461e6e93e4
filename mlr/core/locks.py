"""Lock files: one process at a time works in a folder; the lock ends with its process."""

import os
from contextlib import suppress
from pathlib import Path

from mlr.core.durable import WriteError


def hold(path: Path, owner: str) -> int:
    """Lock the file `path` and return its descriptor; the system unlocks it when the process ends.

    Args:
        path: the file, created if absent; it stays when the lock is released.
        owner: name of this process, written for others that find the file locked.

    Raises:
        BlockingIOError: another process holds it; the text is its name.
        WriteError: the file cannot be made or written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise WriteError(path, error) from error
    with suppress(ImportError):  # Windows has none, and so no locks
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace").strip()
            os.close(descriptor)
            raise BlockingIOError(holder or "another process") from None
        except OSError:  # a file system without locks
            return descriptor
    with suppress(OSError):  # on a full disk the lock has no name
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{owner}\n".encode())
    return descriptor


def holder(path: Path) -> str | None:
    """Return the name of the process that holds the lock file `path`, None if there is none.

    Writes nothing, so that it works in read-only folders too.
    """
    with suppress(OSError, ImportError), path.open("rb") as file:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read(200).decode(errors="replace").strip() or "another process"
    return None
