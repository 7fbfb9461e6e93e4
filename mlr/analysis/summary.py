"""The small logdir of a big sweep: one line a cell, the mean over its seeds.

TensorBoard ticks nothing above 500 runs and draws every chart blank; below that, hundreds of
lines in seven colours say nothing either. A cell is everything that was swept but the seed.
`summary/best` holds the best cell of each head and loss, with the band that 80 % of its runs
are in, and is what the link opens; `summary/all` holds every cell, for the HPARAMS page and
for those who look for more. Where the best are all, the cells stand in `summary` itself: one
cell a head and loss, or one head and loss with a few cells. Figures are those of the cell's
run that was drawn.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlr.core.durable import WriteError
from mlr.records.aggregate import Aggregate, aggregate, read_series
from mlr.records.colours import colouring
from mlr.records.events import EventWriter
from mlr.records.hparams import HEADLINES, hparams_summaries, session_end
from mlr.records.layout import bands_summary, link
from mlr.records.pictures import picture_records

LIMIT = 400  # cells: with those in `best` there are fewer than the 500 that TensorBoard draws
READABLE = 20  # lines of one chart
COLOURS = 7  # that TensorBoard has
BANDS = ("q10", "q90")
COUNT = "runs/counted"
_PAIR = re.compile(r"\w+\+\w+")


class SummaryRun(NamedTuple):
    """A run, and the cell it belongs to."""

    folder: Path
    cell: str
    """as its folder is named, but without the seed: sigmoid+se,lr=0.1"""
    hparams: Mapping[str, Any]
    """what the cell is, without the seed"""
    among: str = ""
    """the cells from which one is chosen, of one pair and one data set; by default those whose
    names begin with the same pair"""


class Summary(NamedTuple):
    """What was written."""

    folder: Path
    """the logdir"""
    link: str
    """the end of TensorBoard's address that opens it"""
    cells: int
    """how many cells there are"""
    left_out: int
    """how many of them have no line: the worst of each head and loss, or without numbers"""


def write_summary(sweep: Path, runs: Sequence[SummaryRun]) -> Summary | None:
    """Write `<sweep>/summary` from the metrics.csv of the runs, in place of an older one.

    Of more than 400 cells each head and loss keeps its first, as many as any other.

    Args:
        sweep: the sweep's folder.
        runs: all runs, those of the best cell of each head and loss first (see
            `mlr.records.ranking.chosen`); those that recorded nothing count as runs without
            numbers.

    Returns:
        What was written; None if there is nothing to show.

    Raises:
        WriteError: naming the path and the cause; the older summary is then untouched.
    """
    members: dict[str, list[SummaryRun]] = {}
    for run in runs:
        members.setdefault(run.cell, []).append(run)
    cells: dict[str, Aggregate] = {}
    for name, own in members.items():
        series = (read_series(run.folder / "metrics.csv") for run in own)
        found = aggregate([one for one in series if one is not None], len(own))
        if found is not None:
            cells[name] = found
    if not cells:
        return None
    pairs = _pairs(cells, members)
    share = max(1, LIMIT // len(pairs))
    kept = [name for names in pairs.values() for name in names[:share]]
    first = _first(pairs)
    nested = len(first) < len(cells)
    with _replaced(sweep / "summary") as new:
        for name in kept:
            place = new / "all" / name if nested else new / name
            hparams, pictures = members[name][0].hparams, _pictures(members[name])
            _write_cell(place, cells[name], hparams, pictures, bands=not nested)
            if nested and name in first:
                _write_cell(new / "best" / name, cells[name], None, pictures, bands=True)
    tags = {tag for cell in cells.values() for tag in cell.tags}
    folder = sweep / "summary"
    return Summary(folder, link_to(folder, tags), len(members), len(members) - len(kept))


def link_to(folder: Path, tags: Iterable[str]) -> str:
    """The end of TensorBoard's address that opens a summary.

    Args:
        folder: of the summary.
        tags: every scalar that its runs may have recorded.
    """
    nested = (folder / "best").is_dir()
    shown = sorted(path.name for path in (folder / "best" if nested else folder).iterdir())
    return link(tags, "^best/" if nested else None, colouring(shown))


def _first(pairs: Mapping[str, Sequence[str]]) -> list[str]:
    """The cells to show at first: the best of each pair.

    Cells of one pair are compared with each other, so all of them are shown, or the best
    if they are too many to tell apart.
    """
    if len(pairs) > 1:
        return [names[0] for names in pairs.values()]
    (names,) = pairs.values()
    return list(names if len(names) <= READABLE else names[:COLOURS])


def _pairs(
    cells: Iterable[str], members: Mapping[str, Sequence[SummaryRun]]
) -> dict[str, list[str]]:
    """The cells of each head and loss, in their order; names without a pair stand together."""
    pairs: dict[str, list[str]] = {}
    for name in cells:
        pair = _PAIR.match(name)
        pairs.setdefault(members[name][0].among or (pair[0] if pair else ""), []).append(name)
    return pairs


def _pictures(runs: Sequence[SummaryRun]) -> bytes:
    """Records of the figures of the one run of a cell that is drawn, if one is."""
    return next(filter(None, (picture_records(run.folder) for run in runs)), b"")


def _write_cell(
    folder: Path,
    cell: Aggregate,
    hparams: Mapping[str, Any] | None,
    pictures: bytes,
    bands: bool,
) -> None:
    """One run of the logdir: the mean under the usual tags, and what stands beside it."""
    folder.mkdir(parents=True)
    writer = EventWriter(folder, first=True)
    tags, blocks = [*cell.tags], [cell.mean]
    if bands:
        tags += [f"{band}/{tag}" for band in BANDS for tag in cell.tags]
        blocks += [cell.low, cell.high]
        writer.summary(bands_summary(cell.tags, BANDS), 0)
    tags.append(COUNT)
    blocks.append(np.maximum(cell.counts.max(axis=1, keepdims=True), 0))
    values = np.concatenate(blocks, axis=1)
    if hparams is not None:
        for proto in hparams_summaries(hparams, HEADLINES, folder.name):
            writer.summary(proto, 0)
        # the page filters by it; a diverged run has no finite loss in the end
        status = "done" if 2 * cell.final("loss/train")[1] >= cell.runs else "diverged"
        writer.summary(session_end(status, time.time()), int(cell.steps[-1]))
    now = np.full(len(cell.steps), time.time())
    writer.scalars(cell.steps, tags, values, now, ~np.isnan(values))
    writer.add(pictures)
    writer.flush()


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `folder` when the block ends well."""
    new, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    try:
        shutil.rmtree(new, ignore_errors=True)  # of a process with this number, long ago
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
