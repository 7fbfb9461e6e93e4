"""Download of files with a known SHA-256: mirrors in turn, resumed where one broke off.

pooch decides whether a file is needed, checks its hash and moves it into place in one step; our
`Resuming` is the downloader it calls. An unfinished download waits beside the target as
`<file>.part`, and only a file whose hash is right ever carries the target's name.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlr.checks import InputError

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = 15.0
"""Seconds without a connection or a byte after which a mirror counts as stalled."""
ROUNDS = 2
"""How often the list of mirrors is gone through; the second goes on where the first broke off."""
MOST_BYTES = 256 * 2**20
"""No file of ours is near this size: an endless answer stops here."""
# what of a chunk has come when a mirror stalls is lost
_CHUNK = 2**12


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
        InputError: no mirror delivered (each with its reason), or the folder cannot be written.
    """
    if is_intact(target, sha256):
        return target
    import pooch

    # pooch would announce each file in two lines; the bar says as much
    pooch.get_logger().setLevel("WARNING")
    reasons: dict[str, str] = {}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            remaining = list(urls)
            for _ in range(ROUNDS):
                for url in tuple(remaining):
                    try:
                        _retrieve(url, sha256, target, Resuming(sha256, timeout, progress))
                        return target
                    except _MirrorError as failure:
                        reasons[url] = str(failure)
                        if failure.final:
                            remaining.remove(url)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{target} cannot be written: {reason}.") from None
    raise InputError("; ".join(f"{url}: {reason}" for url, reason in reasons.items()))


def is_intact(target: Path, sha256: str) -> bool:
    """Whether the file is there with the content it should have."""
    return target.is_file() and _digest(target) == sha256


@dataclass(frozen=True)
class Resuming:
    """A downloader in pooch's sense: called with a URL and the file to fill."""

    sha256: str
    timeout: float
    progress: bool

    def __call__(
        self, url: str, output_file: Any, pooch: Any, check_only: bool = False
    ) -> bool | None:
        """Fill `output_file`, a temporary file of pooch's, going on from an earlier `.part`."""
        part = _part(Path(output_file).parent, self.sha256)
        began_at = part.stat().st_size if part.exists() else 0
        self._receive(url, part)
        found = _digest(part)
        if found != self.sha256 and began_at:
            # the earlier part may have come from another mirror's error page: once more, whole
            part.unlink()
            self._receive(url, part)
            found = _digest(part)
        if found != self.sha256:
            part.unlink(missing_ok=True)
            raise _MirrorError(
                f"wrong content, expected SHA-256 {self.sha256}, got {found}", final=True
            )
        part.replace(output_file)
        return None

    def _receive(self, url: str, part: Path) -> None:
        """Append to `part` what the mirror still has of the file."""
        import requests
        from urllib3.exceptions import HTTPError

        have = part.stat().st_size if part.exists() else 0
        # identity: a server that unpacks on the way would give other bytes than were hashed
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
                _refuse_answer(url, response)
                if response.status_code == 416:
                    return
                if not _continues(response, have):
                    have = 0
                self._write(url, response, part, have)
        except requests.exceptions.Timeout:
            raise _MirrorError(f"no answer within {self.timeout:g} s") from None
        except requests.exceptions.ConnectionError as error:
            raise _MirrorError(_connection(error, self.timeout)) from None
        except (requests.exceptions.RequestException, HTTPError) as error:
            raise _MirrorError(_connection(error, self.timeout)) from None

    def _write(self, url: str, response: Response, part: Path, have: int) -> None:
        from tqdm import tqdm

        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(
                desc=url.rsplit("/", 1)[-1],
                initial=have,
                total=total,
                unit="B",
                unit_scale=True,
                # None: shown on terminals only
                disable=None if self.progress else True,
            ) as bar,
        ):
            while piece := response.raw.read(_CHUNK):
                have += len(piece)
                if have > MOST_BYTES:
                    # nothing of this is worth going on from
                    file.truncate(0)
                    raise _MirrorError(f"answers with more than {MOST_BYTES} bytes", final=True)
                file.write(piece)
                bar.update(len(piece))


def _retrieve(url: str, sha256: str, target: Path, downloader: Resuming) -> None:
    import pooch

    pooch.retrieve(
        url,
        known_hash=f"sha256:{sha256}",
        fname=target.name,
        path=target.parent,
        downloader=downloader,
    )


def _refuse_answer(url: str, response: Response) -> None:
    hops = [*response.history, response]
    if url.startswith("https:") and not all(hop.url.startswith("https:") for hop in hops):
        raise _MirrorError(f"redirects away from https to {response.url}", final=True)
    if response.status_code >= 400 and response.status_code != 416:
        reason = f"answers {response.status_code} {response.reason}"
        raise _MirrorError(reason, final=response.status_code < 500)


def _continues(response: Response, have: int) -> bool:
    """Whether the answer is the rest that was asked for, and not the file from its beginning."""
    content_range = response.headers.get("Content-Range", "")
    return response.status_code == 206 and content_range.startswith(f"bytes {have}-")


def _connection(error: Exception, timeout: float) -> str:
    """A failed connection in a few words; the libraries' own texts nest four exceptions deep."""
    text = str(error)
    if "timed out" in text:
        return f"stalled for {timeout:g} s"
    if "resolve" in text:
        return "its address is unknown; is this machine offline?"
    if "IncompleteRead" in text or "Connection broken" in text:
        return "broke off"
    return f"no connection ({type(error).__name__})"


def _part(folder: Path, sha256: str) -> Path:
    """Where an unfinished download waits, whichever mirror it comes from."""
    return folder / f"{sha256[:16]}.part"


def _digest(path: Path) -> str:
    if not path.exists():
        return "nothing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold other processes off while this one downloads: the jobs of a sweep start together."""
    if sys.platform == "win32":
        # without a lock two downloads spoil each other's part: the hash tells, and they start anew
        yield
        return
    import fcntl

    # the lock file stays: who removed it would let two processes hold two locks of one name
    with (target.parent / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
