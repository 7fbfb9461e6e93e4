"""The report's tables: groups as ranked, every run with its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from mlr.analysis.compare.comparison import Ranking, Row
from mlr.analysis.compare.groups import short
from mlr.analysis.compare.headline import brief, p_text
from mlr.analysis.formatting import number, percent, with_spread
from mlr.analysis.report.content import Content, parted, written
from mlr.analysis.report.groups import Group, Unmade
from mlr.analysis.report.quantities import Quantity
from mlr.records.reading import Recorded
from mlr.records.settings import Value, leaves, setting, text

_ABSENT = "\N{EN DASH}"


class Cell(NamedTuple):
    """A cell: HTML, and what it is sorted by; None stands behind in any order."""

    html: str
    value: float | str | None = None
    number: bool = True


def table(name: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table that can be sorted by each of its heads and filtered.

    Args:
        name: of its <caption>, for those who cannot see it.
        heads: as text.
        rows: one cell a head.
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
    """Groups, the best first: what `scripts/compare.py` prints, and the further final numbers."""
    groups, parts = iter(content.groups), []
    for one in content.comparison.rankings:
        own = [next(groups) for _ in one.rows]
        title = f"<h3>{escape(one.title)}</h3>\n" if one.title else ""
        if len(own) > 1:
            parts.append(title + _ranking(content, one, own))
    return "".join(parts)


def _ranking(content: Content, ranking: Ranking, groups: Sequence[Group]) -> str:
    keys = [key for key in content.keys if key in ranking.keys]
    first, *others = _metric_first(content.finals, ranking.metric)
    heads = ["rank", "head + loss", *short(keys), "runs", _head(first)]
    heads += ["against the first", *map(_head, others), "updates to 90 % ↓", "epochs to 90 % ↓"]
    rows = []
    for group, row in zip(groups, ranking.rows, strict=True):
        cells = [Cell(str(row.place), row.place), _pair(group.pair)]
        cells += [_value(group.chosen[key]) for key in keys]
        cells += [_runs(row), _mean(row, first), _verdict(row)]
        cells += [_mean(row, one) for one in others]
        rows.append([*cells, _number(row.updates_to_90), _number(row.epochs_to_90)])
    name = ", ".join(filter(None, ("Configurations, best first", ranking.title)))
    return table(name, heads, rows)


def _head(quantity: Quantity) -> str:
    """A final number and its direction, where it has one."""
    lower = quantity.tag.startswith(("loss/", "rmse/", "stuck/"))
    return quantity.label + (" ↑" if quantity.more else " ↓" if lower else "")


def every_run(content: Content) -> str:
    """One row a run, with its configuration as far as it is not that of all."""
    shared = common(content.runs)
    heads = ["run", "status", "head + loss", *short(content.keys), "seed"]
    heads += [one.label for one in content.finals]
    rows = [_run(run, content, shared) for run in content.runs]
    empty = [Cell(_ABSENT)] * (len(heads) - 3)
    others = [*content.unmade, *map(_left_out, content.left_out)]
    rows += [[_name(one), _status(one.status), _pair(one.pair), *empty] for one in others]
    return table("Every run", heads, rows)


def common(runs: Sequence[Recorded]) -> dict[str, Any]:
    """The command, and keys and values of configurations, as far as all runs share them."""
    known = [found for run in runs if (found := _told_of(run))]
    first = known[0] if known else {}
    return {
        key: value
        for key, value in first.items()
        if all(key in one and one[key] == value for one in known)
    }


def settings(config: Mapping[str, Any]) -> str:
    """Keys and values as a list."""
    rows = (
        f"<dt>{escape(key)}</dt><dd>{escape(value if isinstance(value, str) else _typed(value))}"
        "</dd>"
        for key, value in config.items()
    )
    return f"<dl>{''.join(rows)}</dl>"


def _metric_first(finals: Sequence[Quantity], metric: str) -> list[Quantity]:
    found = sorted(finals, key=lambda one: one.tag != metric)
    if not found or found[0].tag != metric:
        found.insert(0, Quantity(metric, metric))
    return found


def _run(run: Recorded, content: Content, shared: Mapping[str, Any]) -> list[Cell]:
    about = {"reason": run.entries.get("reason"), "updates": run.entries.get("steps")}
    own = {key: value for key, value in about.items() if value is not None}
    own |= {key: value for key, value in _told_of(run).items() if key not in shared}
    details = f"<details><summary>{escape(run.name)}</summary>{settings(own)}</details>"
    numbers = [_final(run, one) for one in content.finals]
    chosen = [_value(setting(run, key)) for key in content.keys]
    first = [Cell(details, run.name, False), _status(run.status), _pair(run.pair)]
    return [*first, *chosen, _value(run.seed), *numbers]


def _told_of(run: Recorded) -> dict[str, Any]:
    """How the run was called, and its configuration."""
    command = run.entries.get("command")
    return ({"command": command} if command else {}) | dict(leaves(run.config))


def _left_out(run: Recorded) -> Unmade:
    return Unmade(run.name, run.status, run.pair, str(run.entries["reason"]))


def _name(one: Unmade) -> Cell:
    details = f"<details><summary>{escape(one.name)}</summary><p>{escape(one.reason)}</p></details>"
    return Cell(details, one.name, False)


def _status(status: str) -> Cell:
    kind = {"done": "good", "running": ""}.get(status, "bad")
    return Cell(f'<span class="{kind}">{escape(status)}</span>', status, False)


def _pair(pair: str) -> Cell:
    name = written(parted(pair))
    return Cell(escape(name), name, False)


def _value(value: Value) -> Cell:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Cell(escape(brief(value)), float(value))
    return Cell(escape(text(value)) or _ABSENT, text(value) or None, False)


def _final(run: Recorded, quantity: Quantity) -> Cell:
    value = run.metrics.get(quantity.tag)
    if value is None or value != value:
        return Cell(_ABSENT)
    return Cell(percent(value) if quantity.share else number(value), value)


def _mean(row: Row, quantity: Quantity) -> Cell:
    if quantity.tag not in row.finals:
        return Cell(_ABSENT)
    mean, std = row.finals[quantity.tag]
    return Cell(with_spread(mean, std, quantity.share), mean)


def _runs(row: Row) -> Cell:
    lost = [
        f"{count} {name}"
        for name in ("diverged", "failed", "interrupted", "running")
        if (count := getattr(row, name))
    ]
    also = f' <span class="bad">({", ".join(lost)})</span>' if lost else ""
    return Cell(f"{row.seeds}{also}", row.seeds)


def _verdict(row: Row) -> Cell:
    if row.p is None:
        return Cell(escape(row.verdict), row.verdict, False)
    return Cell(f"{escape(row.verdict)}, {escape(p_text(row.p))}", row.p, False)


def _number(value: float | None) -> Cell:
    return Cell(_ABSENT) if value is None else Cell(number(round(value, 2)), value)


def _td(cell: Cell) -> str:
    value = "" if cell.value is None else f' data-value="{escape(str(cell.value))}"'
    kind = ' class="number"' if cell.number else ""
    return f"<td{kind}{value}>{cell.html}</td>"


def _typed(value: Any) -> str:
    """A value as in a configuration file."""
    return json.dumps(value, ensure_ascii=False, default=str)
