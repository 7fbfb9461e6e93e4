"""Explain errors of Hydra and OmegaConf in one sentence: what is wrong, and what is allowed."""

from __future__ import annotations

import re
from shlex import quote

from mlr.app.config.arguments import meant
from mlr.app.config.catalogue import (
    GROUPS,
    all_options,
    takes_list,
    unknown_choice,
    unknown_option,
)
from mlr.core.checks import is_out_of_memory, memory_limit, nearest, unknown

KINDS = {
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "bool": "true or false",
}


def one_sentence(error: BaseException) -> str:
    """Return the sentence for the person at the terminal about an error of the configuration."""
    causes = _causes(error)
    for explain in (_unknown_choice, _unknown_key, _several, _wrong_type):
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
    override = getattr(causes[0], "override", None)
    if override is not None:  # the parser's own words are about tokens
        if written := meant([override]):
            return f"{quote(override)} is not written as options are: write {written}."
        return (
            f"{override} cannot be read; options are key=value without spaces, and special "
            "characters need quotes, as in 'a=\"my file.csv\"'."
        )
    return line


def _opening(text: str) -> str:
    first, _, rest = text.strip().partition("\n")
    if first.startswith("Error when parsing index"):  # 1.4 says where before it says what
        return rest.partition("\n")[0]
    return first


def scarce_memory(error: BaseException) -> str | None:
    """Return the sentence about a lack of memory; None for any other error."""
    if not is_out_of_memory(error):
        return None
    text = str(error)
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
    options = () if parent is None else map(str, parent.keys())
    return unknown_option(key, sorted({*options} - {"_target_", "hydra"}))


def _several(error: BaseException) -> str | None:
    """Return the sentence about several values without -m."""
    found = re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'", str(error))
    if not found:
        return None
    override = found[1]
    key, _, value = override.partition("=")
    if takes_list(key):
        return f"{override} is a list: write {meant([override])}."
    decimal = re.fullmatch(r"-?\d+,\d+", value) and not key.endswith("seed")
    number = f"; for one number write {key}={value.replace(',', '.')}" if decimal else ""
    return f"{override} lists values to try, which needs -m, as in -m {quote(override)}{number}."


def _wrong_type(error: BaseException) -> str | None:
    text, key = str(error), getattr(error, "full_key", None)
    if null := re.search(r"field '([\w.]+)' is not Optional", text):
        return f"{null[1]}=null is not possible; leave it out for the usual value."
    if key and "[" not in key and "Invalid type assigned" in text:
        one = next((one for one in all_options() if one.startswith(f"{key}.")), f"{key}.…")
        return f"{key} is a group of options, which are set one by one, as in {one}=…."
    said = r"Value '(.*?)'.*? (?:could not be converted to|is not a valid) (\w+)"
    value = re.search(said, text, re.DOTALL)
    return key and value and f"{key}={value[1]} must be {KINDS.get(value[2], value[2])}."
