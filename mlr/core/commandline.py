"""Command lines of mlr to paste, in the form in which the running command was called.

That is `python scripts/train.py` in a checkout and `mlr train` where mlr is installed.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

CODE = Path(__file__).resolve().parents[1]
SCRIPTS = CODE.parent / "scripts"


def command(name: str, *words: str) -> str:
    """Return a command line quoted for the shell, in the form of the running command.

    Args:
        name: name of the command, as in `train`.
        *words: its arguments.
    """
    return shlex.join([*_here(name), *words])


def for_others(name: str, *words: str) -> str:
    """Return a command line for pages that others read, without paths of this machine."""
    return shlex.join([*_anywhere(name), *words])


def _here(name: str) -> list[str]:
    called = _called()
    if called.stem == "mlr":
        found = called.name == str(called) or shutil.which("mlr") == str(called)
        return ["mlr" if found else str(called), name]
    if called == CODE / "__main__.py":
        return [sys.orig_argv[0], "-m", "mlr", name]
    if _is_script(called):
        return [sys.orig_argv[0], str(called.with_name(f"{name}.py"))]
    return _anywhere(name)


def _anywhere(name: str) -> list[str]:
    called = _called()
    installed = called.stem == "mlr" or called == CODE / "__main__.py"
    if not installed and (SCRIPTS / f"{name}.py").is_file():
        return ["python", f"scripts/{name}.py"]
    return ["mlr", name]


def _called() -> Path:
    return Path(sys.argv[0] if sys.argv else "")


def _is_script(called: Path) -> bool:
    return called.suffix == ".py" and called.is_file() and called.resolve().parent == SCRIPTS
