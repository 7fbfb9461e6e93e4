"""Answers saved next to their runs, so that one slide can be asked again without the others."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlr.core.durable import WriteError, atomic_write
from mlr.lecture.page.answer import Answer, Claim, Illustration, PublishedNumber, Slide
from mlr.records.status import versions

FILE = "answer.json"


@dataclass(frozen=True)
class SavedAnswer:
    """An answer with the time and the software of its measurement.

    made: time in UTC, ISO 8601.
    seconds: duration of the measurement.
    versions: versions of mlr, torch, and other packages that decide numbers.
    """

    slide: Slide
    answer: Answer
    made: str
    seconds: float
    versions: Mapping[str, str | None]


def remove(folder: Path) -> None:
    """Remove the saved answer of a slide, before its runs are removed.

    Raises:
        WriteError: It cannot be removed.
    """
    try:
        (folder / FILE).unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(folder / FILE, error) from error


def save(folder: Path, slide: Slide, answer: Answer, seconds: float) -> SavedAnswer:
    """Write an answer into its slide's folder.

    Raises:
        WriteError: It cannot be written.
    """
    made = datetime.now(UTC).isoformat(timespec="seconds")
    saved = SavedAnswer(slide, answer, made, seconds, dict(versions()))
    story = {
        "number": slide.number,
        "made": made,
        "seconds": round(seconds, 3),
        "versions": saved.versions,
        "sentence": answer.sentence,
        # JSON does not know the bool of a numpy comparison
        "claims": [asdict(claim) | {"holds": bool(claim.holds)} for claim in answer.claims],
        "rows": [asdict(row) for row in answer.rows],
        "pictures": [_as_json(picture, folder) for picture in answer.pictures],
    }
    text = json.dumps(story, ensure_ascii=False, indent=1)
    atomic_write(folder / FILE, text.encode(), sync=False)
    return saved


def load(folder: Path, slide: Slide) -> SavedAnswer | None:
    """Load the saved answer of a slide; None if there is no complete one."""
    try:
        story = json.loads((folder / FILE).read_text(encoding="utf-8"))
        answer = Answer(
            story["sentence"],
            tuple(Claim(**claim) for claim in story["claims"]),
            tuple(_picture(picture, folder) for picture in story["pictures"]),
            tuple(PublishedNumber(**row) for row in story["rows"]),
        )
        return SavedAnswer(slide, answer, story["made"], story["seconds"], story["versions"])
    except (OSError, ValueError, KeyError, TypeError):  # written by another version, or damaged
        return None


def _as_json(picture: Illustration, folder: Path) -> dict[str, str | None]:
    """Make the run's folder relative to the slide's, so that the lecture's folder can be moved."""
    run = None if picture.run is None else Path(os.path.relpath(picture.run, folder)).as_posix()
    return {**asdict(picture), "run": run}


def _picture(story: Mapping[str, str], folder: Path) -> Illustration:
    run = None if story["run"] is None else folder / story["run"]
    return Illustration(story["title"], story["svg"], story["command"], run)
