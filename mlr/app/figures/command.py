"""The command figures: draw runs, sweeps and pairs into files for slides and papers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mlr.app.figures.files import (
    ANIMATED,
    animated,
    check_formats,
    encoded,
    foreign,
    with_common_palette,
)
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.commandline import ALLOWED, allowed_of
from mlr.core.durable import WriteError, atomic_write
from mlr.records.reading import left_out, read_runs

FOLDER = "figures"
FRAME, LAST = 150, 2500
"""Milliseconds of a frame of an animation, and of its last."""
_PAIR = re.compile(r"\w+\+\w+")


class Sources(NamedTuple):
    """Arguments of the command: pairs by name, folders, and names that may be imported."""

    pairs: list[str]
    folders: list[str]
    allowed: list[str]


class Made(NamedTuple):
    """Contents of files by name, and reasons by the figures that do not suit the sources."""

    files: dict[str, bytes]
    lost: dict[str, str]


def main(sources: Sequence[str], to: str | None = None, formats: str = "svg,png") -> int:
    """Draw everything that suits the sources, and print what was written; returns the exit code.

    Args:
        sources: folders of runs or of sweeps, or above them; pairs, as `sigmoid+se`; names that
            may be imported, as `allow_targets=[my_parts]`.
        to: folder of the files; None is `figures` in the folder that is drawn, if it is one, else
            in the working directory.
        formats: separated by commas.

    Raises:
        InputError: a source or format is not known, nothing can be drawn, or a file in the folder
            is somebody else's.
        WriteError: a file cannot be written.
    """
    kinds, given = check_formats(formats), parse_sources(sources)
    target = _folder(given) if to is None else Path(to)
    made = draw(given, kinds)
    if not made.files:
        raise InputError(f"There is nothing to draw: {next(iter(made.lost.values()))}")
    if others := foreign(target, made.files):
        raise InputError(
            f"{others[0]} was not written by mlr figures; move it away, or choose another --to."
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(target, error) from error
    for name, content in made.files.items():
        atomic_write(target / name, content, sync=False)
    _print(target, made)
    return 0


def parse_sources(words: Sequence[str]) -> Sources:
    """Tell pairs, folders and allowed names apart; a folder may be named like a pair."""
    found = Sources([], [], [])
    for word in words:
        if ALLOWED.fullmatch(word):
            found.allowed.extend(allowed_of([word]))
        elif _PAIR.fullmatch(word) and not Path(word).exists():
            found.pairs.append(word)
        else:
            found.folders.append(word)
    if not found.pairs and not found.folders:
        raise InputError("There is nothing to draw: name a folder or a pair, as in sigmoid+se.")
    return found


def draw(given: Sources, kinds: Sequence[str]) -> Made:
    """Draw all that suits the sources in every format.

    Raises:
        InputError: a folder holds no run, or a pair is not legal.
    """
    from mlr.analysis.plots.pairs import objective_of
    from mlr.app.figures.drawings import Drawings

    for pair in given.pairs:
        objective_of(pair)
    runs = read_runs(*given.folders) if given.folders else []
    if line := left_out(runs, given.folders):
        console.refuse(line)
    drawings = Drawings([run for run in runs if not run.changed], given.pairs, given.allowed)
    still = [kind for kind in kinds if kind not in ANIMATED]
    moving = [kind for kind in kinds if kind in ANIMATED]
    made = Made({}, {})
    for name, figure_of in drawings.stills.items() if still else ():
        try:
            figure = figure_of()
        except InputError as error:
            made.lost[name] = str(error)
        else:
            for kind in still:
                made.files.update(encoded(figure, name, kind))
    for name, frames_of in drawings.moving.items() if moving else ():
        try:
            images = with_common_palette(frames_of())
        except InputError as error:
            made.lost[f"{name} animated"] = str(error)
        else:
            times = [FRAME] * (len(images) - 1) + [LAST]
            for kind in moving:
                made.files[f"{name}.{kind}"] = animated(images, kind, times)
    made.lost.update(drawings.lost)
    return made


def _folder(given: Sources) -> Path:
    return Path(*given.folders, FOLDER) if len(given.folders) == 1 else Path(FOLDER)


def _print(folder: Path, made: Made) -> None:
    """Print the files, one line for each figure, and the figures left out, one for each reason."""
    out = console.console()
    lines = [f"figures      {console.shown(folder)}"]
    by_figure: dict[str, list[str]] = {}
    for name in made.files:
        by_figure.setdefault(name.partition(".")[0], []).append(name)
    lines += [f"  {'  '.join(names)}" for names in by_figure.values()]
    by_reason: dict[str, list[str]] = {}
    for name, reason in made.lost.items():
        by_reason.setdefault(reason, []).append(name)
    for why, names in by_reason.items():
        lines.append(f"left out     {', '.join(names)}: {why[0].lower()}{why[1:]}")
    console.print_lines(out, *lines)
