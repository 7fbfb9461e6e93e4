"""Contents of a run's status.json: one dataclass, with the check, the encoding and the decoding.

The file is a JSON object with an entry a line. Its last entry, `seal`, is the SHA-256 of all
lines before it, so that a changed bit of the file, and by the list `files` of any other file
of a finished run, is found. The checksum detects accidents; it is no signature.

Formats of a run's folder: 2 has a seal in sweep.yaml and the CRC-32C of each tensor in its
checkpoints; 3 has neither, and lists the SHA-256 of event files. Both are read. An entry that is
added leaves the number as it is, because readers ignore what they do not know. An entry that is
removed, renamed, or of another type or length needs a new `FORMAT`; tests/records/formats/ holds
what each number stands for.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mlr.core.checks import DataError
from mlr.records.checksums import Checksum
from mlr.records.evidence import is_evidence

FORMAT = 3
FORMATS = (2, 3)
"""Formats that are read; files that do not name theirs are of the first."""
STATUSES = ("running", "done", "failed", "diverged", "interrupted")
FINISHED = ("done", "diverged")
"""Statuses of runs that were trained to an end, and have final numbers."""
_SEAL = b',\n  "seal": "', b'"\n}\n'
_PACKAGES = {"mlr": "mlr-lab", "torch": "torch", "numpy": "numpy", "hydra": "hydra-core"}
_WHOLE = 1 << 63
_FINITE = 1.7976931348623157e308
_NOT_FINITE = ("nan", "inf", "-inf")
# json's own indentation costs ten times as much, and a sweep ends hundreds of runs
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_encode_key = lru_cache(maxsize=256)(_encode)
Check = Callable[[Any], bool]


class FormatError(DataError):
    """A file is intact, but of a format that this version of mlr does not read."""


def check_format(place: object, found: object) -> None:
    """Check the number of a file's format.

    Raises:
        FormatError: it is none of `FORMATS`.
    """
    if type(found) is not int or found not in FORMATS:
        number = found if type(found) is int and abs(found) < _WHOLE else "unknown"
        raise FormatError(
            f"{place} is of format {number}, and this mlr reads formats {FORMATS[0]} to {FORMAT}: "
            "read it with the mlr that wrote it, or train it again."
        )


def _is_text(found: Any) -> bool:
    return isinstance(found, str)


def _is_text_or_none(found: Any) -> bool:
    return found is None or isinstance(found, str)


def _is_whole(found: Any) -> bool:
    return type(found) is int and abs(found) < _WHOLE


def _is_count(found: Any) -> bool:
    return _is_whole(found) and found >= 0


def _is_number(found: Any) -> bool:
    """Test for a finite number, or None in place of one."""
    return found is None or (type(found) in (int, float) and abs(found) <= _FINITE)


def _is_setting(found: Any) -> bool:
    return isinstance(found, (bool, str)) or _is_metric(found)


def _is_metric(found: Any) -> bool:
    return found in _NOT_FINITE or (found is not None and _is_number(found))


def _row(of: Check) -> Check:
    return lambda found: isinstance(found, list) and all(map(of, found))


def _by_name(of: Check) -> Check:
    return lambda found: isinstance(found, dict) and all(map(of, found.values()))


def _is_checksum(found: Any) -> bool:
    sound = isinstance(found, dict) and _is_count(found.get("bytes"))
    return sound and _is_text(found.get("sha256", ""))


def _is_number_or_row(found: Any) -> bool:
    return _is_number(found) or _row(_is_number)(found)


def _is_table(found: Any) -> bool:
    """Test rows, or pairs of rows, of one length, of which `edges` has one less."""
    if not isinstance(found, dict):
        return False
    lengths = set()
    for name, row in found.items():
        of = _is_text if name == "labels" else _is_count if "count" in name else _is_number
        rows = row if isinstance(row, list) and row and isinstance(row[0], list) else [row]
        if not all(_row(of)(one) for one in rows) or (name == "edges" and None in row):
            return False
        lengths |= {len(one) + (name == "edges") for one in rows}
    return len(lengths) < 2


def _are_logits(found: Any) -> bool:
    """Test the bins for target 0 and for target 1."""
    if not _is_table(found) or len(found.get("edges", ())) < 2:
        return False
    return all(list(map(type, found.get(name, ()))) == [list, list] for name in ("count", "grad"))


_DIAGNOSTICS: Mapping[str, Check] = {
    "examples": lambda found: _is_count(found) and found > 0,
    **dict.fromkeys(("start", "boundary"), _by_name(_is_number_or_row)),
    "data": _by_name(lambda found: _is_number_or_row(found) or _is_table(found)),
    **dict.fromkeys(("confidence", "classes", "targets"), _is_table),
    "logits": _are_logits,
}
"""Entries of the final diagnostics that are neither numbers nor rows of numbers."""


def _are_diagnostics(found: Any) -> bool:
    return isinstance(found, dict) and all(
        _DIAGNOSTICS.get(key, _is_number_or_row)(value) for key, value in found.items()
    )


def _is_calibration(found: Any) -> bool:
    """Test scores by name of each split, with the bins of a diagram, and a temperature."""
    if not isinstance(found, dict):
        return False
    scores = [own for split, own in found.items() if split != "temperature"]
    return _is_number(found.get("temperature")) and all(
        isinstance(own, dict)
        and all(_is_table(one) if name == "bins" else _is_number(one) for name, one in own.items())
        for own in scores
    )


def _entry(check: Check) -> Any:
    """An entry of status.json, which may be missing, and the check of a value that is there."""
    return field(default=None, metadata={"check": check})


@dataclass(frozen=True, kw_only=True, eq=False)
class RunStatus(Mapping[str, Any]):
    """The entries of status.json, in the order of the file; None for one that is missing.

    As a mapping, an instance has the entries that stand in the file.
    """

    format: int | None = _entry(_is_whole)
    status: str | None = _entry(lambda found: found in STATUSES)
    reason: str | None = _entry(_is_text_or_none)  # of an end that is not the planned one
    started: str | None = _entry(_is_text)  # in UTC, ISO 8601
    finished: str | None = _entry(_is_text_or_none)  # likewise; None while it is running
    seed: int | None = _entry(lambda found: found is None or _is_whole(found))
    command: str | None = _entry(_is_text)  # of the latest process, as host and pid
    host: str | None = _entry(_is_text)
    pid: int | None = _entry(_is_whole)
    # by package, of what decides the numbers; None for what is not installed
    versions: Mapping[str, str | None] | None = _entry(_by_name(_is_text_or_none))
    sessions: Sequence[str] | None = _entry(_row(_is_text))  # times at which it was continued
    pair: str | None = _entry(_is_text)  # head and loss, as in `sigmoid+se`
    overrides: Sequence[str] | None = _entry(_row(_is_text))  # as typed
    config_hash: str | None = _entry(_is_text)  # as in `mlr.records.identity`
    # final numbers by tag; "nan", "inf" and "-inf" for what JSON lacks
    metrics: Mapping[str, float | str] | None = _entry(_by_name(_is_metric))
    steps: int | None = _entry(_is_count)  # updates that were done
    threads: int | None = _entry(_is_count)  # the last bits of wide products depend on them
    device: str | None = _entry(_is_text)  # as torch names it
    data: str | None = _entry(_is_text)  # fingerprint of the dataset
    anatomy: Mapping[str, Any] | None = _entry(_are_diagnostics)  # over the training data
    calibration: Mapping[str, Any] | None = _entry(_is_calibration)  # on held-out splits
    program: Mapping[str, Any] | None = _entry(is_evidence)  # of a loop of a user's own
    # by key of the configuration, as `optimizer.lr`, likewise
    hyperparameters: Mapping[str, bool | float | str] | None = _entry(_by_name(_is_setting))
    # the update that would have made the parameters infinite or NaN
    refused: Mapping[str, Any] | None = _entry(lambda found: isinstance(found, dict))
    # by name; None while it is running
    files: Mapping[str, Checksum] | None = _entry(_by_name(_is_checksum))

    def __getitem__(self, name: str) -> Any:
        return self._entries()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def _entries(self) -> dict[str, Any]:
        """Return the entries that stand in the file, where some are null."""
        nulls = _WRITTEN_AS_NULL if self.status is not None else ()
        return {k: value for k, value in vars(self).items() if value is not None or k in nulls}

    @classmethod
    def begun(cls, seed: int | None, command: str | None, **entries: Any) -> RunStatus:
        """Describe a run that begins now, in this process; `command` None takes its own line."""
        first: dict[str, Any] = {
            "format": FORMAT,
            "status": "running",
            "started": now(),
            "seed": seed,
            "command": _command(tuple(sys.orig_argv)) if command is None else command,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "versions": dict(versions()),
        }
        return cls(**first | entries)

    def encode(self) -> bytes:
        """Encode as UTF-8 JSON that any language reads, without NaN."""
        return encode_entries(self._entries())

    @classmethod
    def decode(cls, content: bytes, place: object) -> RunStatus:
        """Decode and check the content of a status.json, at `place`, that anybody may have written.

        Raises:
            FormatError: it is of another format.
            ValueError: its checksum does not fit, or an entry is not as mlr writes it.
        """
        body, _, _ = content.rpartition(_SEAL[0])
        if _sealed(body) != content:
            raise ValueError("its SHA-256 is not the one written into it")
        found = json.loads(body + b"}")
        if not isinstance(found, dict):
            raise ValueError("it holds no JSON object")
        check_format(place, found.get("format", FORMATS[0]))
        check_entries(found)
        return cls(**{name: value for name, value in found.items() if name in _CHECKS})


_CHECKS: Mapping[str, Check] = {one.name: one.metadata["check"] for one in fields(RunStatus)}
_WRITTEN_AS_NULL = ("reason", "finished", "seed")


def encode_entries(entries: Mapping[str, Any]) -> bytes:
    """Encode any entries as the content of a status.json."""
    try:
        lines = [f"  {_encode_key(key)}: {_encode(value)}" for key, value in entries.items()]
    except ValueError:  # a number that is not finite, which is rare
        return encode_entries(_as_json(entries))
    # a path from the system may hold bytes that are no UTF-8
    return _sealed(("{\n" + ",\n".join(lines)).encode("utf-8", errors="backslashreplace"))


def check_entries(entries: Mapping[str, Any]) -> None:
    """Check entries of a status.json that was read.

    Raises:
        ValueError: naming the entry.
    """
    for key, is_sound in _CHECKS.items():
        if key in entries and not is_sound(entries[key]):
            raise ValueError(f"its entry {key!r} is not as mlr writes it")


@lru_cache(maxsize=1)  # long lines of sweeps are quoted once
def _command(words: tuple[str, ...]) -> str:
    return shlex.join(words)


@lru_cache(maxsize=1)
def versions() -> Mapping[str, str | None]:
    """Return the versions of what decides a run's numbers; None for what is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            found[name] = None
    return found


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sealed(body: bytes) -> bytes:
    return body + _SEAL[0] + sha256(body).hexdigest().encode() + _SEAL[1]


def _as_json(value: Any) -> Any:
    """Replace non-finite numbers by text, all the way down."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return value
