"""Check the words of the command line before Hydra composes anything.

Each of Hydra's flags works, or is refused in one sentence instead of argparse's usage. Other words
are refused where Hydra cannot read them either, or name a choice that does not exist.
"""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser

from mlr.app.config.catalogue import (
    GROUPS,
    all_options,
    choices,
    option_named,
    takes_list,
    unknown_choice,
)
from mlr.core.checks import DASHES, InputError, nearest
from mlr.core.commandline import command
from mlr.losses import OTHER_NAMES

_SWEEP = ("-m", "--multirun")


def args_parser() -> ArgumentParser:
    """Return Hydra's parser of the command line.

    Python 3.14 checks every help as it is added, and that of --shell-completion in Hydra 1.3 is no
    string, but writes itself when it is printed.
    """
    parser: Any = ArgumentParser
    check = getattr(parser, "_check_help", None)
    if check is None:
        return get_args_parser()
    parser._check_help = lambda parser, action: None
    try:
        return get_args_parser()
    finally:
        parser._check_help = check


hydra_main: Any = import_module("hydra.main")
hydra_main.get_args_parser = args_parser


def canonical(line: str) -> str:
    """Return an override with mlr's own names of losses, as `loss=se` for `loss=mse`."""
    key, _, value = line.partition("=")
    if key.lstrip("+").partition("@")[0] != "loss":
        return line
    return f"{key}={re.sub(r'[A-Za-z_]+', lambda one: OTHER_NAMES.get(one[0], one[0]), value)}"


def meant(words: Sequence[str]) -> str | None:
    """Return words that are not written as options are as they were probably meant.

    As `-m head=sigmoid,softmax` for `head = sigmoid, softmax`, and `optimizer.lr=0.1` for
    `--lr 0.1`. None if nothing is found to be written otherwise.
    """
    line = re.sub(r"[“”„‘’]", "", " ".join(one for one in words if one not in _SWEEP))
    line = re.sub(r"(?<!\S)([a-z_.]+): *(?=\w)", r"\1=", line)
    line = re.sub(r"\s*=[=\s]*", "=", line)
    line = re.sub(r"\s*[,;]\s*(?=[\w.]+=)", " ", line)
    line = re.sub(r"\s*,[,\s]*", ",", line)
    found: list[list[str]] = []
    for word in re.sub(r"(?<=[\[(])\s+|\s+(?=[\])])", "", line).split():
        name, equals, value = word.partition("=")
        plain = name.lstrip("-" + "".join(DASHES))
        key = name if equals and plain == name else option_named(plain)
        if equals:
            found.append([key or name, value.rstrip(",")])
        elif found and not found[-1][1]:
            found[-1][1] = word
        elif found and _goes_on(found[-1][0], found[-1][1], word):
            found[-1][1] += f",{word}"
        elif key:
            found.append([key, ""])
        else:
            return None
    written = [f"{key}={_brackets(key, value)}" for key, value in found]
    changed = [one for one in written if one not in words]
    if not changed or not all(value for _, value in found):
        return None
    several = any(re.search(r"=[^\[(]*,", one) for one in changed)
    return "-m " * several + " ".join(map(quote, changed))


def _goes_on(key: str, value: str, word: str) -> bool:
    """Return True if `word` is one more value of an option, after a space."""
    number = r"[\d.e+-]+\]?"
    numbers = re.fullmatch(number, word) and re.fullmatch(number, re.split(r"[\[,]", value)[-1])
    return bool(numbers) or word in choices().get(key, ())


def _brackets(key: str, value: str) -> str:
    """Return a value with brackets if the option is a list, and without if it is a choice."""
    plain = re.fullmatch(r"[\[(]?([\w.,-]*)[\])]?", value)
    if plain and takes_list(key):
        return f"[{plain[1]}]"
    return plain[1] if plain and key in GROUPS[:-1] else value


def read_arguments(words: Sequence[str]) -> Namespace:
    """Parse the words of a command line, without the program, as Hydra does.

    Raises:
        InputError: Hydra would print its usage or ignore a flag; a word is not written as options
            are; a choice does not exist.
    """
    parser = args_parser()

    def error(message: str) -> NoReturn:
        stray = message.removeprefix("unrecognized arguments: ")
        if stray == message:
            raise InputError(f"{message}; options are key=value, and --help lists them.")
        if stray.startswith(("-", *DASHES)):
            word = stray.split()[0]
            place = next((at for at, one in enumerate(words) if one.startswith(word)), 0)
            raise InputError(_unknown_flag(word, words[place:], parser._option_string_actions))
        raise InputError(f"{stray} stands behind a flag; give flags first, as in -m {stray}.")

    parser.error = error  # type: ignore[method-assign]
    dashed = next((word for word in words if word.startswith(tuple(DASHES))), None)
    if dashed is not None:  # a word processor's hyphen
        error(f"unrecognized arguments: {dashed}")
    flags = parser.parse_args(list(words))
    for action in parser._actions:
        if getattr(flags, action.dest, None) == "":
            raise InputError(f"{action.option_strings[0]} is not complete: it needs a value.")
    _check_together(flags)
    _check_words(flags)
    return flags


def _check_together(flags: Namespace) -> None:
    """Refuse flags that lack something, or have no effect."""
    if flags.experimental_rerun is not None:
        raise InputError(
            "--experimental-rerun runs what a pickle says; continue a run by resume=<folder>."
        )
    if flags.package is not None and flags.cfg is None:
        raise InputError(f"--package {flags.package} shows a part of --cfg; add --cfg job.")
    if flags.hydra_help and flags.overrides:
        raise InputError(f"--hydra-help goes without {flags.overrides[0]}; --help shows options.")
    if flags.config_path is not None and not Path(flags.config_path).is_absolute():
        raise InputError(
            f"--config-path {flags.config_path} must be absolute: it takes the place of mlr's own "
            f"configurations; --config-dir {flags.config_path} adds to them."
        )
    installing = any(word.endswith("install=bash") for word in flags.overrides)
    if flags.shell_completion and "COMP_LINE" not in os.environ and not installing:
        line = f'eval "$({command("train")} -sc install=bash)"'
        raise InputError(f"-sc needs install=bash or uninstall=bash: {line}.")


def _unknown_flag(word: str, words: Sequence[str], flags: Iterable[str]) -> str:
    if written := meant(words):
        return f"{word} is not a flag; options have no hyphens: write {written}."
    alike = [flag for flag in flags if flag.startswith("--") == (len(word) > 2)]
    near = nearest(f"-{word[1:]}", alike, 0.75)
    usual = "Options are key=value, without hyphens; see --help."
    return f"Unknown flag {word}. " + (f"Did you mean {near}?" if near else usual)


def _check_words(flags: Namespace) -> None:
    """Refuse words that are not written as options are, and choices that do not exist."""
    words = flags.overrides
    folders = flags.config_dir or flags.config_path or flags.config_name
    own_choices = folders or any("searchpath" in word for word in words)
    for word, after in zip(words, [*words[1:], ""], strict=False):
        try:
            os.fsencode(word).decode()  # no file of a run could hold other bytes
        except UnicodeError as error:
            raise InputError(
                f"{word!a} holds bytes that are not UTF-8; rename what it names."
            ) from error
        spaced = "=" in (word[:1], after[:1]) or (word.endswith("=") and after and "=" not in after)
        if spaced or re.search("=.+,$", word):
            written = meant(words) or "it as in head=sigmoid"
            raise InputError(f"spaces around = and commas are not allowed: write {written}.")
        if "=" not in word and not word.startswith("~"):
            raise InputError(_bare(word, words))
        if not own_choices:
            _check_choice(word)


def _bare(word: str, words: Sequence[str]) -> str:
    """Return the sentence about a word without an equals sign."""
    if written := meant(words):
        return f"{word} stands alone; options are key=value, without spaces: write {written}."
    if word in GROUPS or word in all_options():
        return f"{word} has no value: write {word}=…."
    found = next((f"{group}={word}" for group, names in choices().items() if word in names), None)
    if found:
        return f"{word} is not an option; options are key=value: {found}?"
    return (
        f"{word.strip() or repr(word):.60} is not an option; options are key=value, as in "
        "head=sigmoid; a list has commas without spaces, and a text with spaces needs quotes; "
        "see --help."
    )


def _check_choice(word: str) -> None:
    """Refuse a choice that its group does not have, before anything is composed."""
    group, _, value = word.partition("=")
    name = group.lstrip("+~")
    if name != group and name in GROUPS[:-1]:
        raise InputError(f"every run has a {name}: write {name}=…, without {word[0]}.")
    if group == "data" and (file := re.search(r"\.(csv|tsv|txt|npz)$", value, re.IGNORECASE)):
        kind = "npz" if file[1].lower() == "npz" else "csv"
        path = quote(f"data.path={value}")
        raise InputError(f"data={value} is a file: write data={kind} {path}.")
    if group in GROUPS[:-1] and value.startswith("[") and (written := meant([word])):
        raise InputError(f"{word} is a list; to try several values, write {written}.")
    several = group == "experiment" and value.startswith("[")
    if group not in GROUPS or several or not re.fullmatch(r"[\w.,/\[\]-]*", value):
        return
    for name in value.split(","):
        own = OTHER_NAMES.get(name, name) if group == "loss" else name
        if own not in choices()[group] and (group, name) != ("experiment", "null"):
            whole = not re.fullmatch(r"[\w./-]+", name)
            raise InputError(unknown_choice(group, value if whole else name))
