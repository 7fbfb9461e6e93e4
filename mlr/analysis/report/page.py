"""HTML page of a report: one section per question, charts from inlined data, nothing loaded."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mlr.analysis.compare.comparison import CompareRow
from mlr.analysis.compare.headline import headline, namer
from mlr.analysis.compare.table import apart_lines, goal, measured_when
from mlr.analysis.explain.command import reassurance
from mlr.analysis.formatting import display_pair, percent
from mlr.analysis.report import calibration, tables
from mlr.analysis.report.charts import charts
from mlr.analysis.report.content import Content, PairPanel
from mlr.analysis.webpage import BASE, document
from mlr.core.commandline import for_others
from mlr.records.reading import left_out

if TYPE_CHECKING:
    from mlr.analysis.explain import Diagnosis

SCRIPTS = ("numbers", "chart", "scales", "curves", "sensitivity", "theory", "tables", "page")
"""Scripts of assets/, in the order of their dependencies."""
IN_A_ROW = 4
"""Panels of a single long row that are seen at once on a wide screen."""
MOST_DIAGNOSES = 6
"""Diagnoses that are shown open."""


def html(content: Content, diagnoses: Sequence[Diagnosis]) -> str:
    """Write the whole page, with diagnoses of the runs, the most important first."""
    found = charts(content)
    sections = [
        _summary(content, diagnoses),
        _curves(content, found),
        _sensitivity(content, found),
        _theory(content),
        _calibration(content),
        _ranking(content),
        _runs(content),
    ]
    style = _file("uplot/uPlot.min.css") + BASE + _file("assets/report.css")
    parts = "".join(_file(f"assets/{name}.js") for name in SCRIPTS)
    script = f'{_file("uplot/uPlot.iife.min.js")}\n(() => {{\n"use strict";\n{parts}}})();\n'
    body = f"""<header>
<p class="above">Report of {"a run" if len(content.runs) == 1 else "a sweep"}</p>
<h1>{escape(content.place.resolve().name)}</h1>
{_contents(sections)}
</header>
<main>
<noscript><p class="answer">The charts need JavaScript; summary and tables do not.</p></noscript>
{"".join(sections)}</main>
{_footer()}
<p id="spoken" class="unseen" role="status"></p>
<script type="application/json" id="data">{embedded(found)}</script>
<script>{script}</script>"""
    # this script, this stylesheet, and nothing else
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
    policy += "img-src data:; base-uri 'none'; form-action 'none'"
    return document(f"{content.place.resolve().name}: report", policy, style, body)


def embedded(value: Any) -> str:
    """Serialise to JSON that cannot end a <script>; numbers unknown to JSON become null."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _file(name: str) -> str:
    return files("mlr.analysis.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def _contents(sections: Sequence[str]) -> str:
    names = {"curves": "Curves", "sensitivity": "Settings", "theory": "Theory"}
    names |= {"calibration": "Calibration", "ranking": "Ranking", "runs": "Runs"}
    shown = {key: name for key, name in names.items() if f'id="{key}"' in "".join(sections)}
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name in shown.items())
    return f'<nav aria-label="Sections">{links}</nav>'


def _section(name: str, title: str, inner: str) -> str:
    return f"""<section id="{name}" aria-labelledby="{name}-title">
<h2 id="{name}-title">{title}</h2>
{inner}</section>
"""


def _summary(content: Content, diagnoses: Sequence[Diagnosis]) -> str:
    first, rest = diagnoses[:MOST_DIAGNOSES], diagnoses[MOST_DIAGNOSES:]
    found = _diagnoses(first) if first else f"<p>{_escaped(reassurance(content.runs))}</p>\n"
    if rest:
        found += f"<details><summary>{len(rest)} more</summary>{_diagnoses(rest)}</details>\n"
    text = " ".join(filter(None, (counts(content), spread(content), apart(content))))
    sentences = verdicts(content)
    if len(sentences) == 1:
        answer = f'<p class="verdict">{_escaped(sentences[0])}</p>'
    else:
        items = "\n".join(f"<li>{_escaped(one)}</li>" for one in sentences)
        answer = f'<ul class="verdicts">\n{items}\n</ul>'
    return f"""<section id="summary" aria-label="Summary">
{answer}
<p>{_escaped(text)}</p>
{_left_out(content)}{found}</section>
"""


def verdicts(content: Content) -> list[str]:
    """Write a text for each ranking: which pairs are significantly better, and which tie."""
    return [one.lead + headline(one, partial(_name, by_keys=namer(one))) for one in content.rated]


def apart(content: Content) -> str:
    """Explain which rankings cannot be compared; empty if all can."""
    return " ".join(f"{line[0].upper()}{line[1:]}." for line in apart_lines(content.comparison))


def counts(content: Content) -> str:
    """Count runs and jobs by status."""
    status = Counter(run.status for run in content.runs)
    pairs, seeds = ({getattr(run, name) for run in content.runs} for name in ("pair", "seed"))
    text = f"{_many(len(content.runs), 'run')} of {_many(len(pairs), 'pair')} of head and loss"
    if len(seeds) > 1:
        text += f", {len(seeds)} seeds"
    diverged = status.pop("diverged", 0)
    others = [f"{count} {name}, " for name, count in sorted(status.items())]
    jobs = sorted(Counter(one.status for one in content.untrained).items())
    untrained = [f" {_many(count, 'job')} {name}." for name, count in jobs]
    return f"{text}: {''.join(others)}{diverged} diverged.{''.join(untrained)}"


def spread(content: Content) -> str:
    """Write the range of mean accuracies; empty for fewer than two, or for several data sets."""
    if len(content.comparison.rankings) > 1:
        return ""
    metric = content.comparison.rankings[0].metric
    means = [row.mean for row in content.comparison.rows if row.mean is not None]
    if len(means) < 2 or not metric.startswith("accuracy/"):
        return ""
    return (
        f"Means over seeds range from {percent(min(means))} to {percent(max(means))} "
        f"over {len(means)} configurations."
    )


def _name(row: CompareRow, by_keys: Callable[[CompareRow], str]) -> str:
    """Name a configuration with its pair written for people."""
    pair = str(row.keys["pair"] or "")
    return by_keys(row).replace(pair, display_pair(pair), 1) if pair else by_keys(row)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _left_out(content: Content) -> str:
    """Name the runs that cannot be read; the table of every run has the reasons."""
    line = left_out([*content.runs, *content.left_out], [content.place])
    return f'<p class="bad">{_escaped(line)}</p>\n' if line else ""


def _diagnoses(found: Sequence[Diagnosis]) -> str:
    return f'<ul class="diagnoses">\n{"".join(map(_diagnosis, found))}</ul>\n'


def _diagnosis(one: Diagnosis) -> str:
    count = f", {one.count}" if one.total > 1 else ""
    where = f'<span class="small">{escape(one.cell)}{count}</span><br>' if one.cell else ""
    remedy = f" Try <code>{escape(one.remedy)}</code>" if one.remedy else ""
    return (
        f"<li>{where}<strong>{_escaped(one.sentence)}</strong>{remedy}"
        f'<br><span class="small">{_escaped(one.evidence)}</span></li>\n'
    )


def _escaped(text: str) -> str:
    """Escape a text, with a no-break space before %."""
    return escape(text).replace(" %", "\N{NO-BREAK SPACE}%")


def _matrix(content: Content, what: str) -> str:
    """Write a matrix per data set, of a panel per pair: heads are rows, losses columns."""
    parts = []
    for data in content.datasets:
        panels = [_panel(content, panel, what) for panel in content.matrix(data)]
        title = f"<h3>{escape(data)}</h3>\n" if data else ""
        columns = f'data-columns="{_columns(len(panels), len(content.losses(data)))}"'
        parts.append(f'{title}<div class="matrix" {columns}>\n{"".join(panels)}</div>\n')
    return "".join(parts)


def _columns(panels: int, losses: int) -> int:
    """Return the columns of a matrix: its losses; a single long row is broken."""
    return losses if panels > losses else -(-losses // -(-losses // IN_A_ROW))


def _panel(content: Content, panel: PairPanel, what: str) -> str:
    name = escape(display_pair(panel.pair))
    if panel in content.best:
        kind = f'class="panel" data-pair="{content.panels.index(panel)}"'
        return _figure(kind, name, f"{escape(panel.label)}: {what}")
    job = next((one for one in content.untrained if one.pair == panel.pair), None)
    if job is None:
        return f'<figure class="panel absent"><figcaption>{name}</figcaption>not tried</figure>\n'
    return f"""<figure class="panel absent"><figcaption>{name}</figcaption>
<p class="bad">{escape(job.status)}</p><p>{escape(str(job.entries["reason"]))}</p></figure>
"""


def _figure(kind: str, name: str, label: str) -> str:
    return f"""<figure {kind}>
<figcaption>{name}</figcaption>
<div class="chart" tabindex="0" role="img" aria-label="{label}"></div>
<ul class="values"></ul>
</figure>
"""


def _chosen_on(content: Content) -> str:
    """Name the data that choose among settings."""
    tags = [one.chosen_on or "" for one in content.rated]
    train = all(tag.endswith("/train") for tag in tags)
    return "training data, for there are no validation numbers" if train else "validation data"


def _curves(content: Content, found: dict[str, Any]) -> str:
    if not found["steps"]:
        return ""
    several = len(content.groups) > len(content.best)
    words = "Lines are means over seeds, bands hold 80 % of them (10 to 90 % quantile)"
    best = f"; each pair at the setting chosen on {_chosen_on(content)}" if several else ""
    seeds = f"{words}{best}. " if len(content.runs) > len(content.groups) else ""
    grey = "Grey: the other pairs. " if len(content.best) > 1 else ""
    text = f"{seeds}{grey}Drag over a chart to magnify, double-click to undo; "
    inner = f"""<div class="controls"></div>
<p class="small">{escape(text)}arrow keys move the cursor of a chart that has the focus.</p>
{_matrix(content, "learning curve")}"""
    return _section("curves", "Who learns, and who gets gradient?", inner)


def _sensitivity(content: Content, found: dict[str, Any]) -> str:
    if not found["keys"] or not found["finals"]:
        return ""
    figures = "".join(
        _figure(f'class="panel wide" data-key="{place}"', name, f"final number {name}")
        for place, name in enumerate(f"against {escape(name)}" for _, name in found["keys"])
    )
    chosen = f", other settings as chosen on {_chosen_on(content)}"
    others = chosen if len(content.keys) > 1 else ""
    inner = f"""<div class="controls"></div>
<p class="small">Mean over seeds{others}; bars hold 80 % of them. × marks settings where runs
diverged, at the bottom where all did.</p>
<div class="wide-panels">
{figures}</div>
"""
    return _section("sensitivity", "How much do the settings matter?", inner)


def _theory(content: Content) -> str:
    if all(run.own_loop for run in content.runs):
        return ""  # a loop of a user's own records no gradient against the logit
    inner = f"""<div class="controls"></div>
<p class="small">Lines: closed form against the logit of one output. Circles: the mean that was
measured over training data with the final parameters; the larger, the more outputs lie there. The
outermost hold all logits beyond ±10. A softmax compares a logit with the others, z − log Σ e^z of
the others, and the lines have these equal: with CE the gradient depends on nothing else, with other
losses circles may lie off the lines.</p>
{_matrix(content, "loss and gradient against the logit")}"""
    return _section("theory", "What should the gradient be, and what was it?", inner)


def _calibration(content: Content) -> str:
    figures = calibration.diagrams(content)
    if not figures:
        return ""
    inner = f"""<p class="small">{_escaped(calibration.CAPTION)}</p>
<div class="diagrams">
{figures}</div>
"""
    return _section("calibration", "Are the probabilities calibrated?", inner)


def _ranking(content: Content) -> str:
    rankings = tables.rankings(content)
    if not rankings:
        return ""
    goals = list(dict.fromkeys(filter(None, map(goal, content.comparison.rankings))))
    goals = goals if len(goals) == 1 else []
    lines = [
        "Mean ± standard deviation over seeds. Test loss: each in units of its own loss.",
        "Against the first: paired t-test over common seeds, Holm’s correction for all pairs.",
        "‖dL/dz‖ where wrong: mean over the training examples that are predicted wrongly "
        f"{measured_when(content.runs)}.",
        *(f"{one[0].upper()}{one[1:]}." for one in goals),
    ]
    note = f'<p class="small">{_escaped(" ".join(lines))}</p>\n'
    return _section("ranking", "Which is best?", note + rankings)


def _runs(content: Content) -> str:
    shared = tables.settings(tables.common(content.runs))
    inner = f"""<details><summary>Command and configuration that all runs share</summary>
{shared}</details>
<p class="small">Open a run’s name for the settings that differ from the other runs.</p>
{tables.every_run(content)}"""
    return _section("runs", "Every run", inner)


def _footer() -> str:
    return f"""<footer class="small">
<p>Made by <code>{escape(for_others("report"))}</code>. Charts by uPlot 1.6.32, © Leon Sorokin,
under the MIT licence:</p>
<details><summary>licence of uPlot</summary><pre>{escape(_file("uplot/LICENSE"))}</pre></details>
</footer>"""
