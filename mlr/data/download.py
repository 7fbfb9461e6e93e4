"""Download of files with a known SHA-256, over https only, from one mirror after the other.

An unfinished download waits beside its target as `<file>.part`, and only a file whose hash is
right ever carries the target's name. A download that fails leaves nothing; what one leaves that
was killed, the next goes on with.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlr.core.durable import WriteError, append, remove, rename
from mlr.core.locks import hold
from mlr.data.faults import fault, tail

if TYPE_CHECKING:
    from requests import Response, Session

TIMEOUT = 10.0
"""Seconds without a connection or a byte after which a mirror counts as stalled."""
ROUNDS = 2
"""How often the list of mirrors is gone through; the second goes on where the first broke off."""
MOST_BYTES = 64 * 2**20
"""No file of ours is half as large: an endless answer stops here."""
SLOWEST, PATIENCE = 1024, 30.0
"""Bytes a second that a mirror must send on average, judged after so many seconds."""
_SCHEMES = ("https://",)
_CHUNK = 2**16
_LONGEST_REASON = 70


class _MirrorError(Exception):
    """One mirror did not deliver; `final` when asking it again cannot help."""

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def fetch(
    urls: Sequence[str], sha256: str, target: Path, timeout: float = TIMEOUT, progress: bool = True
) -> Path:
    """Return `target`, downloaded if it is not there yet or its content is not what it should be.

    Args:
        urls: mirrors of one file, tried in order.
        sha256: hexadecimal digest that the file must have.
        target: where the file goes; its folder is made.
        timeout: seconds of silence after which a mirror is given up.
        progress: whether a bar is shown on a terminal's stderr.

    Raises:
        DataError: no mirror delivered; gives their reasons.
        WriteError: the folder or the file cannot be written.
    """
    if is_intact(target, sha256):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(target.parent, error) from error
    part = target.with_name(f"{target.name}.part")
    with _alone(target.parent):
        if is_intact(target, sha256):  # who was waited for has fetched it
            return target
        try:
            reasons = _from_mirrors(urls, Download(sha256, part, timeout, progress))
            if reasons is None:
                rename(part, target)
                return target
        finally:
            with suppress(WriteError):  # the first error is the one to tell
                remove(part)
    told = "; ".join(f"{host}: {reason}" for host, reason in reasons.items())
    told = told if len(told) <= _LONGEST_REASON else f"{told[: _LONGEST_REASON - 1]}…"
    raise fault(tail(target.name, 40), f"cannot be downloaded ({told})")


def is_intact(target: Path, sha256: str) -> bool:
    """Tell if the file is there with the content it should have."""
    return target.is_file() and digest(target) == sha256


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise fault(path, f"cannot be read: {error.strerror or error}.") from None


def _from_mirrors(urls: Sequence[str], download: Download) -> dict[str, str] | None:
    """Why each mirror did not deliver, by its host; None when one did."""
    reasons: dict[str, str] = {}
    remaining = list(urls)
    with _session() as session:
        for _ in range(ROUNDS):
            for url in tuple(remaining):
                try:
                    download.complete(session, url)
                except _MirrorError as failure:
                    reasons[urlsplit(url).netloc] = str(failure)
                    if failure.final:
                        remaining.remove(url)
                else:
                    return None
    return reasons


def _session() -> Session:
    """Connections that know https and nothing else, wherever a redirect leads."""
    import requests

    session = requests.Session()
    known = session.get_adapter("https://")
    session.adapters.clear()
    for scheme in _SCHEMES:
        session.mount(scheme, known)
    session.max_redirects = 5
    return session


@dataclass(frozen=True)
class Download:
    """One file on its way into `part`, whichever mirror sends it."""

    sha256: str
    part: Path
    timeout: float
    progress: bool

    def complete(self, session: Session, url: str) -> None:
        """Fill `part`, going on from what it holds.

        Raises:
            _MirrorError: the mirror did not deliver, or something else.
        """
        began_at = self._size()
        self._receive(session, url)
        found = digest(self.part) if self.part.exists() else "nothing"
        if found != self.sha256 and began_at:
            # the earlier part may have come from another mirror's error page: once more, whole
            remove(self.part)
            self._receive(session, url)
            found = digest(self.part) if self.part.exists() else "nothing"
        if found != self.sha256:
            remove(self.part)
            raise _MirrorError(f"SHA-256 {found[:12]}…, not {self.sha256[:12]}…", final=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _receive(self, session: Session, url: str) -> None:
        """Append to `part` what the mirror still has of the file."""
        from requests import exceptions
        from urllib3.exceptions import HTTPError

        have = self._size()
        # identity: a server that unpacks on the way would give other bytes than were hashed
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            with session.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
                if response.status_code == 416:
                    return
                _refuse_answer(response)
                if not _continues(response, have):
                    remove(self.part)
                    have = 0
                self._write(url, response, have)
        except exceptions.Timeout:
            raise _MirrorError(f"no answer within {self.timeout:g} s") from None
        except (exceptions.InvalidSchema, exceptions.InvalidURL, exceptions.MissingSchema):
            raise _MirrorError("leads away from https", final=True) from None
        except exceptions.TooManyRedirects:
            raise _MirrorError("redirects without end", final=True) from None
        except (exceptions.RequestException, HTTPError) as error:
            raise _MirrorError(_connection(error, self.timeout)) from None

    def _write(self, url: str, response: Response, have: int) -> None:
        from tqdm import tqdm

        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isascii() and length.isdecimal() else None
        if total is not None and total > MOST_BYTES:
            raise _MirrorError(f"sends more than {MOST_BYTES} bytes", final=True)
        began, start = time.monotonic(), have
        with tqdm(
            desc=url.rsplit("/", 1)[-1],
            initial=have,
            total=total,
            unit="B",
            unit_scale=True,
            # None: shown on terminals only
            disable=None if self.progress else True,
        ) as bar:
            # read1 gives what has come: a full chunk may be hours away
            while piece := response.raw.read1(_CHUNK):
                have += len(piece)
                if have > MOST_BYTES:
                    remove(self.part)  # nothing of this is worth going on from
                    raise _MirrorError(f"sends more than {MOST_BYTES} bytes", final=True)
                append(self.part, piece)
                bar.update(len(piece))
                passed = time.monotonic() - began
                if passed > PATIENCE and have - start < SLOWEST * passed:
                    raise _MirrorError(f"sends less than {SLOWEST} bytes a second")


def _refuse_answer(response: Response) -> None:
    if response.status_code >= 400:
        reason = f"answers {response.status_code}"
        raise _MirrorError(reason, final=response.status_code < 500)


def _continues(response: Response, have: int) -> bool:
    """Tell if the answer is the rest that was asked for, and not the file from its beginning."""
    content_range = response.headers.get("Content-Range", "")
    return response.status_code == 206 and content_range.startswith(f"bytes {have}-")


def _connection(error: Exception, timeout: float) -> str:
    """A failed connection in a few words; the libraries' own texts nest four exceptions deep."""
    text = str(error)
    if "timed out" in text:
        return f"stalled for {timeout:g} s"
    if "resolve" in text:
        return "unknown address; offline?"
    if "IncompleteRead" in text or "Connection broken" in text:
        return "broke off"
    if "CERTIFICATE" in text.upper():
        return "its certificate is not trusted"
    return f"no connection ({type(error).__name__})"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold other processes off while this one downloads: the jobs of a sweep start together."""
    # the lock file stays: who removed it would let two processes hold two locks of one name
    while True:
        try:
            lock = hold(folder / ".lock", f"process {os.getpid()}")
            break
        except BlockingIOError:
            time.sleep(0.1)
    try:
        yield
    finally:
        os.close(lock)
