"""The summary of a large sweep: a small logdir with one line per setting, the mean over seeds.

TensorBoard ticks nothing above 500 runs and draws every chart blank; below that, hundreds of
lines in seven colours cannot be told apart. `summary/best` holds the best setting of each pair of
head and loss, with the band that holds 80 % of its runs; `summary/all` holds every setting, for
the HPARAMS page. If the best are all, they are in `summary` itself. Figures are those of the run
that was drawn.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlr.core.durable import WriteError
from mlr.records.aggregate import Aggregate, aggregate
from mlr.records.encoding import records, scalar_records
from mlr.records.growing_file import new_events, summary_record
from mlr.records.reading import Recorded
from mlr.records.run_folder import EVENTS
from mlr.records.tensorboard.hparams import hparams_summaries, session_end
from mlr.records.tensorboard.layout import bands_summary

LIMIT = 400
"""Lines in all: with those in `best` there are fewer than the 500 that TensorBoard draws."""
READABLE = 20
"""Lines of one chart that can be told apart if they have one pair."""
COLOURS = 7
"""Colours of TensorBoard."""
BANDS = ("q10", "q90")
COUNT = "runs/counted"
# the tag is field 1 of a Summary's value: key, length, text
_PICTURE = re.compile(rb"\x0a[\x00-\x7f](figure|pr_curve)/")


class SummaryLine(NamedTuple):
    """One setting: its name, as `sigmoid+se,lr=0.1`, options but the seed, and its runs."""

    name: str
    hparams: Mapping[str, Any]
    runs: Sequence[Recorded]


def write_summary(sweep: Path, pairs: Sequence[Sequence[SummaryLine]]) -> Path | None:
    """Write `<sweep>/summary` from the series of the runs, replacing an older one.

    If there are more than 400 settings, each pair keeps its first, as many as any other pair.

    Args:
        sweep: folder of the sweep.
        pairs: the settings of each pair and data set, the one to choose first. Runs that
            recorded nothing count as runs without numbers.

    Returns:
        The summary's folder; None if there is nothing to show.

    Raises:
        WriteError: naming the path and the cause; the older summary is then untouched.
    """
    means = {line.name: mean for own in pairs for line in own if (mean := _mean(line)) is not None}
    if not means:
        return None
    lines = {line.name: line for own in pairs for line in own}
    shown = [[line.name for line in own if line.name in means] for own in pairs]
    shown = [names for names in shown if names]
    share = max(1, LIMIT // len(shown))
    best = _best(shown)
    nested = len(best) < len(means)
    with _replaced(sweep / "summary") as new:
        for key in (key for names in shown for key in names[:share]):
            place = new / "all" / key if nested else new / key
            hparams, pictures = lines[key].hparams, _pictures(lines[key])
            _write_line(place, means[key], hparams, pictures, bands=not nested)
            if nested and key in best:
                _write_line(new / "best" / key, means[key], None, pictures, bands=True)
    return sweep / "summary"


def _mean(line: SummaryLine) -> Aggregate | None:
    series = (run.read_series() for run in line.runs)
    return aggregate([one for one in series if one is not None], len(line.runs))


def _best(pairs: Sequence[Sequence[str]]) -> list[str]:
    """Choose the settings shown first: the best of each pair.

    Settings of one pair are compared with each other, so all of them are shown, or the best if
    they are too many to tell apart.
    """
    if len(pairs) > 1:
        return [names[0] for names in pairs]
    (names,) = pairs
    return list(names if len(names) <= READABLE else names[:COLOURS])


def _pictures(line: SummaryLine) -> bytes:
    """Copy the figures of the first run of a setting that has any."""
    return next(filter(None, (picture_records(run.folder) for run in line.runs)), b"")


def picture_records(folder: Path) -> bytes:
    """Copy the records of a run's figures and PR curves from its event files.

    A damaged or missing file ends the copying and is no error: the run itself is not affected.
    """
    found: list[bytes] = []
    for path in sorted(folder.glob(f"{EVENTS}*")):
        with suppress(OSError, ValueError):
            content = path.read_bytes()
            if b"figure/" in content:  # most files are not searched further
                for framed in records(content):
                    if _PICTURE.search(framed):
                        found.append(framed)
    return b"".join(found)


def _write_line(
    folder: Path,
    line: Aggregate,
    hparams: Mapping[str, Any] | None,
    pictures: bytes,
    bands: bool,
) -> None:
    """Write one run of the logdir: the mean under the usual tags, the count and the band."""
    folder.mkdir(parents=True)
    events = new_events(folder)
    tags, blocks = [*line.tags], [line.mean]
    if bands:
        tags += [f"{band}/{tag}" for band in BANDS for tag in line.tags]
        blocks += [line.low, line.high]
        events.add(summary_record(bands_summary(line.tags, BANDS), 0))
    tags.append(COUNT)
    blocks.append(np.maximum(line.counts.max(axis=1, keepdims=True), 0))
    values = np.concatenate(blocks, axis=1)
    if hparams is not None:
        for proto in hparams_summaries(hparams, folder.name):
            events.add(summary_record(proto, 0))
        # the page filters by it; a diverged run has no finite loss in the end
        status = "done" if 2 * line.final("loss/train")[1] >= line.runs else "diverged"
        events.add(summary_record(session_end(status, time.time()), int(line.steps[-1])))
    now = np.full(len(line.steps), time.time())
    events.add(b"".join(scalar_records(line.steps, tuple(tags), values, now, ~np.isnan(values))))
    events.add(pictures)
    events.flush()


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Give an empty folder that replaces `folder` when the block ends without an error."""
    new, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    try:
        shutil.rmtree(new, ignore_errors=True)  # left by an earlier process of this number
        new.mkdir()
        yield new
        if folder.exists():
            folder.replace(old)
        new.replace(folder)
    except OSError as cause:
        raise cause if isinstance(cause, WriteError) else WriteError(folder, cause) from cause
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
