"""Tables of a report: the ranked groups, and every run with its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from mlr.analysis.compare.comparison import CompareRow, Ranking
from mlr.analysis.compare.table import NONE, lost_text, time_text, verdict_text
from mlr.analysis.formatting import brief, display_pair, number, percent, with_spread
from mlr.analysis.grouping import short
from mlr.analysis.quantities import Quantity, is_share
from mlr.analysis.report.content import Content, ReportGroup
from mlr.records.reading import Recorded
from mlr.records.settings import Value, leaves, value_text


class TableCell(NamedTuple):
    """Content of a cell as HTML, and the value to sort by; None comes last in any order."""

    html: str
    value: float | str | None = None
    number: bool = True


def table(name: str, heads: Sequence[str], rows: Sequence[Sequence[TableCell]]) -> str:
    """Write a table that can be filtered, and sorted by each of its heads.

    Args:
        name: of its <caption>, for screen readers.
        heads: as text.
        rows: one cell per head.
    """
    names = "".join(
        f'<th scope="col"><button type="button">{escape(head)}</button></th>' for head in heads
    )
    body = "".join(f"<tr>{''.join(map(_td, row))}</tr>\n" for row in rows)
    return f"""<div class="filter"><label>Filter <input type="search" placeholder="sigmoid lr=0.1"
></label> <span class="small" role="status"></span></div>
<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">
<table class="sortable"><caption>{escape(name)}</caption>
<thead><tr>{names}</tr></thead>
<tbody>
{body}</tbody></table></div>
"""


def rankings(content: Content) -> str:
    """Write the rankings that `compare` prints, with all final numbers."""
    groups, parts = iter(content.groups), []
    for one in content.comparison.rankings:
        own = [next(groups) for _ in one.rows]
        title = f"<h3>{escape(one.title)}</h3>\n" if one.title else ""
        if len(own) > 1:
            parts.append(title + _ranking(content, one, own))
    return "".join(parts)


def _ranking(content: Content, ranking: Ranking, groups: Sequence[ReportGroup]) -> str:
    keys = [key for key in content.keys if key in ranking.keys]
    first, *others = _metric_first(content.finals, ranking.metric)
    heads = ["rank", "head + loss", *short(keys), "runs", first.heading]
    heads += ["against the first", *(one.heading for one in others)]
    heads += ["updates to 90 % ↓", "epochs to 90 % ↓"]
    rows = []
    for group, row in zip(groups, ranking.rows, strict=True):
        cells = [TableCell(str(row.place), row.place), _pair(group.panel.pair)]
        cells += [_value(group.chosen[key]) for key in keys]
        cells += [_runs(row), _mean(row, first), _verdict(row)]
        cells += [_mean(row, one) for one in others]
        rows.append([*cells, _time(row.updates_to_90), _time(row.epochs_to_90)])
    name = ", ".join(filter(None, ("Configurations, best first", ranking.title)))
    return table(name, heads, rows)


def every_run(content: Content) -> str:
    """Write one row per run, with the part of its configuration that not all runs share."""
    shared = common(content.runs)
    heads = ["run", "status", "head + loss", *short(content.keys), "seed"]
    heads += [one.label for one in content.finals]
    rows = [_run(run, content, shared) for run in content.runs]
    empty = [TableCell(NONE)] * (len(heads) - 3)
    for one in (*content.untrained, *content.left_out):
        reason = f"<p>{escape(str(one.entries['reason']))}</p>"
        rows.append([_details(one, reason), _status(one.status), _pair(one.pair), *empty])
    return table("Every run", heads, rows)


def common(runs: Sequence[Recorded]) -> dict[str, Any]:
    """Select the command and the keys and values of configurations that all runs share."""
    known = [found for run in runs if (found := _configured(run))]
    return {
        key: value
        for key, value in (known[0] if known else {}).items()
        if all(key in one and one[key] == value for one in known)
    }


def settings(config: Mapping[str, Any]) -> str:
    """Write keys and values as a list."""
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for key, value in config.items()
    }
    rows = (f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in texts.items())
    return f"<dl>{''.join(rows)}</dl>"


def _metric_first(finals: Sequence[Quantity], metric: str) -> list[Quantity]:
    found = sorted(finals, key=lambda one: one.tag != metric)
    if not found or found[0].tag != metric:
        found.insert(0, Quantity(metric, metric))
    return found


def _run(run: Recorded, content: Content, shared: Mapping[str, Any]) -> list[TableCell]:
    about = {"reason": run.entries.get("reason"), "updates": run.entries.get("steps")}
    own = {key: value for key, value in about.items() if value is not None}
    own |= {key: value for key, value in _configured(run).items() if key not in shared}
    numbers = [_final(run, one) for one in content.finals]
    chosen = [_value(run.setting(key)) for key in content.keys]
    first = [_details(run, settings(own)), _status(run.status), _pair(run.pair)]
    return [*first, *chosen, _value(run.seed), *numbers]


def _configured(run: Recorded) -> dict[str, Any]:
    """Return the command of the run and its flat configuration."""
    command = run.entries.get("command")
    return ({"command": command} if command else {}) | dict(leaves(run.config))


def _details(run: Recorded, inner: str) -> TableCell:
    html = f"<details><summary>{escape(run.name)}</summary>{inner}</details>"
    return TableCell(html, run.name, False)


def _status(status: str) -> TableCell:
    kind = {"done": "good", "running": ""}.get(status, "bad")
    return TableCell(f'<span class="{kind}">{escape(status)}</span>', status, False)


def _pair(pair: str) -> TableCell:
    name = display_pair(pair)
    return TableCell(escape(name), name, False)


def _value(value: Value) -> TableCell:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return TableCell(escape(brief(value)), float(value))
    return TableCell(escape(value_text(value)) or NONE, value_text(value) or None, False)


def _final(run: Recorded, quantity: Quantity) -> TableCell:
    value = run.metrics.get(quantity.tag)
    if value is None or value != value:
        return TableCell(NONE)
    return TableCell(percent(value) if is_share(quantity.tag) else number(value), value)


def _mean(row: CompareRow, quantity: Quantity) -> TableCell:
    if quantity.tag not in row.finals:
        return TableCell(NONE)
    mean, std = row.finals[quantity.tag]
    return TableCell(with_spread(mean, std, is_share(quantity.tag)), mean)


def _runs(row: CompareRow) -> TableCell:
    lost = lost_text(row)
    also = f' <span class="bad">({lost})</span>' if lost else ""
    return TableCell(f"{row.seeds}{also}", row.seeds)


def _verdict(row: CompareRow) -> TableCell:
    return TableCell(escape(verdict_text(row)), row.verdict if row.p is None else row.p, False)


def _time(value: float | None) -> TableCell:
    return TableCell(time_text(value), value)


def _td(cell: TableCell) -> str:
    value = "" if cell.value is None else f' data-value="{escape(str(cell.value))}"'
    kind = ' class="number"' if cell.number else ""
    return f"<td{kind}{value}>{cell.html}</td>"
