"""The comparison in a terminal: as many columns as it is wide, names always whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlr.app.compare.comparison import Comparison, Row
from mlr.app.compare.groups import is_higher_better
from mlr.app.compare.measures import STUCK
from mlr.app.compare.statistics import LEVEL
from mlr.app.compare.verdicts import ANOTHER
from mlr.app.console import shown
from mlr.records.settings import text

WIDEST = 10_000
MOST_NAMED = 20
_RATE, _AGAINST, _EPOCHS = "best lr", "against the best", "epochs to 90 %"
_GRADIENT, _STUCK, _LOST = "|dL/dz| wrong", "stuck", "lost"
_MEANINGS = {
    _AGAINST: "against the best: paired t-test over common seeds, Holm's correction for all "
    f"pairs; significant where p ≤ {LEVEL}",
    _EPOCHS: "epochs, updates: to 90 % of the last accuracy/val, or of the fall of loss/train "
    "where there is none; medians over runs",
    _GRADIENT: "|dL/dz| wrong: mean over wrong samples; median over logged steps, then over runs",
    _STUCK: "stuck: training samples that are wrong and without gradient in the end",
    _LOST: "lost: of all runs, at any learning rate",
}


class Column(NamedTuple):
    """A column of the table."""

    head: str
    cell: Callable[[Row], str]
    rank: int
    """the lower, the longer it stays in a terminal that gets narrower"""


def print_comparison(out: Console, comparison: Comparison) -> None:
    """The table, how to read it, and the runs that have no share in it."""
    columns = _columns(comparison)
    table, kept, left_out = _fitting(out, comparison, columns)
    out.print(table)
    for line in _legend(comparison, kept, left_out):
        out.print(Text(line, style="dim"), soft_wrap=True)
    for line in _warnings(comparison):
        out.print(Text(line, style="yellow"), soft_wrap=True)


def _columns(comparison: Comparison) -> list[Column]:
    """Those that have anything to tell."""
    metric = comparison.metric
    columns = [
        Column(_RATE, _rate, 2),
        Column("seeds", _seeds, 1),
        Column(metric, lambda row: _mean(row, metric.startswith("accuracy/")), 0),
        Column(_AGAINST, _verdict, 3),
        Column(_EPOCHS, lambda row: _number(row.epochs_to_90), 4),
        Column("updates", lambda row: _number(row.updates_to_90, digits=12), 7),
        Column(_GRADIENT, lambda row: _number(row.wrong_gradient), 6),
        Column(_STUCK, lambda row: "none" if row.stuck is None else f"{row.stuck:.1%}", 5),
        Column(_LOST, _lost, 8),
    ]
    rows = comparison.rows
    told = {
        _RATE: comparison.rated,
        _AGAINST: len(rows) > 1,
        _GRADIENT: any(row.wrong_gradient is not None for row in rows),
        _STUCK: metric != STUCK and any(row.stuck is not None for row in rows),
        _LOST: any(map(_lost, rows)),
    }
    return [column for column in columns if told.get(column.head, True)]


def _fitting(
    out: Console, comparison: Comparison, columns: Sequence[Column]
) -> tuple[Table, list[str], list[str]]:
    """The table with all columns that fit, their heads, and the heads of the others."""
    kept: list[Column] = []
    for column in sorted(columns, key=lambda column: column.rank):
        more = [one for one in columns if one in kept or one is column]
        wide = _width(out, _table(comparison, more))
        if wide <= out.width or not kept:
            kept = more
            out.width = max(out.width, wide)  # the terminal breaks lines, where rich would cut
    left_out = [column.head for column in columns if column not in kept]
    return _table(comparison, kept), [column.head for column in kept], left_out


def _width(out: Console, table: Table) -> int:
    return out.measure(table, options=out.options.update(max_width=WIDEST)).maximum


def _table(comparison: Comparison, columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False)
    for key in comparison.by:
        longest = max(len(text(row.keys[key])) for row in comparison.rows)
        table.add_column(key, overflow="fold", min_width=longest)
    for column in columns:
        table.add_column(column.head, justify="right", no_wrap=True)
    for row in comparison.rows:
        names = [Text(text(value)) for value in row.keys.values()]
        style = "bold" if row.verdict == "best" else ""
        table.add_row(*names, *(Text(column.cell(row)) for column in columns), style=style)
    return table


def _rate(row: Row) -> str:
    count = len(row.rates)
    return f"{text(row.lr)} (of {count})" if count > 1 else text(row.lr)


def _seeds(row: Row) -> str:
    return f"{row.seeds} ({row.missing} without)" if row.missing else str(row.seeds)


def _mean(row: Row, percent: bool) -> str:
    if row.mean is None:
        return "none"
    if percent:
        return f"{row.mean:.2%}" + ("" if row.std is None else f" ± {100 * row.std:.2f}")
    return f"{row.mean:.4g}" + ("" if row.std is None else f" ± {row.std:.2g}")


def _verdict(row: Row) -> str:
    if row.p is None:
        return row.verdict
    return f"{row.verdict}, p " + (f"= {row.p:.2g}" if row.p >= 1e-4 else "< 0.0001")


def _number(value: float | None, digits: int = 4) -> str:
    return "none" if value is None else f"{value:.{digits}g}"


def _lost(row: Row) -> str:
    """What was not trained to a good end, at any learning rate."""
    names = ("diverged", "failed", "interrupted", "running")
    counts = [(getattr(row, name), name) for name in names]
    return ", ".join(f"{count} {name}" for count, name in counts if count)


def _legend(comparison: Comparison, kept: Sequence[str], left_out: Sequence[str]) -> list[str]:
    """How to read the columns that are there."""
    where = ", at the learning rate where it is best" if comparison.rated else ""
    better = "higher" if is_higher_better(comparison.metric) else "lower"
    lines = [f"\n{comparison.metric}: mean ± std over seeds{where}; {better} is better"]
    lines += [text for head, text in _MEANINGS.items() if head in kept]
    if left_out:
        lines.append(f"left out for want of room: {', '.join(left_out)}")
    return lines


def _warnings(comparison: Comparison) -> list[str]:
    lines = []
    if comparison.mixed:
        keys = ",".join([*comparison.by, *comparison.mixed])
        lines.append(f"\nrows mix runs that differ in more than the seed; try --by {keys}")
    if any(row.verdict == ANOTHER for row in comparison.rows):
        lines.append("\na loss can be ranked against the same loss only: others have other units")
    unended = comparison.unended
    if unended:
        lines.append(f"\n{len(unended)} of {comparison.runs} runs have no share in the numbers")
    for run in unended[:MOST_NAMED]:
        reason = f": {run.entries['reason']}" if run.entries.get("reason") else ""
        lines.append(f"  {run.status} {shown(run.folder.absolute())}{reason}")
    if len(unended) > MOST_NAMED:
        lines.append(f"  … and {len(unended) - MOST_NAMED} more, named by --json")
    return lines
