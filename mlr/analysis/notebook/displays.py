"""Displays of a run, a comparison and diagnoses, as HTML with the texts of the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from mlr.analysis.compare.comparison import CompareResult, CompareRow, Ranking
from mlr.analysis.compare.headline import headline
from mlr.analysis.compare.significance import AHEAD, BEST, NOT_SIGNIFICANT, WORSE
from mlr.analysis.compare.table import (
    AGAINST,
    apart_lines,
    key_cells,
    key_heads,
    legend_lines,
    shown_columns,
    warning_lines,
)
from mlr.analysis.explain.command import SCREENFUL, reassurance, remedies
from mlr.analysis.explain.diagnose import explain
from mlr.analysis.explain.facts import Facts
from mlr.analysis.formatting import number, percent
from mlr.analysis.notebook import markup
from mlr.analysis.notebook.chart import SmallCurve, chart
from mlr.analysis.quantities import CURVES, FINALS, is_share
from mlr.diagnosis.findings import Diagnosis
from mlr.records.reading import Recorded

SPLITS = ("train", "val", "test")
PICTURES = (("loss/train", "loss/val"), ("logit_grad/wrong", "logit_grad/right"))
"""Tags of the curves of a run, a picture each."""
VERDICTS = {BEST: markup.GOOD, WORSE: markup.BAD, AHEAD: markup.NOTE, NOT_SIGNIFICANT: markup.PLAIN}
STATUSES = {"done": markup.GOOD, "running": markup.NOTE}
"""Grounds of statuses; of the others that of what is bad."""


@dataclass(frozen=True, repr=False)
class RunDisplay:
    """One run: settings as typed, status, final numbers, curves and the first diagnosis."""

    run: Recorded

    def __repr__(self) -> str:
        return f"RunDisplay({self.run.name}: {self.run.pair}, {self.run.status})"

    def _repr_html_(self) -> str:
        run = self.run
        status = markup.badge(run.status, STATUSES.get(run.status, markup.BAD))
        title = f"{markup.element('b', markup.text(run.name))} {status} {markup.text(run.pair)}"
        parts = [markup.element("div", title)]
        if run.entries.get("reason"):
            parts.append(markup.paragraph(str(run.entries["reason"])))
        if run.overrides:
            typed = "&ensp;".join(_code(one) for one in run.overrides)
            parts.append(markup.named("typed", typed))
        parts += [_by_split(run), _others(run), _pictures(run)]
        return markup.display(*parts, *_first_diagnosis(run))


@dataclass(frozen=True, repr=False)
class ComparisonDisplay:
    """Rankings as tables with verdicts, legends and a sentence each."""

    result: CompareResult

    def __repr__(self) -> str:
        count = f"{len(self.result.rows)} rows of {self.result.runs} runs"
        return f"ComparisonDisplay({count} by {', '.join(self.result.by)})"

    def _repr_html_(self) -> str:
        result, said, parts = self.result, set[str](), list[str]()
        for ranking in result.rankings:
            parts += _ranking(ranking, said)
        if not result.mixed:  # means over other settings are no answer
            parts += [
                markup.paragraph(f"{one.lead}{headline(one)}", "font-weight:bold")
                for one in result.rankings
            ]
        lines = [*apart_lines(result), *warning_lines(result)]
        ground = f"background:{markup.NOTE};padding:.1em .45em;white-space:pre-wrap"
        parts += [markup.paragraph(line.strip("\n"), ground) for line in lines]
        return markup.display(*parts)


@dataclass(frozen=True, repr=False)
class DiagnosisDisplay(Sequence[Diagnosis]):
    """Diagnoses of runs, the most important first; without any it displays a reassurance."""

    runs: Sequence[Recorded]
    diagnoses: Sequence[Diagnosis]

    @overload
    def __getitem__(self, at: int) -> Diagnosis: ...
    @overload
    def __getitem__(self, at: slice) -> DiagnosisDisplay: ...
    def __getitem__(self, at: int | slice) -> Diagnosis | DiagnosisDisplay:
        if isinstance(at, slice):
            return DiagnosisDisplay(self.runs, self.diagnoses[at])
        return self.diagnoses[at]

    def __len__(self) -> int:
        return len(self.diagnoses)

    def __repr__(self) -> str:
        found = [f"{one.rule} in {one.count}" for one in self.diagnoses]
        return f"DiagnosisDisplay({'; '.join(found) or 'no fault'})"

    def _repr_html_(self) -> str:
        if not self.diagnoses:
            return markup.display(markup.paragraph(reassurance(self.runs)))
        parts = [_diagnosis(self.runs, one) for one in self.diagnoses]
        first, rest = parts[:SCREENFUL], "".join(parts[SCREENFUL:])
        if rest:
            more = f"<summary>… and {len(parts) - SCREENFUL} more</summary>"
            first.append(markup.element("details", more + rest))
        return markup.display(*first)


def _code(value: str) -> str:
    return markup.element("code", markup.text(value))


def _by_split(run: Recorded) -> str:
    """Write a table of the final numbers that splits have, as at the end of a training."""
    names = dict.fromkeys(tag.partition("/")[0] for tag in run.finals if _split(tag) in SPLITS)
    splits = [split for split in SPLITS if any(_split(tag) == split for tag in run.finals)]
    rows = [[name, *(_final(run, f"{name}/{split}") for split in splits)] for name in names]
    if not rows:
        return ""
    return markup.table(["", *splits], rows, 1, [[""] * (1 + len(splits))] * len(rows))


def _split(tag: str) -> str:
    return tag.rpartition("/")[2]


def _others(run: Recorded) -> str:
    """Write the other final numbers with their names, in one line."""
    labels = {one.tag: one.label for one in (*CURVES, *FINALS)}
    found = [
        f"{label}: {_final(run, tag)}"
        for tag, label in labels.items()
        if tag in run.finals and _split(tag) not in SPLITS
    ]
    return markup.paragraph(" · ".join(found), markup.DIM) if found else ""


def _final(run: Recorded, tag: str) -> str:
    if tag not in run.finals:
        return "–"
    value = run.finals[tag]
    return percent(value) if is_share(tag) else number(value)


def _pictures(run: Recorded) -> str:
    """Draw the curves of loss and gradient."""
    drawn = []
    for tags in PICTURES:
        found = [SmallCurve(tag, *Facts(run).points(tag)) for tag in tags]
        drawn.append(chart([one for one in found if len(one.values)]))
    return markup.element("div", "".join(drawn)) if any(drawn) else ""


def _first_diagnosis(run: Recorded) -> Iterator[str]:
    found = explain([run])
    if not found:
        yield markup.paragraph(reassurance([run]))
        return
    yield _diagnosis([run], found[0])
    if len(found) > 1:
        yield markup.paragraph(f"… and {len(found) - 1} more", markup.DIM)


def _diagnosis(runs: Sequence[Recorded], one: Diagnosis) -> str:
    """Write a diagnosis with the words of the command explain."""
    title = markup.badge(one.rule, markup.NOTE)
    title += f" {markup.element('b', markup.text(one.cell))}" if one.cell else ""
    title += f" in {markup.text(one.count)}" if one.total > 1 else ""
    parts = [markup.element("div", title), markup.paragraph(one.sentence)]
    parts.append(markup.named("evidence", markup.text(one.evidence), markup.DIM))
    parts += [markup.named(name, _code(hint)) for name, hint in remedies(runs, one).items()]
    return markup.element("div", "".join(parts), "margin:.6em 0")


def _ranking(ranking: Ranking, said: set[str]) -> Iterator[str]:
    """Write a ranking and those lines of its legend that were not said before."""
    rows, keys = ranking.listed, ranking.keys
    columns = shown_columns(ranking, rows, full=True)
    heads = [column.head for column in columns]
    if ranking.title:
        yield markup.paragraph(ranking.title, "font-weight:bold")
    cells = [[*key_cells(row, keys), *(column.cell(row) for column in columns)] for row in rows]
    grounds = [_grounds(row, len(keys), heads) for row in rows]
    yield markup.table([*key_heads(keys), *heads], cells, len(keys), grounds)
    legend = [line for line in legend_lines(ranking, rows, heads) if line not in said]
    said.update(legend)
    yield from (markup.paragraph(line, f"{markup.DIM};margin:0") for line in legend)


def _grounds(row: CompareRow, keys: int, heads: Sequence[str]) -> list[str]:
    """Choose the grounds of a row's cells: of the best all, of others the verdict alone."""
    ground, whole = VERDICTS.get(row.verdict, ""), row.verdict == BEST
    return [ground if whole or head == AGAINST else "" for head in [""] * keys + [*heads]]
