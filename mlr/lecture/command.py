"""Command lecture.py: ask slides, print their claims, write the page.

Asking some slides replaces their sections only: every answer is saved next to its runs, in
lecture/<number>/answer.json, and the page is made of all saved answers. Runs of an earlier
call are removed when their slide is asked again; nothing else in these folders is touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.text import Text

from mlr.analysis.webpage import refuse_foreign_page
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.durable import WriteError
from mlr.lecture import published
from mlr.lecture.lab import Lab
from mlr.lecture.page import render, saved_answers
from mlr.lecture.page.answer import Answer, Slide
from mlr.lecture.slides import CHAPTERS, SLIDES

FOLDER = Path("lecture")
"""Separate from `runs`, which holds the user's own runs."""
INTERRUPTED = 130
SEVERAL = re.compile(r"\d+\D+\d[\d\D]*")
"""A range or a list of slides in one word, as in 1-5 or 1,2."""


def main(names: Sequence[str]) -> int:
    """Ask the slides of these numbers, all of them for none; returns the exit code.

    After `published` come names of published results; none: all but the slowest.

    Raises:
        InputError: There is no such slide, one of its runs is refused, or the page's file was
            written by something else.
        WriteError: A folder or the page cannot be written.
    """
    slides, out = select_slides(names), console.console()
    refuse_foreign_page(FOLDER / render.FILE)
    try:
        answers = _ask(slides, out)
    except KeyboardInterrupt:
        return _interrupted()
    claims = [claim for answer in answers for claim in answer.claims]
    held = sum(claim.holds for claim in claims)
    if claims:  # some published results claim nothing
        good = held == len(claims)
        out.print(Text(f"\n{held} of {len(claims)} claims hold", style=_colour(good)))
    out.print(Text(f"page         {write_page(FOLDER)}"), soft_wrap=True)
    return int(held < len(claims))


def select_slides(names: Sequence[str]) -> list[Slide]:
    """Select slides by number, in the order of the lecture; without numbers, all.

    Raises:
        InputError: There is no such slide.
    """
    if names[:1] == [published.NAME]:
        return published.select_results(names[1:])
    by_name = {str(slide.number): slide for slide in SLIDES}
    for name in names:
        if name not in by_name:
            raise InputError(_unknown(name, list(by_name)))
    return [slide for name, slide in by_name.items() if not names or name in names]


def _unknown(name: str, numbers: Sequence[str]) -> str:
    """Write the error of an unknown slide: the known ones, and how several are typed."""
    known = f"Unknown slide {published.shortened(name)}: slides are {numbers[0]}–{numbers[-1]}"
    if SEVERAL.fullmatch(name):
        return f"{known}; write several with spaces, as in 1 2 3."
    near = get_close_matches(name, (published.NAME, *published.names()), n=1)
    if not near:
        return f"{known}."
    meant = near[0] if near[0] == published.NAME else f"{published.NAME} {near[0]}"
    return f"{known}. Did you mean {meant}?"


def ask(slide: Slide, root: Path) -> Answer:
    """Ask one slide, with its runs in a folder of its own, and save the answer there.

    Raises:
        InputError: One of its runs is refused.
        WriteError: Its folder cannot be written.
    """
    folder, start = root / str(slide.number), perf_counter()
    lab = Lab(folder, watched=slide.published)
    saved_answers.remove(folder)
    answer = slide.ask(lab)
    saved_answers.save(folder, slide, answer, perf_counter() - start)
    return answer


def write_page(root: Path) -> Path:
    """Write the page of all answers saved below `root`.

    Raises:
        WriteError: It cannot be written.
    """
    results = published.CHAPTER
    slides = (*SLIDES, *results.slides)
    saved = [saved_answers.load(root / str(slide.number), slide) for slide in slides]
    return render.write_html(root, (*CHAPTERS, results), [one for one in saved if one is not None])


def _ask(slides: Sequence[Slide], out: Console) -> list[Answer]:
    answers = []
    alone = any(slide.published for slide in slides)  # these show progress themselves
    with _progress(out, 0 if alone else len(slides)) as progress:
        for slide in slides:
            progress(slide)
            try:
                answer = ask(slide, FOLDER)
            except InputError as error:
                if not slide.published:
                    raise
                out.print(Text(f"\n     {slide.title}: left out, {error}"), soft_wrap=True)
                continue
            _print(slide, answer, out)
            answers.append(answer)
    return answers


def _print(slide: Slide, answer: Answer, out: Console) -> None:
    out.print()
    which = "" if slide.published else slide.number
    out.print(Text(f"{which:>3}  {slide.title}", style="bold"), soft_wrap=True)
    if answer.rows:
        out.print(published.published_table(answer.rows))
    for claim in answer.claims:
        verdict = "holds" if claim.holds else "does not hold"
        line = Text(f"     {claim.text} → {claim.measured} → ")
        out.print(line.append(verdict, style=_colour(claim.holds)), soft_wrap=True)


def _colour(good: bool) -> str:
    return "green" if good else "bold red"


def _interrupted() -> int:
    """Write the page of the answers so far; returns the exit code."""
    try:
        message = f"the slides answered so far are in {write_page(FOLDER)}"
    except WriteError as error:
        message = str(error).removesuffix(".")
    console.say(f"interrupted; {message}.")
    return INTERRUPTED


@contextmanager
def _progress(out: Console, total: int) -> Iterator[Callable[[Slide], None]]:
    """Show a transient progress bar; none if the output is no terminal or `total` is 0."""
    if not (total and out.is_terminal):
        yield lambda slide: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = iter(range(total))
        yield lambda slide: bar.update(task, completed=next(begun), description=slide.title)
