"""Check output folders before they are made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from mlr.core.checks import InputError
from mlr.core.text import is_unseen

CODE = Path(__file__).parents[2]
ROOT = CODE.parent
INSTALLED = CODE / "configs"
CONFIGS = INSTALLED if (INSTALLED / "train.yaml").is_file() else ROOT / "configs"
"""In mlr/ if it is installed, next to mlr/ in the repository."""
FOLDERS = ("configs", "scripts", "tests", ".git")
"""Folders of the repository, besides mlr/, in which no runs are written."""

LONGEST_PART = 255
"""Bytes of a name that file systems take; mkdir would refuse it halfway."""


def check_place(option: str, value: object) -> None:
    """Refuse an output folder that would do harm, or that no one could use afterwards.

    Args:
        option: hydra.run.dir or hydra.sweep.dir.
        value: of the option, resolved.

    Raises:
        InputError: it is empty, the root, in mlr's own code or not usable; its name is no text or
            has a character that cannot be seen.
    """
    text = "" if value is None else str(value)
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    if not text.strip():
        raise InputError(f"{option} is empty; give a folder, as in {option}=runs/mine.")
    try:
        letters = os.fsencode(text).decode()  # LC_ALL=C makes lone bytes of them
    except UnicodeError as error:
        raise InputError(f"{option}={shown!a} holds bytes that are not UTF-8.") from error
    if unseen := next((one for one in letters if is_unseen(one)), ""):
        raise InputError(f"{option}={shown!a} holds the character {unseen!a}, which none can see.")
    if any(len(os.fsencode(part)) > LONGEST_PART for part in Path(text).parts):
        raise InputError(f"{option}={shown} has a name of more than {LONGEST_PART} bytes.")
    _check_target(option, shown, Path(text))


def _check_target(option: str, shown: str, path: Path) -> None:
    try:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.absolute().stat()
        target = path.resolve()
    except OSError as error:  # the path is too long, or a link that leads in a circle
        raise InputError(f"{option}={shown} cannot be used: {error.strerror}.") from error
    if target == Path(target.anchor):
        raise InputError(f"{option}={shown} is the root of all files; give a folder of its own.")
    here = Path.cwd()
    if not path.is_absolute() and _is_code(here):
        raise InputError(
            f"{here} belongs to mlr itself, so no runs are written below it; "
            f"change to another folder, as by cd {os.path.relpath(ROOT)}, or set {option}."
        )
    if target == ROOT or _is_code(target):
        raise InputError(f"{option}={shown} lies in mlr's own code; choose another, as runs/mine.")
    if target == here:
        raise InputError(f"{option}={shown} is where you stand; give a folder of its own.")


def _is_code(path: Path) -> bool:
    return any(path.is_relative_to(one) for one in _code())


@cache
def _code() -> Sequence[Path]:
    return [CODE, *(ROOT / name for name in FOLDERS if (ROOT / "pyproject.toml").exists())]
