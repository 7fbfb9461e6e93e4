"""Hydra's and OmegaConf's messages as one sentence: what is wrong, what is allowed."""

from __future__ import annotations

import re
from dataclasses import fields
from difflib import get_close_matches

from mlr.app.schema import Config


def one_sentence(error: BaseException) -> str:
    """A message for the person at the terminal, from an error of the configuration."""
    text = str(error).strip()
    for cause in _causes(error):
        if message := _unknown_choice(str(cause)) or _unknown_key(str(cause)):
            return message
    key = re.search(r"full_key: (\S+)", text)
    value = re.search(r"Value '(.*?)'.* could not be converted to (\w+)", text, re.DOTALL)
    if key and value:
        kind = {"Integer": "a whole number", "Float": "a number"}.get(value[2], value[2])
        return f"{key[1]}={value[1]} must be {kind}."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _causes(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _unknown_choice(text: str) -> str | None:
    found = re.search(r"Could not find '([^']+?)/([^'/]*)'", text)
    if not found:
        return None
    group, name = found.groups()
    choices = [line.strip() for line in text.split("Available options in")[-1].splitlines()[1:]]
    choices = [choice for choice in choices if choice and not choice.startswith("Config search")]
    near = get_close_matches(name, choices, n=1)
    hint = f"did you mean {group}={near[0]}? " if near else ""
    return f"{group}={name} is not known; {hint}Known: {', '.join(choices)}."


def _unknown_key(text: str) -> str | None:
    found = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Key '([^']+)' is not in struct", text
    )
    if not found:
        return None
    key = found[1]
    names = [field.name for field in fields(Config)]
    near = get_close_matches(key, [*names, "optimizer.lr"], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{key} is not an option.{hint} The options are: {', '.join(names)}."
