"""Report of a sweep in the terminal: rankings, refusals, failures and diagnoses."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlr.app.config.run_names import run_name
from mlr.app.run.job import Job
from mlr.app.sweep.sweep_folder import MOST_EXPLAINED
from mlr.core.checks import InputError
from mlr.core.commandline import command, override
from mlr.core.console import console, print_lines, refuse, shown
from mlr.core.durable import WriteError
from mlr.records.outcome import Outcome
from mlr.records.settings import RATE, parse_value, split_overrides
from mlr.records.status import FINISHED

if TYPE_CHECKING:
    from mlr.analysis.grouping import SeedGroup
    from mlr.records.reading import Recorded
    from mlr.records.summary import SummaryLine

MOST_ROWS = 30
MOST_LINES = 100
MOST_TRACES = 3
MOST_SHOWN = 500
"""Runs that TensorBoard shows; for more it draws blank charts."""


def print_sweep(
    folder: Path,
    rows: Sequence[Outcome],
    equal: Sequence[tuple[Job, str]],
    reused: int,
    interrupted: bool = False,
) -> None:
    """Print the whole report.

    Args:
        folder: the sweep's.
        rows: every run of the folder, those of earlier processes included.
        equal: jobs that equal another one, with its name.
        reused: number of jobs that were finished before.
        interrupted: True if some jobs were never started.
    """
    out = console()
    out.print()
    runs = [_recorded(row, len(rows)) for row in rows if row.status != "refused"]
    ended = [run for run in runs if run.status in FINISHED]
    if ended:
        _print_rankings(out, ended)
    _print_refused(out, rows)
    _print_left_out(out, equal, reused)
    unfinished = [row for row in rows if row.status in ("failed", "interrupted")]
    _print_failures(out, [row for row in unfinished if row.status == "failed"], len(rows))
    if len(ended) > MOST_EXPLAINED:
        out.print(Text(f"\nexplain      {command('explain', shown(folder))}"), soft_wrap=True)
    elif ended:
        from mlr.analysis.explain import print_diagnosis

        print_diagnosis(out, ended, folder)
    means = ""
    if len(ended) > MOST_SHOWN:
        from mlr.records.summary import write_summary

        try:
            write_summary(folder, summary_lines(ended))
            means = "  (means over seeds)"
        except WriteError as error:  # the runs are there, and the summary can be written again
            refuse(str(error))
    out.print(Text(f"\nsweep folder {shown(folder)}"), soft_wrap=True)
    if any(row.metrics for row in rows):
        out.print(Text(f"look at it   {command('board', shown(folder))}{means}"), soft_wrap=True)
    if unfinished or interrupted:
        out.print(Text(f"try again    {resume_command(folder)}"), soft_wrap=True)


def resume_command(folder: Path) -> str:
    """Return the command line of this process with the folder to resume."""
    own = ("sweep.resume=", "hydra.sweep.dir=")
    line = [word for word in sys.argv[1:] if not word.startswith(own)]
    return command("train", *line, override("sweep.resume", shown(folder)))


def _recorded(row: Outcome, of: int) -> Recorded:
    """A run of the folder with all that its status.json tells; of very many, what is known here."""
    from mlr.records.reading import Recorded
    from mlr.records.run_folder import read_status

    found: dict[str, Any] = {"overrides": row.overrides, "metrics": row.metrics}
    if row.folder is not None and of <= MOST_EXPLAINED:
        with suppress(InputError):
            found |= row.entries or read_status(row.folder)
    elif (seed := split_overrides(row.overrides).get("seed")) is not None:
        found["seed"] = parse_value(seed)
    told = {"status": row.status, "pair": row.pair} if row.pair else {"status": row.status}
    return Recorded(row.folder or Path(row.name), found | told, known=row.series)


def _print_rankings(out: Console, ended: Sequence[Recorded]) -> None:
    """Print a table for each data set, and its headline with each pair at its best rate."""
    from mlr.analysis.compare.comparison import compare
    from mlr.analysis.compare.table import apart_lines, print_headline, print_ranking
    from mlr.analysis.grouping import varied

    keys = varied(ended)
    timed = len(ended) <= MOST_EXPLAINED  # it reads metrics.csv, as the diagnosis does
    found = compare(ended, ["pair", *keys], timed=timed)
    said: set[str] = set()
    for ranking in found.rankings:
        print_ranking(out, ranking, most=MOST_ROWS, said=said)
        out.print()
    if RATE in keys:  # each pair at its best rate
        others = [key for key in keys if key != RATE]
        print_headline(out, compare(ended, ["pair", *others], timed=timed).rankings)
    else:
        print_headline(out, found.rankings)
    print_lines(out, *apart_lines(found), style="yellow")
    diverged = sum(run.status == "diverged" for run in ended)
    if 0 < diverged < len(ended):
        out.print(f"{diverged} of {len(ended)} runs diverged", style="yellow")


def _print_refused(out: Console, rows: Sequence[Outcome]) -> None:
    refused = Counter((row.pair, row.reason) for row in rows if row.status == "refused")
    if not refused:
        return
    out.print(f"\n{refused.total()} of {len(rows)} refused", style="yellow")
    table = Table(box=None, pad_edge=False)
    table.add_column("pair")
    table.add_column("jobs", justify="right")
    table.add_column("reason", overflow="fold")
    for (pair, reason), count in list(refused.items())[:MOST_ROWS]:
        table.add_row(Text(pair), str(count), Text(str(reason)))
    out.print(table)
    if len(refused) > MOST_ROWS:
        out.print(f"… and {len(refused) - MOST_ROWS} more in runs.csv")


def _print_left_out(out: Console, equal: Sequence[tuple[Job, str]], reused: int) -> None:
    if reused:
        out.print(f"\n{reused} finished before, not trained again")
    if equal:
        job, name = equal[0]
        words = "job equals another one" if len(equal) == 1 else "jobs equal others"
        first = f"#{job.number} ({' '.join(job.overrides)}) is {name}"
        more = ", …" if len(equal) > 1 else ""
        out.print(Text(f"\n{len(equal)} {words}, not trained again: {first}{more}"))


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


def summary_lines(ended: Sequence[Recorded]) -> list[list[SummaryLine]]:
    """Describe the settings of each pair and data set, the one to choose first."""
    from mlr.analysis.grouping import seed_groups
    from mlr.analysis.ranking import by_data, chosen, chosen_on, shared_metric

    data = {run.folder: name for name, runs in by_data(ended).items() for run in runs}
    rivals: dict[tuple[str, str], list[SeedGroup]] = {}
    for group in seed_groups(ended):
        rivals.setdefault((group.pair, data[group.runs[0].folder]), []).append(group)
    lines = []
    for groups in rivals.values():
        runs = [group.runs for group in groups]
        tag = chosen_on(shared_metric(runs), [run for own in runs for run in own])
        lines.append([_summary_line(groups[place]) for place in chosen(runs, tag)])
    return lines


def _summary_line(group: SeedGroup) -> SummaryLine:
    """Name a line like a run's folder, since TensorBoard has little room for names."""
    from mlr.records.summary import SummaryLine

    name = run_name(group.pair, group.chosen)
    return SummaryLine(name, group.hparams, group.runs)
