"""The page as one HTML file: a section for each slide, from the question to the claims."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from mlr.analysis.webpage import BASE, document
from mlr.core.commandline import for_others
from mlr.core.durable import atomic_write
from mlr.lecture.page import introduction
from mlr.lecture.page.answer import Chapter, Claim, Illustration, PublishedNumber, Slide
from mlr.lecture.page.saved_answers import SavedAnswer

FILE = "index.html"
SEED = 0
"""Seed of all runs and draws, unless a slide names its own."""
WIDE = 700
"""Points of width beyond which a drawing is scrolled on a phone; one column has 576."""
INDEX = re.compile(r"_(ML|SE|BCE|CE|data|model|[jkpK])\b")
"""Subscripts, as in p_data and y_k."""
# nothing is ever loaded from anywhere, not even by mistake
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
CSS = (
    BASE
    + """
.introduction { max-width: 68rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 3rem); }
.introduction ul { margin: 0; padding-left: 1.2em; }
.introduction dl { margin: 0; }
.introduction dl div { display: flex; flex-wrap: wrap; gap: 0 1em; padding: .12em 0; }
.introduction dt { flex: 0 0 12.5em; color: var(--soft); }
.introduction dd { flex: 1 1 16em; margin: 0; }
sub { font-size: .72em; line-height: 0; }
h2:has(+ .original) { margin-bottom: .4em; }
.original { margin: 0 0 1.6em; color: var(--soft); }
nav ol { list-style: none; margin: 0; padding: 0; columns: 2 19rem; column-gap: 3rem; }
nav li { break-inside: avoid; display: flex; gap: .7em; padding: .16em 0; }
nav li a { text-decoration: none; color: inherit; flex: 1; }
nav li a:hover { text-decoration: underline; }
nav .mark { font-weight: 700; }
nav .which { min-width: 1.6em; text-align: right; color: var(--soft);
  font-variant-numeric: tabular-nums; }
figure { margin: 0 0 1.6em; }
.drawing { overflow-x: auto; }
.drawing svg { display: block; width: 100%; height: auto; max-height: 78vh; }
.drawing text { font-family: inherit !important; }
figcaption { display: flex; flex-wrap: wrap; gap: .2em 1.2em; align-items: baseline;
  font-size: .74em; color: var(--soft); margin-top: .5em; }
td:nth-child(1) { width: 58%; }
td:last-child, th:last-child { padding-right: 0; white-space: nowrap; font-weight: 600; }
table + table { margin-top: 2.2rem; }
.published td:nth-child(1) { width: 48%; }
@media (min-width: 60rem) {
  .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem;
    margin-inline: calc(-.5 * max(0rem, min(100vw, 88rem) - 68rem)); }
}
@media (max-width: 40rem) {
  table, tbody, tr, td { display: block; }
  thead { display: none; }
  tr { border-bottom: 1px solid var(--rule); padding: .6em 0; }
  td, td:nth-child(1) { border: 0; padding: .08em 0; width: auto; }
  td:nth-child(2)::before { content: "measured: "; color: var(--soft); }
  .published td:nth-child(1) { width: auto; }
  .published td:nth-child(2)::before { content: "published: "; }
  .published td:nth-child(3)::before { content: "here: "; color: var(--soft); }
  .published td:nth-child(4):not(:empty)::before { content: "difference: "; color: var(--soft); }
  .wide svg { min-width: 50rem; }
  .above .steps { margin-left: 0; width: 100%; }
}
@media print {
  nav, .steps { display: none; }
  section { break-before: page; border: 0; }
  figure, tr { break-inside: avoid; }
}
"""
)


def write_html(folder: Path, chapters: Sequence[Chapter], saved: Sequence[SavedAnswer]) -> Path:
    """Write index.html atomically.

    Args:
        folder: folder of the lecture.
        chapters: chapters of the index.
        saved: answers in the order of the page.

    Raises:
        WriteError: It cannot be written.
    """
    path = folder / FILE
    atomic_write(path, page_html(folder, chapters, saved).encode(), sync=False)
    return path


def page_html(folder: Path, chapters: Sequence[Chapter], saved: Sequence[SavedAnswer]) -> str:
    """Build the whole page."""
    numbers = [one.slide.number for one in saved]
    sections = [_section(folder, one, numbers) for one in saved]
    body = f"""{_header(saved)}
{_introduction()}
{_index(chapters, saved)}
<main>
{"".join(sections)}</main>
<footer class="small">Made by <code>{escape(for_others("lecture"))}</code>; below each figure is the
command that makes it again.</footer>"""
    return document(f"The lecture, executed: {_verdict(saved)}", POLICY, CSS, body)


def _verdict(saved: Sequence[SavedAnswer]) -> str:
    claims = [claim for one in saved for claim in one.answer.claims]
    return f"{sum(claim.holds for claim in claims)} of {len(claims)} claims hold"


def _header(saved: Sequence[SavedAnswer]) -> str:
    good = all(one.answer.holds for one in saved)
    return f"""<header>
<h1>Output units and losses: the lecture, executed</h1>
<p class="verdict {"good" if good else "bad"}">{_verdict(saved)}</p>
<p class="small">{_made(saved)}</p>
<p class="small">{escape(introduction.COURSE)}</p>
</header>"""


def _introduction() -> str:
    """Build the goals, the recap, terms and formulas, which precede the sections."""
    goals = "".join(f"<li>{_markup(goal)}</li>\n" for goal in introduction.GOALS)
    tables = "".join(
        f"<h3>{escape(title)}</h3>\n<dl>\n{''.join(map(_term, rows))}</dl>\n"
        for title, rows in introduction.TABLES
    )
    return f"""<div class="introduction">
<h3>After this lecture you can (goals in our words)</h3>
<ul>
{goals}</ul>
<p class="small">{escape(introduction.READING)}</p>
{tables}</div>"""


def _term(row: tuple[str, str]) -> str:
    name, meaning = row
    return f"<div><dt>{_markup(name)}</dt><dd>{_markup(meaning)}</dd></div>\n"


def _made(saved: Sequence[SavedAnswer]) -> str:
    """Build the line of the time, the software and the seed of the measurements."""
    if not saved:
        return "Nothing was measured yet."
    first, last = min(one.made for one in saved), max(one.made for one in saved)
    when = _time(first) if first == last else f"from {_time(first)} to {_time(last)}"
    kinds = {_versions(one) for one in saved}
    versions = "; ".join(sorted(kinds))
    mixed = " (sections were measured with different versions)" if len(kinds) > 1 else ""
    seconds = sum(one.seconds for one in saved)
    counts = _counts(saved)
    return escape(
        f"Measured {when}, {counts} in {seconds:.0f} s, with {versions}{mixed}, seed {SEED}."
    )


def _counts(saved: Sequence[SavedAnswer]) -> str:
    """Count both kinds, as in “45 sections and 1 published result”."""
    results = sum(one.slide.published for one in saved)
    counts = ((len(saved) - results, "section"), (results, "published result"))
    return " and ".join(f"{count} {name}{'s' * (count != 1)}" for count, name in counts if count)


def _versions(one: SavedAnswer) -> str:
    return ", ".join(f"{name} {version}" for name, version in one.versions.items() if version)


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%d %B %Y, %H:%M} UTC".removeprefix("0")


def _index(chapters: Sequence[Chapter], saved: Sequence[SavedAnswer]) -> str:
    blocks = []
    for chapter in chapters:
        rows = [_row(one) for one in saved if one.slide in chapter.slides]
        if rows:
            blocks.append(f"<h3>{escape(chapter.title)}</h3>\n<ol>\n{''.join(rows)}</ol>\n")
    return f'<nav aria-label="Sections">\n{"".join(blocks)}</nav>'


def _row(one: SavedAnswer) -> str:
    slide = one.slide
    mark, name = ("✓", "holds") if one.answer.holds else ("✗", "does not hold")
    kind = "good" if one.answer.holds else "bad"
    if not one.answer.claims:
        mark, name = "", "nothing is claimed"
    which = "" if slide.published else slide.number
    return (
        f'<li><span class="which">{which}</span><a href="#{slide.number}">'
        f'{escape(slide.title)}</a><span class="mark {kind}" title="{name}">{mark}</span></li>\n'
    )


def _section(folder: Path, one: SavedAnswer, numbers: Sequence[int | str]) -> str:
    slide, answer = one.slide, one.answer
    figures = "".join(_figure(folder, picture, slide) for picture in answer.pictures)
    kind = "pair" if len(answer.pictures) == 2 else "figures"
    notes = "".join(f'<p class="small">{_markup(note)}</p>\n' for note in slide.notes)
    which = "Published" if slide.published else f"Section {slide.number}"
    original = f'<p class="original">On the slide: {_markup(slide.original)}</p>\n'
    return f"""<section id="{slide.number}" aria-labelledby="q{slide.number}">
<p class="above"><span>{which} · {escape(slide.title)}</span>
{_steps(slide.number, numbers)}</p>
<h2 id="q{slide.number}">{_markup(slide.question)}</h2>
{original if slide.original else ""}<div class="{kind}">
{figures}</div>
<p class="answer">{_markup(answer.sentence)}</p>
{_claims(answer.claims)}{_comparisons(answer.rows)}{notes}</section>
"""


def _steps(number: int | str, numbers: Sequence[int | str]) -> str:
    """Build the links to the neighbouring sections and to the index."""
    at = numbers.index(number)
    before, after = numbers[:at][-1:], numbers[at + 1 :][:1]
    links = [f'<a href="#{other}" rel="prev">← {other}</a>' for other in before]
    links.append('<a href="#top">index</a>')
    links += [f'<a href="#{other}" rel="next">{other} →</a>' for other in after]
    return f'<span class="steps">{"".join(links)}</span>'


def _figure(folder: Path, picture: Illustration, slide: Slide) -> str:
    words = ("published",) if slide.published else ()
    command = picture.command or for_others("lecture", *words, str(slide.number))
    title = escape(picture.title, quote=True)
    drawing = picture.svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    run = ""
    if picture.run is not None:
        where = Path(os.path.relpath(picture.run, folder)).as_posix()
        which = "its runs" if " -m " in command or " && " in command else "its run"
        run = f'<a href="{quote(where)}/">{which}: {escape(where)}</a>'
    return f"""<figure>
<div class="drawing{_wide(drawing)}">{drawing}</div>
<figcaption><span>{_markup(picture.title)}</span><code>{escape(command)}</code>{run}</figcaption>
</figure>
"""


def _wide(drawing: str) -> str:
    """Return the CSS class of drawings that are scrolled on a phone."""
    box = re.search(r'viewBox="0 0 ([\d.]+)', drawing)
    return " wide" if box and float(box[1]) > WIDE else ""


def _claims(claims: Sequence[Claim]) -> str:
    if not claims:
        return ""
    return f"""<table>
<thead><tr><th>Claim</th><th>Measured</th><th></th></tr></thead>
<tbody>
{"".join(map(_claim, claims))}</tbody>
</table>
"""


def _comparisons(rows: Sequence[PublishedNumber]) -> str:
    """Build the table of published numbers next to ours."""
    if not rows:
        return ""
    return f"""<table class="published">
<thead><tr><th>Measured</th><th>Published</th><th>Here</th><th>Difference</th></tr></thead>
<tbody>
{"".join(map(_comparison, rows))}</tbody>
</table>
"""


def _comparison(row: PublishedNumber) -> str:
    return (
        f'<tr><td>{escape(row.what)} <span class="small">{escape(row.source)}</span></td>'
        f"<td>{escape(row.theirs)}</td>"
        f"<td>{escape(row.measured)}</td>"
        f"<td>{escape(row.difference)}</td></tr>\n"
    )


def _markup(text: str) -> str:
    """Convert text to HTML with subscripts; a number and its % stay on one line."""
    return INDEX.sub(r"<sub>\1</sub>", escape(text)).replace(" %", "\N{NO-BREAK SPACE}%")


def _claim(claim: Claim) -> str:
    kind, word = ("good", "holds") if claim.holds else ("bad", "does not hold")
    return (
        f"<tr><td>{_markup(claim.text)}</td><td>{_markup(claim.measured)}</td>"
        f'<td class="{kind}">{word}</td></tr>\n'
    )
