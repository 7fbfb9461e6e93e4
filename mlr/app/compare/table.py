"""The comparison in a terminal: as many columns as it is wide, names always whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlr.app.compare.comparison import Comparison, Row
from mlr.app.compare.groups import is_higher_better
from mlr.app.console import shown
from mlr.records.settings import text

WIDEST = 10_000
MOST_NAMED = 20


class Column(NamedTuple):
    """A column of the table."""

    head: str
    cell: Callable[[Row], str]
    kept: int
    """the lower, the sooner it is left out of a narrow terminal"""


def print_comparison(out: Console, comparison: Comparison) -> None:
    """The table, how to read it, and the runs that have no share in it."""
    columns = _columns(comparison)
    table, left_out = _fitting(out, comparison, columns)
    out.print(table)
    for line in _legend(comparison, left_out):
        out.print(Text(line, style="dim"), soft_wrap=True)
    for line in _warnings(comparison):
        out.print(Text(line, style="yellow"), soft_wrap=True)


def _columns(comparison: Comparison) -> list[Column]:
    """Those that have anything to tell."""
    metric = comparison.metric
    columns = [
        Column("best lr", _rate, 6),
        Column("seeds", _seeds, 8),
        Column(metric, lambda row: _mean(row, metric.startswith("accuracy/")), 9),
        Column("against the best", _verdict, 7),
        Column("epochs to 90 %", lambda row: _number(row.epochs), 5),
        Column("updates", lambda row: _number(row.updates), 2),
        Column("|dL/dz| wrong", lambda row: _number(row.wrong_gradient), 3),
        Column("stuck", lambda row: "none" if row.stuck is None else f"{row.stuck:.1%}", 4),
        Column("lost", _lost, 1),
    ]
    absent = set()
    if not comparison.rated:
        absent.add("best lr")
    if len(comparison.rows) == 1:
        absent.add("against the best")
    if all(row.stuck is None for row in comparison.rows):
        absent.add("stuck")
    if all(row.wrong_gradient is None for row in comparison.rows):
        absent.add("|dL/dz| wrong")
    if not any(map(_lost, comparison.rows)):
        absent.add("lost")
    return [column for column in columns if column.head not in absent]


def _fitting(
    out: Console, comparison: Comparison, columns: Sequence[Column]
) -> tuple[Table, list[str]]:
    """The table with all columns that fit, and the heads of the others."""
    kept = list(columns)
    while True:
        table = _table(comparison, kept)
        wide = out.measure(table, options=out.options.update(max_width=WIDEST)).maximum
        if wide <= out.width or len(kept) == 1:
            return table, [column.head for column in columns if column not in kept]
        kept.remove(min(kept, key=lambda column: column.kept))


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
    return f"{row.seeds} ({row.missing} lost)" if row.missing else str(row.seeds)


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


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _lost(row: Row) -> str:
    """What was not trained to a good end, at any learning rate."""
    names = ("diverged", "failed", "interrupted", "running")
    counts = [(getattr(row, name), name) for name in names]
    return ", ".join(f"{count} {name}" for count, name in counts if count)


def _legend(comparison: Comparison, left_out: Sequence[str]) -> list[str]:
    metric, rated = comparison.metric, comparison.rated
    better = "higher" if is_higher_better(metric) else "lower"
    where = ", at the learning rate where it is best" if rated else ""
    lines = [f"\n{metric}: mean ± std over seeds{where}; {better} is better"]
    if len(comparison.rows) > 1:
        lines.append(
            "against the best: paired t-test over common seeds, Holm's correction for all pairs; "
            "significant where p ≤ 0.05"
        )
    lines.append(
        "90 % of the last accuracy/val, or of the fall of loss/train where there is none; "
        "this and |dL/dz|: medians"
    )
    if left_out:
        lines.append(f"left out for want of room: {', '.join(left_out)}")
    return lines


def _warnings(comparison: Comparison) -> list[str]:
    lines = []
    if comparison.mixed:
        keys = ",".join(comparison.mixed)
        lines.append(f"\nrows mix runs that differ in more than the seed; add --by …,{keys}")
    if comparison.metric.startswith("loss/") and len(comparison.rows) > 1:
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
