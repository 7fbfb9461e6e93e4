"""Command lines of mlr to paste, in the form in which the running command was called.

That is `python scripts/train.py` in a checkout and `mlr train` where mlr is installed.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from mlr.core.checks import InputError

CODE = Path(__file__).resolve().parents[1]
SCRIPTS = CODE.parent / "scripts"
_INSTALLED = ("mlr", "ipykernel_launcher")
"""The command itself, and the kernel of a notebook, whose folder holds no scripts."""
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]*/[A-Za-z0-9_./+-]*|[A-Za-z_][A-Za-z0-9_.+-]*")
ALLOWED = re.compile(r"allow_targets=\[?([^\[\]]*)\]?")
"""A word that lets names be imported."""
_TYPED = ("null", "true", "false", "nan", "inf")
"""Words that Hydra takes for something else than themselves."""


def command(name: str, *words: str) -> str:
    """Return a command line, as of `train`, quoted for the shell, in the form of this call."""
    return shlex.join([*_here(name), *words])


def from_anywhere(name: str, *words: str) -> str:
    """Return a command line for a program of a user's own, which runs in any folder."""
    checkout = Path.cwd() == SCRIPTS.parent and SCRIPTS.is_dir()
    return shlex.join([*(["python", f"scripts/{name}.py"] if checkout else ["mlr", name]), *words])


def for_others(name: str, *words: str) -> str:
    """Return a command line for pages that others read, without paths of this machine."""
    return shlex.join([*_anywhere(name), *words])


def override(key: str, value: str) -> str:
    """Return `key=value` quoted for Hydra's grammar, which then reads the value as text."""
    if _PLAIN.fullmatch(value) and value.lower() not in _TYPED:
        return f"{key}={value}"
    text = value.replace("${", r"\${")
    # a backslash is one, but before a quote
    text = re.sub(r'(\\*)"', lambda found: 2 * found[1] + r"\"", text)
    text = re.sub(r"(\\+)$", lambda found: 2 * found[1], text)
    return f'{key}="{text}"'


def trusted(overrides: Sequence[str]) -> list[str]:
    """Return the `allow_targets` overrides, which no file stores."""
    return [one for one in overrides if one.lstrip("+").startswith("allow_targets")]


def allowed_of(words: Sequence[str]) -> list[str]:
    """Return the names of words as `allow_targets=[my_parts]`.

    Raises:
        InputError: a word is another one.
    """
    names: list[str] = []
    for word in words:
        found = ALLOWED.fullmatch(word)
        if found is None:
            raise InputError(f"{word} is not known here; only allow_targets=[NAME] is.")
        names += [name.strip() for name in found[1].split(",") if name.strip()]
    return names


def _called() -> Path:
    return Path(sys.argv[0] if sys.argv else "")


def _here(name: str) -> list[str]:
    called = _called()
    if called.stem == "mlr":
        found = called.name == str(called) or shutil.which("mlr") == str(called)
        return ["mlr" if found else str(called), name]
    if called == CODE / "__main__.py":
        return [sys.orig_argv[0], "-m", "mlr", name]
    if called.suffix == ".py" and called.is_file() and called.resolve().parent == SCRIPTS:
        return [sys.orig_argv[0], str(called.with_name(f"{name}.py"))]
    return _anywhere(name)


def _anywhere(name: str) -> list[str]:
    called = _called()
    installed = called.stem in _INSTALLED or called == CODE / "__main__.py"
    if not installed and (SCRIPTS / f"{name}.py").is_file():
        return ["python", f"scripts/{name}.py"]
    return ["mlr", name]
