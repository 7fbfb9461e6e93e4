"""Check the words of the command line before Hydra parses them.

Hydra's messages are about tokens and lexers where a person has forgotten an equals sign. Only
words that Hydra cannot read either are refused here, and names of choices that do not exist.
"""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Sequence
from shlex import quote

from mlr.app.config.catalogue import (
    GROUPS,
    all_options,
    choices,
    named_values,
    takes_list,
    unknown_choice,
)
from mlr.core.checks import CHOOSE, InputError, nearest
from mlr.losses import OTHER_NAMES

_QUOTES, _MINUS = "“”„‘’‚«»", "−–—"
_KEY = r"[+~]*[A-Za-z_][\w./@-]*"


def canonical(line: str) -> str:
    """Return an override with mlr's own names of losses, as `loss=se` for `loss=mse`."""
    key, _, value = line.partition("=")
    if key.lstrip("+").partition("@")[0] != "loss":
        return line
    return f"{key}={re.sub(r'[A-Za-z_]+', lambda one: OTHER_NAMES.get(one[0], one[0]), value)}"


def check_arguments(flags: Namespace) -> None:
    """Refuse words that are not written as options are, and choices that do not exist.

    Args:
        flags: the command line, parsed by `read_flags`.

    Raises:
        InputError: with the right spelling.
    """
    given = flags.overrides
    folders = flags.config_dir or flags.config_path or flags.config_name
    own_choices = folders or any("searchpath" in word for word in given)
    for place, word in enumerate(given):
        _check_text(word)
        _check_spaces(word, given[place + 1 :], given[:place])
    for place, word in enumerate(given):
        if "=" not in word and flags.help:
            raise InputError(f"--help is about all options: leave {word} out.")
        if "=" not in word and not word.startswith("~"):
            raise InputError(_bare(word, given[place + 1 :], given[:place]))
        _check_key(word)
        if not {"'", '"'} & set(word):
            _check_value(word, flags.multirun)
        if not own_choices:
            _check_choice(word)


def _check_text(word: str) -> None:
    """Refuse bytes that are not UTF-8: no file of a run could hold them."""
    try:
        os.fsencode(word).decode()
    except UnicodeError as error:
        raise InputError(
            f"{word!a} holds bytes that are not UTF-8; rename what it names."
        ) from error


def _check_spaces(word: str, following: Sequence[str], before: Sequence[str]) -> None:
    """Refuse a space between a key and its value, or in a list."""
    after = following[0] if following else ""
    if not word.strip():
        raise InputError("'' is not an option; options are key=value, as in head=sigmoid.")
    if word.startswith("=") or (word.endswith("=") and after and "=" not in after):
        raise InputError(_spaced(word, after, before))
    if _is_open(word):
        raise InputError(_unfinished(word, following))


def _spaced(word: str, after: str, before: Sequence[str]) -> str:
    key = before[-1] if word.startswith("=") and before else word.rstrip("=")
    value = after if word in ("=", f"{key}=") else word.lstrip("=")
    if not key or "=" in key or not value:
        return f"{word} is not an option; options are key=value, as in head=sigmoid."
    return f"spaces around the = are not allowed: write {key}={value}."


def _is_open(word: str) -> bool:
    """Return True if a list begins in `word` that does not end there."""
    unquoted = "=" in word and not {"'", '"'} & set(word)
    return unquoted and (word[-1] == "," or _count(word, "[({") > _count(word, "])}"))


def _count(word: str, letters: str) -> int:
    return sum(map(word.count, letters))


def _unfinished(word: str, following: Sequence[str]) -> str:
    """Return the sentence about a list with spaces, or one that does not end."""
    pieces = [word]
    for piece in following:
        if "=" in piece or not _is_open("".join(pieces)):
            break
        pieces.append(piece)
    whole = re.sub(r",+", ",", ",".join(pieces)).rstrip(",")
    whole = re.sub(r"(?<=[\[({]),|,(?=[\])}])", "", whole)
    if _is_open(whole):
        return f"{whole} has an opening bracket without a closing one."
    if len(pieces) == 1:
        return f"{word} ends with a comma: write {whole}."
    key, _, values = whole.partition("=")
    return f"a list must have no spaces: write {_to_try(key, values)}."


def _to_try(key: str, values: str) -> str:
    """Return how several values of an option are typed: as a list, or with -m."""
    if values.startswith(("[", "{")):
        return quote(f"{key}={values}")
    return quote(f"{key}=[{values}]") if takes_list(key) else f"-m {quote(f'{key}={values}')}"


def _further(word: str, following: Sequence[str], before: Sequence[str]) -> str | None:
    """Return the sentence about more values of the preceding option; None if they are none."""
    key, _, value = before[-1].partition("=") if before else ("", "", "")
    values = [value]
    for one in (word, *following):
        if "=" in one or not _alike(key, value.rpartition(",")[2], one):
            break
        values.append(one)
    if len(values) == 1:
        return None
    joined = ",".join(values)
    what = "a list has no spaces" if takes_list(key) else "to try several values"
    return f"{key}={' '.join(values)}: {what}, write {_to_try(key, joined)}."


def _alike(key: str, value: str, further: str) -> bool:
    """Return True if both are values of an option: numbers, booleans, or its names."""
    both = (value, further)
    number = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
    if all(re.fullmatch(rf"{number}|null", one, re.IGNORECASE) for one in both):
        return True
    names = {"true", "false", *named_values(key)}
    return all(OTHER_NAMES.get(one, one) in names for one in both)


def _bare(word: str, following: Sequence[str], before: Sequence[str]) -> str:
    """Return the sentence about a word without an equals sign."""
    after = following[0] if following else ""
    no = f"{word} is not an option"
    if word in ("help", "h", "?"):
        return f"{no}; write --help to see all options."
    if before and re.fullmatch(r"[+~]*(\w+\.)?(path|root|dir)=.*", before[-1]):
        return f"{no}; a value with spaces needs quotes: '{before[-1]} {word}'."
    if re.fullmatch(rf"{_KEY}:[^/\s].*", word):
        return f"{no}; options are key=value: {word.replace(':', '=', 1)}?"
    if further := _further(word, following, before):
        return further
    groups = [group for group, names in choices().items() if word in names]
    if groups:
        return f"{no}; options are key=value: {' or '.join(f'{one}={word}' for one in groups)}?"
    if word in GROUPS or word in all_options():
        return _without_value(word, after)
    near = {group: nearest(word, names, 0.75) for group, names in choices().items()}
    asked = next((f"{group}={name}" for group, name in near.items() if name), None)
    return f"{no}; options are key=value" + (f": {asked}?" if asked else "; see --help.")


def _without_value(key: str, after: str) -> str:
    if after and "=" not in after:
        return f"{key} {after} is not an option: write {key}={after}."
    if key in GROUPS:
        return f"{key} has no value. {CHOOSE}{', '.join(choices()[key])}."
    return f"{key} has no value: write {key}=…"


def _check_key(word: str) -> None:
    """Refuse an option without a value, and a group that is added or removed."""
    key, _, value = word.partition("=")
    name = key.lstrip("+~")
    if word.startswith(("+", "~")) and name in GROUPS and name != "experiment":
        one = value or choices()[name][0]
        raise InputError(f"every run has a {name}: write {name}={one}, without {word[0]}.")
    if not value and not word.startswith("~") and not name.startswith("hydra"):
        unset = (
            unknown_choice(name, "") if name in GROUPS else f"{name} has no value: write {word}…"
        )
        raise InputError(unset)


def _check_value(word: str, multirun: bool) -> None:
    """Refuse values that Hydra cannot read, and several values for a single run."""
    key, _, value = word.partition("=")
    if value.startswith("="):
        raise InputError(f"write {key}={value.lstrip('=')}, with one equals sign.")
    if key != key.rstrip() or re.match(r"\s+\S", value):
        raise InputError(
            f"spaces around the = are not allowed: write {key.strip()}={value.strip()}."
        )
    if re.search(rf"[\s;&]{_KEY}=", value):
        raise InputError(f"{quote(word)} holds several options; write them apart, each by itself.")
    if any(mark in value for mark in _QUOTES):
        plain = f"{key}={value.strip(_QUOTES)}"
        raise InputError(f"{word} has typographic quotes: write straight ones, or {plain}.")
    if re.fullmatch(rf"[{_MINUS}][\d.]\S*", value):
        raise InputError(f"{word} has a dash for a minus sign: write {key}=-{value[1:]}.")
    if takes_list(key) and (inner := re.fullmatch(r"\((.*)\)", value)):
        raise InputError(f"a list has square brackets: write {quote(f'{key}=[{inner[1]}]')}.")
    swept = re.match(r"(range|choice|interval|glob)\(", value)
    if not multirun and (swept or ("," in value and not re.search(r"[\[({]", value))):
        raise InputError(_several(key, value))


def _several(key: str, value: str) -> str:
    """Return the sentence about several values without -m."""
    if takes_list(key):
        return f"{key}={value} is a list: write {quote(f'{key}=[{value}]')}."
    found = f"{key}={value} lists values to try, which needs -m"
    if re.fullmatch(r"-?\d+,\d+", value) and not key.endswith("seed"):
        return f"{found}; for one number write {key}={value.replace(',', '.')}."
    return f"{found}, as in -m {quote(f'{key}={value}')}."


def _check_choice(word: str) -> None:
    """Refuse a choice that its group does not have, before anything is composed."""
    key, _, value = word.partition("=")
    if key not in GROUPS:
        return
    if key != "experiment" and re.fullmatch(r"\[[\w,]*\]", value):
        raise InputError(f"{word} is a list: write {key}={value[1:-1]}, with -m to try several.")
    if key == "data" and (file := re.search(r"\.(csv|tsv|txt|npz)$", value, re.IGNORECASE)):
        raise InputError(_file(value, file[1].lower()))
    if not re.fullmatch(r"[\w.-]*(,[\w.-]+)*", value):
        return
    for name in value.split(","):
        own = OTHER_NAMES.get(name, name) if key == "loss" else name
        if own not in choices()[key] and not (key == "experiment" and name == "null"):
            raise InputError(unknown_choice(key, name))


def _file(path: str, ending: str) -> str:
    """Return the sentence about a file in place of the name of a data set."""
    kind = "npz" if ending == "npz" else "csv"
    label = "" if kind == "npz" else " data.label=…"
    return f"data={path} is a file: write data={kind} {quote(f'data.path={path}')}{label}."
