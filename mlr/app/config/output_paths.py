"""Check output folders before they are made."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
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
LONGEST_PART, LONGEST_PATH = 255, 4095
"""Bytes, on Linux and other systems."""


def check_place(option: str, value: object) -> None:
    """Refuse an output folder that would do harm, or that no one could use afterwards.

    Args:
        option: hydra.run.dir or hydra.sweep.dir.
        value: of the option, resolved.

    Raises:
        InputError: it is empty, the root, or in mlr's own code; its name is no text, has a
            character that cannot be seen or is too long; it leads in a circle.
    """
    text = "" if value is None else str(value)
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    if not text.strip():
        raise InputError(f"{option} is empty; give a folder, as in {option}=runs/mine.")
    try:
        # under LC_ALL=C a letter comes as the lone bytes that it has in UTF-8
        letters = os.fsencode(text).decode()
        sizes = [len(os.fsencode(part)) for part in Path(text).absolute().parts]
    except UnicodeError as error:
        raise InputError(f"{option}={shown!a} holds bytes that are not UTF-8.") from error
    if unseen := next((one for one in letters if is_unseen(one)), ""):
        raise InputError(f"{option}={shown!a} holds the character {unseen!a}, which none can see.")
    if max(sizes) > LONGEST_PART or sum(sizes) + len(sizes) > LONGEST_PATH:
        raise InputError(
            f"{option}={shown} is longer than file systems take "
            f"({LONGEST_PART} bytes a name, {LONGEST_PATH} a path); choose a shorter one."
        )
    _check_target(option, shown, Path(text))


def _check_target(option: str, shown: str, path: Path) -> None:
    try:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.stat()
        target = path.resolve()
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            raise InputError(f"{option}={shown} cannot be used: {error.strerror}.") from error
        raise InputError(f"{option}={shown} is a link that leads in a circle.") from error
    if target == Path(target.anchor):
        raise InputError(f"{option}={shown} is the root of all files; give a folder of its own.")
    code = [CODE, *(ROOT / name for name in FOLDERS if (ROOT / "pyproject.toml").exists())]
    here = Path.cwd()
    if not path.is_absolute() and any(here.is_relative_to(one) for one in code):
        raise InputError(
            f"{here} belongs to mlr itself, so no runs are written below it; "
            f"change to another folder, as by cd {os.path.relpath(ROOT)}, or set {option}."
        )
    if target == ROOT or any(target.is_relative_to(one) for one in code):
        raise InputError(f"{option}={shown} lies in mlr's own code; choose another, as runs/mine.")
    if target == here:
        raise InputError(f"{option}={shown} is where you stand; give a folder of its own.")
