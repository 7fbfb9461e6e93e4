"""Hydra's and OmegaConf's messages as one sentence: what is wrong, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from omegaconf import DictConfig

_OUT_OF_MEMORY = re.compile("out of memory|(allocate|enough) memory", re.IGNORECASE)
MEANT = {"learning_rate": "lr", "l2": "weight_decay"}
"""What others call an option."""
KINDS = {
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "bool": "true or false",
}


def one_sentence(error: BaseException) -> str:
    """A message for the person at the terminal, from an error of the configuration."""
    causes = _causes(error)
    for explain in (_unknown_choice, _unknown_key, _wrong_type, _schedule):
        for cause in causes:
            if message := explain(cause):
                return message
    return _first_line(causes)


def _first_line(causes: list[BaseException]) -> str:
    """The most telling line: the cause's, where Hydra only says which override failed."""
    lines = [_opening(str(cause)) for cause in causes]
    line = next((line for line in lines if line), type(causes[0]).__name__)
    if line.startswith("Error merging override") and len(lines) > 1:
        line = f"{line}: {lines[1]}"
    if "Ambiguous value" in line:
        line += "; a list of values to try needs -m"
    if type(causes[0]).__name__ == "OverrideParseException" or "Lexer" in line:
        line += "; quote special characters, as in 'data.path=\"my file.csv\"'"
    return line


def _opening(text: str) -> str:
    first, _, rest = text.strip().partition("\n")
    if first.startswith("Error when parsing index"):  # 1.4 says where before it says what
        return rest.partition("\n")[0]
    return first


def scarce_memory(error: BaseException) -> str | None:
    """What to tell where memory was refused; None of any other error."""
    text = str(error)
    if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(text):
        return None
    asked = re.search(r"allocate ([\d.]+ ?\w+)", text)
    return (
        f"out of memory{f' when {asked[1]} more were asked for' if asked else ''}; a smaller "
        "batch_size, model or data need less, and what was recorded until then is kept."
    )


def raised_by_hydra(error: BaseException) -> bool:
    """Whether Hydra or OmegaConf itself raised `error`: then the command line is at fault."""
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
    near = get_close_matches(name, choices, n=1)
    hint = f"did you mean {group}={near[0]}? " if near else ""
    return f"{group}={name} is not known; {hint}Known: {', '.join(choices) or 'none'}."


def _unknown_key(error: BaseException) -> str | None:
    text = str(error)
    group = re.search(r"Could not override '([^']+)'.*?No match in the defaults list", text, re.S)
    if group:
        return f"{group[1]} is not a group of the configuration; see --help for those there are."
    if not re.search(r"Key '[^']+' is not in struct|Key '[^']+' not in ", text):
        return None
    key = str(getattr(error, "full_key", None) or getattr(error, "key", ""))
    prefix, _, last = key.rpartition(".")
    owner = f"an option of {prefix}" if prefix else "an option"
    near = _nearest(error, prefix, last)
    if near is not None:
        return f"{key} is not {owner}; did you mean {near}? --cfg job shows all there are."
    return f"{key} is not {owner}; the options are: {', '.join(_siblings(error))}."


def _nearest(error: Any, prefix: str, name: str) -> str | None:
    """The option that was meant: a sibling, or one of the same name elsewhere."""
    name = MEANT.get(name, name)
    beside = get_close_matches(name, _siblings(error), n=1, cutoff=0.7)
    if beside:
        return f"{prefix}.{beside[0]}" if prefix else beside[0]
    parent = getattr(error, "parent_node", None)
    if parent is None:
        return None
    places: dict[str, str] = {}
    for key in _keys(parent._get_root()):
        places.setdefault(key.rpartition(".")[2], key)
    near = get_close_matches(name, places, n=1, cutoff=0.7)
    return places[near[0]] if near else None


def _keys(tree: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of a configuration, without Hydra's own."""
    for key in tree:
        if key in ("_target_", "hydra"):
            continue
        yield f"{prefix}{key}"
        node = tree._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
            yield from _keys(node, f"{prefix}{key}.")


def _siblings(error: Any) -> list[str]:
    parent = getattr(error, "parent_node", None)
    keys = list(parent.keys()) if parent is not None else []
    return sorted(str(key) for key in keys if key not in ("_target_", "hydra"))


def _wrong_type(error: BaseException) -> str | None:
    text = str(error)
    said = r"Value '(.*?)'.*? (?:could not be converted to|is not a valid) (\w+)"
    value = re.search(said, text, re.DOTALL)
    key = getattr(error, "full_key", None)
    if not (value and key):
        return None
    return f"{key}={value[1]} must be {KINDS.get(value[2], value[2])}."


def _schedule(error: BaseException) -> str | None:
    """Hydra takes what stands before a bracket for a function of its own."""
    found = re.search(r"Error parsing override '(.*?)=(every|log_spaced)\((\d*)\)", str(error))
    if not found:
        return None
    name, kind, number = found.groups()
    return f"{name}={kind}({number}) cannot be typed with brackets; write {name}={kind}:{number}."
