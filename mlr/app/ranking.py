"""What a person sees at the end of a sweep: the ranking, and all that did not go well."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlr.app.cells import Cell, cells
from mlr.app.console import console, refuse, shown
from mlr.app.outcome import FINISHED, Outcome
from mlr.app.pasting import override
from mlr.app.sweep import Sweep
from mlr.commandline import command
from mlr.durable import WriteError

if TYPE_CHECKING:
    from mlr.records.summary import Summary

MOST_CELLS = 30
MOST_LINES = 100
MOST_TRACES = 3
NAME = 20
"""Columns that a cell's name gets in any case, where it is so long."""
WIDEST = 1000
MOST_EXPLAINED = 1000
"""Runs explained at the end of a sweep; of more, their files take seconds to read."""
MOST_SHOWN = 500
"""Runs that TensorBoard shows; of more it draws blank charts."""


def print_sweep(sweep: Sweep, rows: Sequence[Outcome], interrupted: bool = False) -> None:
    """The whole report.

    Args:
        sweep: what this process did.
        rows: every run of the folder, those of before included.
        interrupted: whether jobs are left that were never begun.
    """
    out = console()
    out.print()
    ranked = cells(rows)
    _print_ranking(out, ranked)
    _print_refused(out, rows)
    _print_left_out(out, sweep)
    unfinished = [row for row in rows if row.status in ("failed", "interrupted")]
    _print_failures(out, [row for row in unfinished if row.status == "failed"], len(rows))
    _print_diagnosis(out, sweep.folder.path, rows)
    _print_places(out, sweep.folder.path, rows, _summary(sweep, ranked))
    if unfinished or interrupted:
        out.print(Text(f"try again    {resume_command(sweep.folder.path)}"), soft_wrap=True)


def resume_command(folder: Path) -> str:
    """The command line of this process, with the folder to go on in."""
    own = ("sweep.resume=", "hydra.sweep.dir=")
    line = [word for word in sys.argv[1:] if not word.startswith(own)]
    return command("train", *line, override("sweep.resume", shown(folder)))


def _print_ranking(out: Console, ranked: Sequence[Cell]) -> None:
    if not ranked:
        return
    table = _ranking(ranked)
    if out.measure(table, options=out.options.update(max_width=WIDEST)).maximum > out.width:
        table = _ranking(ranked, narrow=True)
    out.print(table)
    if len(ranked) > MOST_CELLS:
        out.print(f"… and {len(ranked) - MOST_CELLS} more in runs.csv")


def _ranking(ranked: Sequence[Cell], narrow: bool = False) -> Table:
    """The table; a narrow one leaves out what stands in runs.csv too, but never the names."""
    tags = {tag for cell in ranked for tag in cell.spread}
    table = Table(box=None, pad_edge=False)
    longest = max(len(cell.name) for cell in ranked[:MOST_CELLS])
    table.add_column("mean ± std over seeds", overflow="fold", min_width=min(longest, NAME))
    for column in ("runs", "diverged"):
        table.add_column(column, justify="right")
    if "accuracy/test" in tags:
        table.add_column("test accuracy", justify="right", no_wrap=True)
    table.add_column("test loss", justify="right", no_wrap=True)
    if "predicted_std/test" in tags:
        table.add_column("predicted std", justify="right", no_wrap=True)
    gradients = not narrow and bool({"logit_grad/wrong", "logit_grad/right"} & tags)
    if gradients:
        table.add_column("|dL/dz| wrong", justify="right", no_wrap=True)
        table.add_column("right", justify="right", no_wrap=True)
    for cell in ranked[:MOST_CELLS]:
        row = [_number(cell, "loss/test")]
        if "accuracy/test" in tags:
            row.insert(0, _percent(cell))
        if "predicted_std/test" in tags:
            row.append(_number(cell, "predicted_std/test"))
        if gradients:
            row += [_number(cell, f"logit_grad/{side}") for side in ("wrong", "right")]
        table.add_row(Text(cell.name), str(len(cell.runs)), str(cell.diverged or ""), *row)
    return table


def _percent(cell: Cell) -> str:
    if "accuracy/test" not in cell.spread:
        return ""
    mean, std = cell.spread["accuracy/test"]
    return f"{mean:.2%}" if std != std else f"{mean:.2%} ± {100 * std:.2f}"


def _number(cell: Cell, tag: str) -> str:
    if tag not in cell.spread:
        return "none" if cell.spread else ""
    mean, std = cell.spread[tag]
    return f"{mean:.4g}" if std != std else f"{mean:.4g} ± {std:.2g}"


def _print_refused(out: Console, rows: Sequence[Outcome]) -> None:
    refused = Counter((row.pair, row.reason) for row in rows if row.status == "refused")
    if not refused:
        return
    out.print(f"\n{refused.total()} of {len(rows)} refused", style="yellow")
    table = Table(box=None, pad_edge=False)
    table.add_column("pair")
    table.add_column("jobs", justify="right")
    table.add_column("reason", overflow="fold")
    for (pair, reason), count in list(refused.items())[:MOST_CELLS]:
        table.add_row(Text(pair), str(count), Text(str(reason)))
    out.print(table)
    if len(refused) > MOST_CELLS:
        out.print(f"… and {len(refused) - MOST_CELLS} more in runs.csv")


def _print_left_out(out: Console, sweep: Sweep) -> None:
    if sweep.reused:
        out.print(f"\n{sweep.reused} finished before, not trained again")
    if sweep.equal:
        job, name = sweep.equal[0]
        count = len(sweep.equal)
        first = f"#{job.number} ({' '.join(job.overrides)}) is {name}"
        words = "job equals another one and was" if count == 1 else "jobs equal others and were"
        out.print(Text(f"\n{count} {words} not trained again: {first}{', …' * (count > 1)}"))


def _print_failures(out: Console, failed: Sequence[Outcome], total: int) -> None:
    if not failed:
        return
    out.print(f"\n{len(failed)} of {total} failed", style="red")
    for row in failed[:MOST_LINES]:
        line = f"  {' '.join(row.overrides) or 'default'}: {row.reason}"
        out.print(Text(line), soft_wrap=True)
    if len(failed) > MOST_LINES:
        out.print(f"… and {len(failed) - MOST_LINES} more in runs.csv")
    traces = {row.reason: row.trace for row in reversed(failed) if row.trace}
    for trace in list(reversed(traces.values()))[:MOST_TRACES]:
        print(trace, file=sys.stderr, end="")


def _print_diagnosis(out: Console, place: Path, rows: Sequence[Outcome]) -> None:
    folders = [row.folder for row in rows if row.status in FINISHED and row.folder is not None]
    if not folders:
        return
    if len(folders) > MOST_EXPLAINED:
        out.print(Text(f"\nexplain      {command('explain', shown(place))}"), soft_wrap=True)
        return
    from mlr.app.explain import print_diagnosis
    from mlr.records.folder import read_status
    from mlr.records.reading import Recorded

    print_diagnosis(out, [Recorded(one, read_status(one)) for one in folders], place)


def _summary(sweep: Sweep, ranked: Sequence[Cell]) -> Summary | None:
    """The small logdir, where TensorBoard would draw nothing of the whole."""
    if sum(len(cell.runs) for cell in ranked) <= MOST_SHOWN:
        return None
    from mlr.records.summary import SummaryRun, write_summary

    runs = [
        SummaryRun(run.folder, cell.folder, cell.hparams)
        for cell in ranked
        for run in cell.runs
        if run.folder is not None
    ]
    try:
        return write_summary(sweep.folder.path, runs, sweep.metric)
    except WriteError as error:  # the runs are there; their summary can be had again
        refuse(str(error))
        return None


def _print_places(
    out: Console, folder: Path, rows: Sequence[Outcome], summary: Summary | None
) -> None:
    out.print()
    out.print(Text(f"sweep folder {shown(folder)}"), soft_wrap=True)
    if any(row.metrics for row in rows):
        means = "  (means over seeds)" if summary is not None else ""
        look = command("board", shown(folder))
        out.print(Text(f"look at it   {look}{means}"), soft_wrap=True)
