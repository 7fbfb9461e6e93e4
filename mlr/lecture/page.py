"""The page: a section for each slide, from the question to the claims; HTML without parts."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from mlr.analysis.webpage import GENERATOR, document
from mlr.core.checks import InputError
from mlr.core.commandline import for_others
from mlr.core.durable import atomic_write
from mlr.lecture import introduction
from mlr.lecture.answer import Claim, Comparison, Part, Picture
from mlr.lecture.kept import Kept
from mlr.lecture.style import CSS

FILE = "index.html"
SEED = 0
"""Of every run and every draw, where a slide does not name its seeds."""
WIDE = 700
"""Points of a drawing, of which one column has 576."""
INDEX = re.compile(r"_(ML|SE|BCE|CE|data|model|[jkpK])\b")
"""Indices that are set below the line, as in p_data and y_k."""
# nothing is ever loaded from anywhere, not even by mistake
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def check_free(folder: Path) -> None:
    """Refuse to write over a page of somebody else's: many have a folder `lecture`.

    Raises:
        InputError: there is one.
    """
    path = folder / FILE
    with suppress(OSError):  # none is there, or writing will say what is wrong
        if path.is_file() and GENERATOR.encode() not in path.read_bytes():
            raise InputError(f"{path} was not written by mlr; move it, or stand in another folder.")


def write(folder: Path, parts: Sequence[Part], kept: Sequence[Kept]) -> Path:
    """Write index.html into `folder`, whole or not at all.

    Args:
        folder: of the lecture.
        parts: the topics, for the index.
        kept: the answers there are, in the order of the page.

    Raises:
        WriteError: it cannot be written.
    """
    path = folder / FILE
    atomic_write(path, html(folder, parts, kept).encode(), sync=False)
    return path


def html(folder: Path, parts: Sequence[Part], kept: Sequence[Kept]) -> str:
    """The whole page."""
    numbers = [one.slide.number for one in kept]
    sections = [_section(folder, one, numbers) for one in kept]
    body = f"""{_header(kept)}
{_introduction()}
{_index(parts, kept)}
<main>
{"".join(sections)}</main>
<footer class="small">Made by <code>{escape(for_others("lecture"))}</code>; below each figure is the
command that makes it again.</footer>"""
    return document(f"The lecture, executed: {_verdict(kept)}", POLICY, CSS, body)


def _verdict(kept: Sequence[Kept]) -> str:
    claims = [claim for one in kept for claim in one.answer.claims]
    return f"{sum(claim.holds for claim in claims)} of {len(claims)} claims hold"


def _header(kept: Sequence[Kept]) -> str:
    good = all(one.answer.holds for one in kept)
    return f"""<header>
<h1>Output units and losses: the lecture, executed</h1>
<p class="verdict {"good" if good else "bad"}">{_verdict(kept)}</p>
<p class="small">{_made(kept)}</p>
<p class="small">{escape(introduction.COURSE)}</p>
</header>"""


def _introduction() -> str:
    """Goals, recap, terms and formulas: once, before the sections."""
    goals = "".join(f"<li>{_told(goal)}</li>\n" for goal in introduction.GOALS)
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
    return f"<div><dt>{_told(name)}</dt><dd>{_told(meaning)}</dd></div>\n"


def _made(kept: Sequence[Kept]) -> str:
    """When, by what, how long, and with which seed."""
    if not kept:
        return "Nothing was measured yet."
    first, last = min(one.made for one in kept), max(one.made for one in kept)
    when = _time(first) if first == last else f"from {_time(first)} to {_time(last)}"
    kinds = {_versions(one) for one in kept}
    versions = "; ".join(sorted(kinds))
    mixed = " (sections were measured with different versions)" if len(kinds) > 1 else ""
    seconds = sum(one.seconds for one in kept)
    counts = _counts(kept)
    return escape(
        f"Measured {when}, {counts} in {seconds:.0f} s, with {versions}{mixed}, seed {SEED}."
    )


def _counts(kept: Sequence[Kept]) -> str:
    """The numbers of both kinds, as in “45 sections and 1 published result”."""
    results = sum(one.slide.published for one in kept)
    counts = ((len(kept) - results, "section"), (results, "published result"))
    return " and ".join(f"{count} {name}{'s' * (count != 1)}" for count, name in counts if count)


def _versions(one: Kept) -> str:
    return ", ".join(f"{name} {version}" for name, version in one.versions.items() if version)


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%d %B %Y, %H:%M} UTC".removeprefix("0")


def _index(parts: Sequence[Part], kept: Sequence[Kept]) -> str:
    blocks = []
    for part in parts:
        rows = [_row(one) for one in kept if one.slide in part.slides]
        if rows:
            blocks.append(f"<h3>{escape(part.title)}</h3>\n<ol>\n{''.join(rows)}</ol>\n")
    return f'<nav aria-label="Sections">\n{"".join(blocks)}</nav>'


def _row(one: Kept) -> str:
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


def _section(folder: Path, one: Kept, numbers: Sequence[int | str]) -> str:
    slide, answer = one.slide, one.answer
    figures = "".join(_figure(folder, picture, slide.number) for picture in answer.pictures)
    kind = "pair" if len(answer.pictures) == 2 else "figures"
    notes = "".join(f'<p class="small">{_told(note)}</p>\n' for note in slide.notes)
    which = "Published" if slide.published else f"Section {slide.number}"
    original = f'<p class="original">On the slide: {_told(slide.original)}</p>\n'
    return f"""<section id="{slide.number}" aria-labelledby="q{slide.number}">
<p class="above"><span>{which} · {escape(slide.title)}</span>
{_steps(slide.number, numbers)}</p>
<h2 id="q{slide.number}">{_told(slide.question)}</h2>
{original if slide.original else ""}<div class="{kind}">
{figures}</div>
<p class="answer">{_told(answer.sentence)}</p>
{_claims(answer.claims)}{_comparisons(answer.rows)}{notes}</section>
"""


def _steps(number: int | str, numbers: Sequence[int | str]) -> str:
    """Links to the neighbours and to the index."""
    at = numbers.index(number)
    before, after = numbers[:at][-1:], numbers[at + 1 :][:1]
    links = [f'<a href="#{other}" rel="prev">← {other}</a>' for other in before]
    links.append('<a href="#top">index</a>')
    links += [f'<a href="#{other}" rel="next">{other} →</a>' for other in after]
    return f'<span class="steps">{"".join(links)}</span>'


def _figure(folder: Path, picture: Picture, number: int | str) -> str:
    command = picture.command or for_others("lecture", str(number))
    title = escape(picture.title, quote=True)
    drawing = picture.svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    run = ""
    if picture.run is not None:
        where = Path(os.path.relpath(picture.run, folder)).as_posix()
        which = "its runs" if " -m " in command or " && " in command else "its run"
        run = f'<a href="{quote(where)}/">{which}: {escape(where)}</a>'
    return f"""<figure>
<div class="drawing{_wide(drawing)}">{drawing}</div>
<figcaption><span>{_told(picture.title)}</span><code>{escape(command)}</code>{run}</figcaption>
</figure>
"""


def _wide(drawing: str) -> str:
    """A second class for drawings that a phone cannot show whole: these are scrolled there."""
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


def _comparisons(rows: Sequence[Comparison]) -> str:
    """A table of published numbers next to ours."""
    if not rows:
        return ""
    return f"""<table class="published">
<thead><tr><th>Measured</th><th>Published</th><th>Here</th><th>Difference</th></tr></thead>
<tbody>
{"".join(map(_comparison, rows))}</tbody>
</table>
"""


def _comparison(row: Comparison) -> str:
    return (
        f'<tr><td>{escape(row.what)} <span class="small">{escape(row.source)}</span></td>'
        f"<td>{escape(row.theirs)}</td>"
        f"<td>{escape(row.measured)}</td>"
        f"<td>{escape(row.difference)}</td></tr>\n"
    )


def _told(text: str) -> str:
    """`text` as HTML: indices are set below, and a number and its % stay on one line."""
    return INDEX.sub(r"<sub>\1</sub>", escape(text)).replace(" %", "\N{NO-BREAK SPACE}%")


def _claim(claim: Claim) -> str:
    kind, word = ("good", "holds") if claim.holds else ("bad", "does not hold")
    return (
        f"<tr><td>{_told(claim.text)}</td><td>{_told(claim.measured)}</td>"
        f'<td class="{kind}">{word}</td></tr>\n'
    )
