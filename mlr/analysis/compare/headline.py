"""Put a ranking into a sentence: which rows are significantly better, and which tie."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlr.analysis.compare.comparison import CompareRow, Ranking
from mlr.analysis.compare.significance import FEWEST, FIXED, LEVEL, WORSE
from mlr.analysis.compare.significance import NOT_SIGNIFICANT as EVEN
from mlr.analysis.formatting import brief, number, p_text, with_spread
from mlr.analysis.grouping import HEAD_LOSS, short
from mlr.analysis.quantities import DIRECTED, is_share, label
from mlr.analysis.ranking import is_higher_better
from mlr.records.settings import value_text

MOST_NAMED = 4
MORE_SEEDS = "'seed=range(0,5)'"
Name = Callable[[CompareRow], str]


def namer(ranking: Ranking) -> Name:
    """Return a function that names a row by its keys, as in `sigmoid+se model=mlp`."""
    named = {key for key in ranking.keys if key in ("pair", *HEAD_LOSS) or ranking.varies(key)}

    def name(row: CompareRow) -> str:
        keys = {key: row.keys[key] for key in ranking.keys if key in named}
        pair = [value_text(keys.pop(key)) for key in ("pair", "head", "loss") if key in keys]
        values = zip(short(list(keys)), keys.values(), strict=True)
        others = [f"{key}={brief(value)}" for key, value in values if value is not None]
        return " ".join(filter(None, ("+".join(filter(None, pair)), *others))) or "all runs"

    return name


def _value(row: CompareRow, metric: str) -> str:
    return with_spread(*row.finals[metric], is_share(metric))


def headline(ranking: Ranking, name: Name | None = None) -> str:
    """Write one or a few sentences; `name` names a row, by its keys if it is None."""
    if not ranking.metric.startswith(DIRECTED):
        return f"{label(ranking.metric)} is neither good nor bad in itself: no ranking."
    name = name or namer(ranking)
    rows = [row for row in ranking.rows if row.mean is not None]
    if not rows:
        return _without_numbers(ranking)
    metric, first = label(ranking.metric), rows[0]
    if len(rows) == 1:
        found = f"{name(first)}: {metric} {_value(first, ranking.metric)}."
    elif any(row.p is not None for row in rows):
        found = _tested(ranking, rows, name)
    else:
        found = _untested(ranking, rows, name)
    return " ".join([found, *_lost(ranking, name), *_chosen_by(ranking), *_by_split(ranking)])


def _by_split(ranking: Ranking) -> list[str]:
    """Say what ranks where no run has a test number."""
    split = ranking.metric.rpartition("/")[2]
    if split == "test" or any(tag.endswith("/test") for row in ranking.rows for tag in row.finals):
        return []
    if split == "val":
        return ["No test numbers were recorded: these are of the validation."]
    if split != "train" or any(tag.endswith("/val") for row in ranking.rows for tag in row.finals):
        return []
    of = "means over the last quarter of the measured batches" if _is_own(ranking) else "its end"
    return [
        f"Neither test nor validation numbers were recorded: these are of the training ({of}), "
        "and do not tell how well new examples are predicted."
    ]


def _is_own(ranking: Ranking) -> bool:
    """Tell if a run is a loop of a user's own."""
    return any(run.own_loop for row in ranking.rows for run in row.members)


def _chosen_by(ranking: Ranking) -> list[str]:
    tag = ranking.chosen_on
    if not ranking.rated:
        return []
    if tag is None:
        return ["Of the learning rates the lowest is shown: only test numbers were recorded."]
    why = ", for there are no validation data" if tag.endswith("/train") else ""
    return [f"Each is ranked at its learning rate of the best {label(tag)}{why}."]


def _without_numbers(ranking: Ranking) -> str:
    rows = ranking.rows
    if sum(row.diverged for row in rows) == sum(row.runs for row in rows):
        return "Every run diverged."
    ended = any(run.status == "done" for row in rows for run in row.members)
    return f"No run has a {label(ranking.metric)}." if ended else "No run has ended well yet."


def _untested(ranking: Ranking, rows: Sequence[CompareRow], name: Name) -> str:
    metric, value = label(ranking.metric), _value(rows[0], ranking.metric)
    same = [row for row in rows if row.place == rows[0].place]
    behind = _names([row for row in rows if row.place == rows[-1].place], name)
    last = f"{behind} last with {_value(rows[-1], ranking.metric)}."
    if len(same) == len(rows):
        text = f"{_names(rows, name)} have the same {metric}, {value}"
        return f"{text}: it does not tell them apart.{_times(rows, name)}"
    if len(same) > 1:
        text = f"{_names(same, name)} have the same {metric}, {value}; {last}"
    else:
        text = f"{name(rows[0])} comes first with {metric} {value}, {last}"
    if any(row.verdict == FIXED for row in rows):
        return f"{text} All seeds give the same numbers: no difference is chance."
    few = (
        "One run each"
        if max(row.seeds for row in rows) == 1
        else f"Fewer than {FEWEST} common seeds"
    )
    more = "train with further seeds" if _is_own(ranking) else f"add {MORE_SEEDS}"
    return f"{text} {few}: {more} to see what is chance."


def _times(rows: Sequence[CompareRow], name: Name) -> str:
    times = [row.updates_to_90 for row in rows if row.updates_to_90 is not None]
    if len(times) < len(rows) or len(set(times)) < 2 or len(rows) > MOST_NAMED:
        return ""
    found = [f"{name(row)} {number(time)}" for row, time in zip(rows, times, strict=True)]
    return f" Updates to 90 %: {', '.join(found)}."


def _tested(ranking: Ranking, rows: Sequence[CompareRow], name: Name) -> str:
    metric, value = label(ranking.metric), _value(rows[0], ranking.metric)
    worse = [row for row in rows if row.verdict == WORSE]
    # the rows that follow the first with no significant difference, up to one that is worse
    until = next((at for at, row in enumerate(rows[1:], 1) if row.verdict != EVEN), len(rows))
    tied, unclear = rows[:until], [row for row in rows[until:] if row.verdict == EVEN]
    if len(tied) > 1:
        values = _joined([_value(row, ranking.metric) for row in tied])
        seeds = min(row.common for row in tied[1:])
        found = f"{_names(tied, name)} tie: {metric} {values}, no significant difference"
        found += f" ({_bound(_p(tied), '≥')}, {seeds} seeds)"
    elif worse:
        found = f"{name(rows[0])} is {'first' if unclear else 'best'} with {metric} {value}"
    else:
        found = f"{name(rows[0])} comes first with {metric} {value}"
    found += _better(ranking, tied, worse, name, everyone=len(tied) + len(worse) == len(rows))
    if unclear:
        which = ", ".join(f"{name(row)} ({_value(row, ranking.metric)})" for row in unclear)
        found += f"; no significant difference to {which}, {_bound(_p(unclear), '≥')}"
    few = [row for row in rows[1:] if row.p is None]
    return f"{found}." + (
        f" Not tested, with too few common seeds: {_names(few, name)}." * bool(few)
    )


def _better(
    ranking: Ranking,
    tied: Sequence[CompareRow],
    worse: Sequence[CompareRow],
    name: Name,
    everyone: bool,
) -> str:
    """Name the rows that are worse than all tied ones, and those worse than the first alone."""
    first = [ranking.rows.index(row) for row in tied]
    p = {id(row): ranking.p[first, ranking.rows.index(row)].tolist() for row in worse}
    # NaN, where two of them have too few common seeds, is no difference
    than_all = [row for row in worse if all(one <= LEVEL for one in p[id(row)])]
    others = [row for row in worse if row not in than_all]
    better = "higher" if is_higher_better(ranking.metric) else "lower"
    found = ""
    if than_all:
        whole = everyone and not others and len(than_all) > 1
        which = "all others" if whole else _names(than_all, name)
        bound = _bound([one for row in than_all for one in p[id(row)]])
        both = {1: ",", 2: "; both"}.get(len(tied), "; all")
        found += f"{both} significantly {better} than {which} ({bound})"
    if others:
        link = "also" if than_all else "is significantly"
        which = f"{better} than {_names(others, name)} ({_bound(_p(others))})"
        found += f"; {name(tied[0])} {link} {which}"
    return found


def _p(rows: Sequence[CompareRow]) -> list[float]:
    return [row.p for row in rows if row.p is not None]


def _lost(ranking: Ranking, name: Name) -> list[str]:
    found = []
    behind = [row for row in ranking.rows if row.stands_behind]
    for row in behind[:MOST_NAMED]:
        ended = row.seeds + row.missing
        found.append(f"{name(row)} lost {row.missing} of {ended} runs and stands behind for that.")
    none = [row for row in ranking.rows if row.mean is None and row.diverged == row.runs]
    if none and len(none) < len(ranking.rows):
        found.append(f"Every run of {_names(none, name)} diverged.")
    return found


def _names(rows: Sequence[CompareRow], name: Name) -> str:
    return _joined([name(row) for row in rows])


def _joined(texts: Sequence[str]) -> str:
    """Join texts with commas, and count those beyond `MOST_NAMED`."""
    if len(texts) > MOST_NAMED:
        texts = [*texts[: MOST_NAMED - 1], f"{len(texts) - MOST_NAMED + 1} others"]
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def _bound(found: Sequence[float], sign: str = "≤") -> str:
    """Write the largest of some p-values, or the smallest."""
    one = max(found) if sign == "≤" else min(found)
    return p_text(one, "=" if len(found) == 1 or one == 1 else sign)
