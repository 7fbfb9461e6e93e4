"""Options as a person can paste them: quoted for Hydra's grammar, and then for the shell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlr.core.commandline import command

_PLAIN = re.compile(r"[A-Za-z0-9_.+-]*/[A-Za-z0-9_./+-]*|[A-Za-z_][A-Za-z0-9_.+-]*")
_TYPED = ("null", "true", "false", "nan", "inf")
"""Words that Hydra takes for something else than themselves."""


def override(key: str, value: str) -> str:
    """`key=value` as Hydra reads it, the value as a text."""
    if _PLAIN.fullmatch(value) and value.lower() not in _TYPED:
        return f"{key}={value}"
    text = value.replace("${", r"\${")
    # a backslash is one, but before a quote
    text = re.sub(r'(\\*)"', lambda found: 2 * found[1] + r"\"", text)
    text = re.sub(r"(\\+)$", lambda found: 2 * found[1], text)
    return f'{key}="{text}"'


def train_command(*words: str) -> str:
    """A command that trains, as the person would type it, quoted for the shell."""
    return command("train", *words)


def trusted(overrides: Sequence[str]) -> list[str]:
    """The `allow_targets` overrides, which no file stores."""
    return [one for one in overrides if one.lstrip("+").startswith("allow_targets")]
