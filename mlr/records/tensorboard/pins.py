"""Pictures that TensorBoard pins on top of TIME SERIES, where a person sees them first."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlr.records.run_folder import EVENTS

MOST = 4
"""Pictures pinned: two rows of a wide window."""
_EXPERIMENT = "defaultExperimentId"  # TensorBoard's, of any logdir


def pinned_pictures(folder: Path, runs: Iterable[Path], tag: str) -> list[dict[str, Any]]:
    """Build entries of `pinnedCards` in TensorBoard's address, for the first runs with a picture.

    Args:
        folder: that TensorBoard opens.
        runs: folders in or below it, those to show first first.
        tag: of the picture, as in `figure/course`.
    """
    found: list[dict[str, Any]] = []
    for run in runs:
        if len(found) == MOST:
            break
        if _has(run, tag.encode()):
            name = run.relative_to(folder).as_posix()
            card = {"plugin": "images", "tag": tag, "runId": f"{_EXPERIMENT}/{name}", "sample": 0}
            found.append(card)
    return found


def _has(run: Path, tag: bytes) -> bool:
    for path in sorted(run.glob(f"{EVENTS}*")):
        with suppress(OSError):
            if tag in path.read_bytes():
                return True
    return False
