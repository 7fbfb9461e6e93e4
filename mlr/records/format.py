"""The format of a run's folder: its number, and what status.json may hold.

1: status.json and sweep.yaml without a seal, checkpoints without a checksum of each tensor.
2: with them. Sealed files that do not name their format are of this one.

An entry that is added leaves the number as it is, for readers take what they know. One that is
gone, has another name, type or length makes it another format, and raises `FORMAT`;
tests/records/formats/ holds what each number stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from mlr.core.checks import DataError

FORMAT = 2
UNSEALED, UNNAMED = 1, 2
"""Formats of files without a seal, and of those with one that do not name theirs."""
SEAL_DIGITS = 64
STATUSES = ("running", "done", "failed", "diverged", "interrupted")
_WHOLE = 1 << 63
_FINITE = 1.7976931348623157e308
_NOT_FINITE = ("nan", "inf", "-inf")


class FormatError(DataError):
    """A file is whole, but of a format that this mlr does not read."""


def check_format(place: object, found: object) -> None:
    """Raise FormatError unless `found` is the number of the format that is read here."""
    if type(found) is not int or found != FORMAT:
        number = found if type(found) is int and abs(found) < _WHOLE else "unknown"
        raise FormatError(
            f"{place} is of format {number}, and this mlr reads format {FORMAT}: "
            "read it with the mlr that wrote it, or train it again."
        )


def never_sealed(found: Any) -> bool:
    """Tell if a status.json or a sweep.yaml whose seal is not sound never had one.

    A changed bit in the seal's name leaves its digits behind.
    """
    if not isinstance(found, dict) or "status" not in found:
        return False
    last = next(reversed(found.values()))
    return "seal" not in found and not (isinstance(last, str) and len(last) == SEAL_DIGITS)


def check_status(status: Mapping[str, Any]) -> None:
    """Refuse what no mlr writes into a status.json of this format; others may have written it.

    Raises:
        ValueError: naming the entry.
    """
    for key, is_sound in _STATUS.items():
        if key in status and not is_sound(status[key]):
            raise ValueError(f"its entry {key!r} is not as mlr writes it")
    anatomy = status.get("anatomy")
    for key, value in (anatomy or {}).items():
        is_sound = _ANATOMY.get(key, _is_number)
        if not is_sound(value):
            raise ValueError(f"its entry 'anatomy.{key}' is not as mlr writes it")


def _is_text(found: Any) -> bool:
    return isinstance(found, str)


def _is_text_or_none(found: Any) -> bool:
    return found is None or isinstance(found, str)


def _is_whole(found: Any) -> bool:
    return type(found) is int and abs(found) < _WHOLE


def _is_count(found: Any) -> bool:
    return _is_whole(found) and found >= 0


def _is_number(found: Any) -> bool:
    """A finite number, or None for none."""
    return found is None or (type(found) in (int, float) and abs(found) <= _FINITE)


def _is_metric(found: Any) -> bool:
    return found in _NOT_FINITE or (found is not None and _is_number(found))


def _row(of: Callable[[Any], bool], length: int | None = None) -> Callable[[Any], bool]:
    def is_row(found: Any) -> bool:
        return isinstance(found, list) and length in (None, len(found)) and all(map(of, found))

    return is_row


def _by_name(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, dict) and all(map(of, found.values()))


def _is_entry(found: Any) -> bool:
    """Of the list of files, see `mlr.records.manifest`."""
    return (
        isinstance(found, dict)
        and _is_count(found.get("bytes"))
        and _is_text(found.get("sha256", ""))
    )


def _are_edges(found: Any) -> bool:
    """At least two numbers, each above the one before."""
    if not isinstance(found, list) or len(found) < 2 or None in found:
        return False
    return all(map(_is_number, found)) and all(low < high for low, high in pairwise(found))


def _are_rows(part: Mapping[str, Any], length: int, **rows: Callable[[Any], bool]) -> bool:
    """Tell if those rows that are there have one value a bin or class."""
    return all(_row(of, length)(part[name]) for name, of in rows.items() if name in part)


def _is_confidence(found: Any) -> bool:
    if not isinstance(found, dict) or not _are_edges(found.get("edges", [0, 1])):
        return False
    sizes = {"count_wrong": _is_count, "count_right": _is_count}
    pulls = {"grad_wrong": _is_number, "grad_right": _is_number}
    return _are_rows(found, len(found.get("edges", [0, 1])) + 1, **sizes, **pulls)


def _are_classes(found: Any) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("count"), list):
        return False
    numbers = dict.fromkeys(("recall", "grad", "grad_wrong"), _is_number)
    return _are_rows(found, len(found["count"]), count=_is_count, labels=_is_text, **numbers)


def _are_logits(found: Any) -> bool:
    """Bins for target 0 and for target 1."""
    if not isinstance(found, dict) or not _are_edges(found.get("edges")):
        return False
    bins = len(found["edges"]) + 1
    rows = {"count": _is_count, "grad": _is_number}
    return all(_row(_row(of, bins), 2)(found.get(name)) for name, of in rows.items())


def _is_data(found: Any) -> bool:
    if not isinstance(found, dict) or not _are_rows(found, 3, feature_std=_is_number):
        return False
    return all(_is_number(value) for key, value in found.items() if key != "feature_std")


_STATUS: Mapping[str, Callable[[Any], bool]] = {
    "status": lambda found: found in STATUSES,
    "reason": _is_text_or_none,
    "started": _is_text,
    "finished": _is_text_or_none,
    "seed": lambda found: found is None or _is_whole(found),
    "command": _is_text,
    "host": _is_text,
    "pid": _is_whole,
    "versions": _by_name(_is_text_or_none),
    "sessions": _row(_is_text),
    "pair": _is_text,
    "overrides": _row(_is_text),
    "config_hash": _is_text,
    "metrics": _by_name(_is_metric),
    "steps": _is_count,
    "threads": _is_count,
    "device": _is_text,
    "data": _is_text,
    "anatomy": lambda found: isinstance(found, dict),
    "refused": lambda found: isinstance(found, dict),
    "files": _by_name(_is_entry),
}
"""Entries of status.json; any may be missing, and others may be there."""
_ANATOMY: Mapping[str, Callable[[Any], bool]] = {
    "examples": lambda found: _is_count(found) and found > 0,
    "start": _by_name(_is_number),
    "confidence": _is_confidence,
    "classes": _are_classes,
    "boundary": _by_name(_is_number),
    "logits": _are_logits,
    "gradient": _row(_is_number),
    "data": _is_data,
}
"""Of an anatomy (see `mlr.training.diagnostics_report`), likewise; the others are numbers."""
