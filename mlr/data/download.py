"""Download of files with a known SHA-256, over https only, from one mirror after the other.

pooch writes to a temporary file in the target's folder and renames it once its hash is right, so
the target is the whole file or not there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from mlr.core.durable import WriteError
from mlr.data.faults import fault, tail
from mlr.data.files import is_intact

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = 10.0
"""Seconds without a connection or a byte after which a mirror counts as stalled."""
_SCHEMES = ("https://",)
_LONGEST_REASON = 70


def fetch(urls: Sequence[str], sha256: str, target: Path, timeout: float = TIMEOUT) -> Path:
    """Return `target`, downloaded if it is not there yet or has another content.

    A terminal shows a progress bar.

    Args:
        urls: mirrors of one file, tried in order.
        sha256: hexadecimal digest that the file must have.
        target: destination; its folder is made.
        timeout: seconds of silence after which the next mirror is tried.

    Raises:
        DataError: no mirror delivered; gives their reasons.
        WriteError: the folder or the file cannot be written.
    """
    if is_intact(target, sha256):
        return target
    import pooch
    from requests.exceptions import RequestException

    pooch.get_logger().setLevel("WARNING")  # the bar and the error say enough
    loader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=2**16,
        timeout=timeout,
        # a server that unpacks on the way would send other bytes than were hashed
        headers={"Accept-Encoding": "identity"},
        hooks={"response": _refuse_redirect},
    )
    reasons = []
    for url in urls:
        try:
            _require_https(url)
            pooch.retrieve(url, sha256, target.name, target.parent, downloader=loader)
            return target
        except (RequestException, ValueError) as error:  # ValueError: the hash differs
            reasons.append(f"{urlsplit(url).netloc}: {_reason(error)}")
        except OSError as error:
            raise WriteError(target.parent, error) from error
    text = "; ".join(reasons)
    text = text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"
    raise fault(tail(target.name, 40), f"cannot be downloaded ({text})")


def _require_https(url: str) -> None:
    from requests.exceptions import InvalidSchema

    if not url.startswith(_SCHEMES):
        raise InvalidSchema(url)


def _refuse_redirect(response: Response, **_: Any) -> None:
    """Refuse a redirect that leads away from https, before it is followed."""
    if response.is_redirect:
        _require_https(urljoin(response.url, response.headers["Location"]))


def _reason(error: Exception) -> str:
    """Shorten an error: the texts of requests nest four exceptions deep."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code}"
    if isinstance(error, exceptions.InvalidSchema):
        return "leads away from https"
    if type(error) is exceptions.ConnectionError:
        return "no connection; offline?"
    if not isinstance(error, exceptions.RequestException):
        return "another file"
    return type(error).__name__
