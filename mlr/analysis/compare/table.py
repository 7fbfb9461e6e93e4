"""Rankings as tables: columns, cells and legends, printed in a terminal as far as they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlr.analysis import formatting
from mlr.analysis.compare.comparison import LOST as STATUSES
from mlr.analysis.compare.comparison import CompareResult, CompareRow, Ranking
from mlr.analysis.compare.headline import headline
from mlr.analysis.compare.significance import BEST, LEVEL
from mlr.analysis.compare.time_to_target import ACCURACY
from mlr.analysis.formatting import brief, number, p_text, percent, with_spread
from mlr.analysis.grouping import short
from mlr.analysis.quantities import is_share, named
from mlr.analysis.ranking import loss_of
from mlr.core.console import print_lines, shown
from mlr.records.reading import Recorded

WIDEST = 10_000
MOST_NAMED = 20
NONE = "–"
RATE, AGAINST = "best lr", "against the first"
UPDATES, EPOCHS = "updates to 90 % ↓", "epochs to 90 % ↓"
WRONG, RIGHT, STUCK, LOST = "‖dL/dz‖ wrong", "‖dL/dz‖ right", "stuck % ↓", "lost"
FURTHER = (("loss/test", 2), ("rmse/test", 3), ("predicted_std/test", 8))
"""Final numbers shown apart from the metric, and how early a narrow terminal drops them."""
CALIBRATED = (("ece/test", 8.2), ("coverage_80/test", 8.4))
"""The same of the calibration, which stand last."""
OUTPUTS = {tag: f"output{words}" for tag, words in formatting.OUTPUTS.items()}
"""Mean outputs, shown if all rows have them and the data are a few examples."""
FEW = 10
ECE = (
    "mean |accuracy − confidence| over 15 bins of confidence; 0 if predictions are right as often "
    "as they say"
)


class Column(NamedTuple):
    """A column of the table, shown if any row has an entry, or its rank is 0."""

    head: str
    cell: Callable[[CompareRow], str]
    rank: float
    """the lower, the narrower the terminal in which it is still shown"""


def print_comparison(out: Console, comparison: CompareResult) -> None:
    """Print every ranking, its legend, and what cannot be compared or does not count."""
    said: set[str] = set()
    for ranking in comparison.rankings:
        print_ranking(out, ranking, full=True, said=said)
        out.print()
    if not comparison.mixed:  # means over other settings are no answer
        print_headline(out, comparison.rankings)
    print_lines(out, *apart_lines(comparison), *warning_lines(comparison), style="yellow")


def print_headline(out: Console, rankings: Sequence[Ranking]) -> None:
    """Print a sentence for each ranking."""
    print_lines(out, *(f"{ranking.lead}{headline(ranking)}" for ranking in rankings))


def print_ranking(
    out: Console,
    ranking: Ranking,
    full: bool = False,
    most: int | None = None,
    said: set[str] | None = None,
) -> None:
    """Print one ranking and its legend.

    Args:
        out: terminal.
        ranking: of configurations.
        full: whether to show the tests against the first row and epochs.
        most: rows that are shown; None shows all.
        said: legends that were printed before; those printed now are added.
    """
    said = set() if said is None else said
    if ranking.title:
        out.print(Text(ranking.title, style="bold"))
    rows = ranking.listed[:most]
    columns = shown_columns(ranking, rows, full)
    fitting = _fitting(out, ranking.keys, rows, columns)
    out.print(_table(ranking.keys, rows, fitting))
    if len(rows) < len(ranking.rows):
        out.print(f"… and {len(ranking.rows) - len(rows)} more in runs.csv")
    legend = legend_lines(ranking, rows, [column.head for column in fitting])
    left_out = [column.head for column in columns if column not in fitting]
    if left_out:
        legend.append(f"the terminal is too narrow for: {', '.join(left_out)}")
    print_lines(out, *(line for line in legend if line not in said), style="dim")
    said.update(legend)


def shown_columns(ranking: Ranking, rows: Sequence[CompareRow], full: bool) -> list[Column]:
    """List the columns after the keys, without those in which no row has an entry."""
    return [
        one
        for one in _columns(ranking, rows, full)
        if one.rank == 0 or any(one.cell(row) not in ("", NONE) for row in rows)
    ]


def _columns(ranking: Ranking, rows: Sequence[CompareRow], full: bool) -> list[Column]:
    metric = ranking.metric
    found = [
        Column(RATE, _rate, 2),
        Column("runs", _runs, 1),
        Column(_head(metric), _of(metric), 0),
    ]
    if full and len(rows) > 1:
        found.append(Column(AGAINST, verdict_text, 3))
    found += [Column(_head(tag), _of(tag), rank) for tag, rank in FURTHER if tag != metric]
    found += [Column(OUTPUTS[tag], _of(tag), 2.5) for tag in _outputs(rows)]
    if metric != "stuck/fraction":
        found.append(
            Column(STUCK, lambda row: NONE if row.stuck is None else percent(row.stuck), 5)
        )
    found.append(Column(UPDATES, lambda row: time_text(row.updates_to_90), 4))
    if full:
        found.append(Column(EPOCHS, lambda row: time_text(row.epochs_to_90), 9))
    found.append(Column(WRONG, _of("logit_grad/wrong"), 6))
    found.append(Column(RIGHT, _of("logit_grad/right"), 7))
    if not _few_examples(rows):  # too few to compare a share with a probability
        found += [Column(_head(tag), _of(tag), rank) for tag, rank in CALIBRATED if tag != metric]
    return [*found, Column(LOST, lost_text, 1.5)]


def _of(tag: str) -> Callable[[CompareRow], str]:
    def cell(row: CompareRow) -> str:
        return with_spread(*row.finals[tag], is_share(tag)) if tag in row.finals else NONE

    return cell


def _head(metric: str) -> str:
    return named(metric)[0].heading


def _outputs(rows: Sequence[CompareRow]) -> list[str]:
    """List tags of mean outputs that every row has; none if they average many examples."""
    if not _few_examples(rows):
        return []
    return [tag for tag in OUTPUTS if all(tag in row.finals for row in rows)]


def _few_examples(rows: Sequence[CompareRow]) -> bool:
    """Tell if the training data of every run are a few examples."""
    examples = [(run.anatomy or {}).get("examples") or inf for row in rows for run in row.members]
    return max(examples, default=0) <= FEW


def _fitting(
    out: Console, keys: Sequence[str], rows: Sequence[CompareRow], columns: Sequence[Column]
) -> list[Column]:
    """Select the columns that fit into the terminal, which is widened if only one is left."""
    fitting: list[Column] = []
    options = out.options.update(max_width=WIDEST)
    for column in sorted(columns, key=lambda column: column.rank):
        more = [one for one in columns if one in fitting or one is column]
        wide = out.measure(_table(keys, rows, more), options=options).maximum
        if wide <= out.width or not fitting:
            fitting = more
            out.width = max(out.width, wide)  # the terminal wraps lines, rich would cut them
    return fitting


def _table(keys: Sequence[str], rows: Sequence[CompareRow], columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False)
    for key, head in zip(keys, key_heads(keys), strict=True):
        longest = max(len(brief(row.keys[key])) for row in rows)
        table.add_column(head, overflow="fold", min_width=longest)
    for column in columns:
        table.add_column(column.head, justify="right", no_wrap=True)
    for row in rows:
        cells = [*key_cells(row, keys), *(column.cell(row) for column in columns)]
        style = "bold" if row.verdict == BEST else ""
        table.add_row(*(Text(cell) for cell in cells), style=style)
    return table


def key_heads(keys: Sequence[str]) -> list[str]:
    """Name the columns of the keys that distinguish rows."""
    heads = zip(keys, short(keys), strict=True)
    return ["head+loss" if key == "pair" else head for key, head in heads]


def key_cells(row: CompareRow, keys: Sequence[str]) -> list[str]:
    """Write the values of the keys of a row."""
    return [brief(row.keys[key]) for key in keys]


def _rate(row: CompareRow) -> str:
    count = len(row.rates)
    return f"{brief(row.lr)} (of {count})" if count > 1 else brief(row.lr)


def _runs(row: CompareRow) -> str:
    return f"{row.seeds} of {row.seeds + row.missing}" if row.missing else str(row.seeds)


def verdict_text(row: CompareRow) -> str:
    """Write the verdict on a row with its p."""
    return row.verdict if row.p is None else f"{row.verdict}, {p_text(row.p)}"


def lost_text(row: CompareRow) -> str:
    """Count the runs without a final result, at any learning rate."""
    counts = [(getattr(row, name), name) for name in STATUSES]
    return ", ".join(f"{count} {name}" for count, name in counts if count)


def time_text(value: float | None) -> str:
    """Write a time to 90 %."""
    return NONE if value is None else number(round(value, 2))


def legend_lines(ranking: Ranking, rows: Sequence[CompareRow], heads: Sequence[str]) -> list[str]:
    """Explain the columns with these heads."""
    spread = any(row.std is not None for row in rows)
    lines = ["mean ± std over seeds"] if spread else []
    several = len({loss_of(row.members) for row in rows if row.members}) > 1
    own_units = "test loss: each in units of its own loss, not comparable between losses"
    rmse = "test RMSE: root mean squared error of the predicted means, comparable between losses"
    when = measured_when([run for row in rows for run in row.members])
    meanings = {
        _head("loss/test"): own_units if several else "",
        _head("rmse/test"): rmse if ranking.metric == "rmse/test" else "",
        _head("ece/test"): f"test ECE: {ECE}",
        _head("coverage_80/test"): "within 80 %: share of test targets in the central 80 % "
        "interval of their prediction",
        AGAINST: "against the first: paired t-test over common seeds, Holm's correction for all "
        f"pairs; significant where p ≤ {LEVEL}",
        UPDATES: goal(ranking),
        WRONG: "‖dL/dz‖ wrong, right: mean over the training examples that are predicted wrongly "
        f"or rightly {when}; {NONE} if there are none",
        STUCK: "stuck: training examples that are predicted wrongly and receive next to no "
        f"gradient {when}",
        LOST: "lost: counted over all runs, whatever their learning rate" if ranking.rated else "",
    }
    return lines + [meaning for head, meaning in meanings.items() if head in heads and meaning]


def measured_when(runs: Iterable[Recorded]) -> str:
    """Say of which time the final numbers of training examples are."""
    own = [run.own_loop for run in runs]
    late = "in the measured batches of the last quarter"
    if any(own):
        return late if all(own) else f"at the end, or {late} of a loop of your own"
    return "at the end"


def goal(ranking: Ranking) -> str:
    """Explain the target of times to 90 %; empty if there is none."""
    target = ranking.target
    if target is None:
        return ""
    if target.tag != ACCURACY:
        return (
            "updates to 90 %: until loss/train has gone 90 % of the way from its first value to "
            f"the lowest final one; {NONE} if it never does"
        )
    way = "of the best final one"
    if target.constant:
        constant = percent(target.constant)
        way = f"of the way from a constant prediction ({constant}) to the best final one"
    accuracy = percent(target.accuracy)
    return (
        f"updates to 90 %: until the validation accuracy reaches {accuracy}, that is 90 % {way}; "
        f"{NONE} if it never does"
    )


def apart_lines(comparison: CompareResult) -> list[str]:
    """Explain why there is more than one ranking."""
    data = list(dict.fromkeys(one.data for one in comparison.rankings))
    losses = list(dict.fromkeys(one.loss for one in comparison.rankings if one.loss))
    lines = []
    if len(data) > 1:
        lines.append(f"different data are not compared with each other: {', '.join(data)}")
    if losses:
        lines.append(
            f"values of different losses ({', '.join(losses)}) have different units and are not "
            "compared with each other"
        )
    if comparison.unknown:
        lines.append("the data of some runs were not recorded: they are ranked as if of one data")
    return lines


def warning_lines(comparison: CompareResult) -> list[str]:
    """Name rows that mix settings, and runs that do not count; a blank line before each."""
    lines, unended = [], comparison.unended
    if comparison.mixed:
        keys = ",".join([*comparison.by, *comparison.mixed])
        lines.append(
            "\nsome rows average runs that differ in more than the seed; "
            f"to keep them apart: --by {keys}"
        )
    if unended:
        count = f"{len(unended)} of {comparison.runs} runs"
        lines.append(f"\n{count} have not finished and are not counted:")
    for run in unended[:MOST_NAMED]:
        reason = f": {run.entries['reason']}" if run.entries.get("reason") else ""
        lines.append(f"  {run.status} {shown(run.folder.absolute())}{reason}")
    if len(unended) > MOST_NAMED:
        lines.append(f"  … and {len(unended) - MOST_NAMED} more, named by --json")
    return lines
