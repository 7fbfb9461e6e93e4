"""Explain errors of Hydra and OmegaConf in one sentence: what is wrong, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlr.app.config.catalogue import (
    GROUPS,
    all_options,
    root_comments,
    root_types,
    unknown_choice,
    unknown_option,
)
from mlr.core.checks import CHOOSE, memory_limit, nearest, unknown

_OUT_OF_MEMORY = re.compile("out of memory|(allocate|enough) memory", re.IGNORECASE)
KINDS = {
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "bool": "true or false",
}


NO_NULL: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a name",
    list: "a list, which may be empty: []",
}


def one_sentence(error: BaseException) -> str:
    """Return the sentence for the person at the terminal about an error of the configuration."""
    causes = _causes(error)
    for explain in (_unknown_choice, _unknown_key, _null, _wrong_type, _schedule):
        for cause in causes:
            if message := explain(cause):
                return message
    return _first_line(causes)


def _first_line(causes: list[BaseException]) -> str:
    """Return the most specific line: the cause's, where Hydra only names the override."""
    lines = [_opening(str(cause)) for cause in causes]
    line = next((line for line in lines if line), type(causes[0]).__name__)
    if line.startswith("Error merging override") and len(lines) > 1:
        line = f"{line}: {lines[1]}"
    if "Ambiguous value" in line:
        line += "; a list of values to try needs -m"
    override = getattr(causes[0], "override", None)
    if override is not None:  # the parser's own words are about tokens
        return f"{override} cannot be read; quote special characters, as in 'a=\"my file.csv\"'."
    return line


def _opening(text: str) -> str:
    first, _, rest = text.strip().partition("\n")
    if first.startswith("Error when parsing index"):  # 1.4 says where before it says what
        return rest.partition("\n")[0]
    return first


def scarce_memory(error: BaseException) -> str | None:
    """Return the sentence about a lack of memory; None for any other error."""
    text = str(error)
    if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(text):
        return None
    asked = re.search(r"allocate ([\d.]+ ?\w+)", text)
    limit = "" if "out of memory" in text.lower() else memory_limit()  # that of a GPU
    return (
        f"out of memory{f' when {asked[1]} more were asked for' if asked else ''}{limit}; a "
        "smaller batch_size, model or data need less, and what was recorded until then is saved."
    )


def raised_by_hydra(error: BaseException) -> bool:
    """Return True if Hydra or OmegaConf raised `error`: the command line is at fault."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    module = frame.tb_frame.f_globals.get("__name__", "") if frame is not None else ""
    return module.partition(".")[0] in ("hydra", "omegaconf", "antlr4")


def _causes(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _unknown_choice(error: BaseException) -> str | None:
    found = re.search(r"Could not find '([^']+?)/([^'/]*)'(.*)", str(error), re.DOTALL)
    if not found:
        return None
    group, name, rest = found.groups()
    choices = re.findall(r"^\t(\S+)$", rest.partition("Config search path")[0], re.MULTILINE)
    return unknown_choice(group, name, choices)


def _unknown_key(error: BaseException) -> str | None:
    text = str(error)
    group = re.search(r"Could not override '([^']+)'.*?No match in the defaults list", text, re.S)
    if group:
        return unknown(f"group {group[1]}", GROUPS, nearest(group[1], GROUPS))
    if not re.search(r"Key '[^']+' is not in struct|Key '[^']+' not in ", text):
        return None
    key = str(getattr(error, "full_key", None) or getattr(error, "key", ""))
    parent = getattr(error, "parent_node", None)
    options = {} if parent is None else dict.fromkeys(map(str, parent.keys()))
    siblings = sorted(one for one in options if one not in ("_target_", "hydra"))
    target = str(parent["_target_"]) if parent is not None and "_target_" in options else None
    return unknown_option(key, siblings, target)


def _null(error: BaseException) -> str | None:
    """Return the sentence about an option that cannot be null."""
    found = re.search(r"field '([\w.]+)' is not Optional", str(error))
    if not found:
        return None
    key = found[1]
    if any(one.startswith(f"{key}.") for one in all_options()):
        return _group(key)
    if key == "epochs":
        return "epochs=null must be a whole number; to count updates instead, add steps=…."
    named = root_comments().get(key, "").split(" | ")
    if len(named) > 1:
        return f"{key}=null must have a value. {CHOOSE}{', '.join(named)}."
    return f"{key}=null must be {NO_NULL.get(root_types().get(key), 'a value')}."


def _wrong_type(error: BaseException) -> str | None:
    text = str(error)
    said = r"Value '(.*?)'.*? (?:could not be converted to|is not a valid) (\w+)"
    value = re.search(said, text, re.DOTALL)
    key = getattr(error, "full_key", None)
    if key and re.search(r"\[\d+\]$", key):
        return f"{key.partition('[')[0]} must list names, as in {key.partition('[')[0]}=[name]."
    if key and "Invalid type assigned" in text:
        return _group(key)
    if not (value and key):
        return None
    return f"{key}={value[1]} must be {KINDS.get(value[2], value[2])}{_rewritten(key, value[1])}."


def _group(key: str) -> str:
    one = next((one for one in all_options() if one.startswith(f"{key}.")), f"{key}.…")
    return f"{key} is a group of options, which are set one by one, as in {one}=…."


def _rewritten(key: str, value: str) -> str:
    """Return how a value of the wrong type was probably meant."""
    if value == "None":
        return f", or null: write {key}=null"
    if re.fullmatch(r"-?\d+\.0", value):
        return f": write {key}={value[:-2]}"
    if value.startswith("["):
        return f"; to try several, write -m {key}={value.strip('[]').replace(' ', '')}"
    return ""


def _schedule(error: BaseException) -> str | None:
    """Return the sentence about a schedule with brackets, which Hydra takes for a function."""
    found = re.search(r"Error parsing override '(.*?)=(every|log_spaced)\((\d*)\)", str(error))
    if not found:
        return None
    name, kind, number = found.groups()
    return f"{name}={kind}({number}) cannot be typed with brackets; write {name}={kind}:{number}."
