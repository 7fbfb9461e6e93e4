"""Answers saved next to their runs, so that one slide can be asked again without the others."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlr.core.durable import WriteError, atomic_write
from mlr.lecture.answer import Answer, Claim, Comparison, Picture, Slide
from mlr.records.status import versions

FILE = "answer.json"


@dataclass(frozen=True)
class Kept:
    """An answer, and when and by what it was measured.

    made: the time in UTC, ISO 8601.
    seconds: how long it took.
    versions: of mlr, torch, and what else decides numbers.
    """

    slide: Slide
    answer: Answer
    made: str
    seconds: float
    versions: Mapping[str, str | None]


def forget(folder: Path) -> None:
    """Remove the answer of a slide's folder, before its runs go.

    Raises:
        WriteError: it cannot be removed.
    """
    try:
        (folder / FILE).unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(folder / FILE, error) from error


def keep(folder: Path, slide: Slide, answer: Answer, seconds: float) -> Kept:
    """Write an answer into its slide's folder.

    Raises:
        WriteError: it cannot be written.
    """
    made = datetime.now(UTC).isoformat(timespec="seconds")
    kept = Kept(slide, answer, made, seconds, dict(versions()))
    story = {
        "number": slide.number,
        "made": made,
        "seconds": round(seconds, 3),
        "versions": kept.versions,
        "sentence": answer.sentence,
        # comparisons of numpy are no bool that JSON knows
        "claims": [asdict(claim) | {"holds": bool(claim.holds)} for claim in answer.claims],
        "rows": [asdict(row) for row in answer.rows],
        "pictures": [_plain(picture, folder) for picture in answer.pictures],
    }
    text = json.dumps(story, ensure_ascii=False, indent=1)
    atomic_write(folder / FILE, text.encode(), sync=False)
    return kept


def read(folder: Path, slide: Slide) -> Kept | None:
    """Read the saved answer of a slide; None if it was never asked, or not to its end."""
    try:
        story = json.loads((folder / FILE).read_text(encoding="utf-8"))
        answer = Answer(
            story["sentence"],
            tuple(Claim(**claim) for claim in story["claims"]),
            tuple(_picture(picture, folder) for picture in story["pictures"]),
            tuple(Comparison(**row) for row in story["rows"]),
        )
        return Kept(slide, answer, story["made"], story["seconds"], story["versions"])
    except (OSError, ValueError, KeyError, TypeError):  # of another version, or damaged
        return None


def _plain(picture: Picture, folder: Path) -> dict[str, str | None]:
    """Folders of runs relative to the slide's, so that the whole can be moved."""
    run = None if picture.run is None else Path(os.path.relpath(picture.run, folder)).as_posix()
    return {**asdict(picture), "run": run}


def _picture(story: Mapping[str, str], folder: Path) -> Picture:
    run = None if story["run"] is None else folder / story["run"]
    return Picture(story["title"], story["svg"], story["command"], run)
