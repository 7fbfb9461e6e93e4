"""Check Hydra's flags: each works, or is refused in one sentence instead of argparse's usage."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from mlr.app.config.catalogue import GROUPS, all_options, option_meant
from mlr.core.checks import CHOOSE, DASHES, InputError, nearest, unknown
from mlr.core.commandline import command


def read_flags(words: Sequence[str]) -> Namespace:
    """Parse a command line as Hydra does.

    Args:
        words: of the command line, without the program.

    Raises:
        InputError: Hydra would print its usage, or ignore the flag.
    """
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        raise InputError(_explained(message, words, parser))

    parser.error = error  # type: ignore[method-assign]
    dashed = next((word for word in words if word.startswith(tuple(DASHES))), None)
    if dashed is not None:  # a word processor's hyphen
        error(f"unrecognized arguments: {dashed}")
    flags = parser.parse_args(list(words))
    for action in parser._actions:
        if getattr(flags, action.dest, None) == "":
            raise InputError(f"{action.option_strings[0]} is not complete: it needs a value.")
    _check_together(flags)
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
    installing = f'eval "$({command("train")} -sc install=bash)"'
    if flags.shell_completion and not flags.overrides:
        raise InputError(f"-sc needs install=bash or uninstall=bash: {installing}.")
    queries = any(word.startswith("query=") for word in flags.overrides)
    if flags.shell_completion and "COMP_LINE" not in os.environ and queries:
        raise InputError(f"-sc {flags.overrides[0]} is for the shell; type {installing}.")


def _explained(message: str, words: Sequence[str], parser: ArgumentParser) -> str:
    """Return the sentence about an error of argparse."""
    actions = parser._option_string_actions
    stray = message.removeprefix("unrecognized arguments: ")
    if stray != message:
        word = next(one for one in words if one and f"{stray} ".startswith(f"{one} "))
        if word.startswith(("-", *DASHES)):
            return _unknown_flag(word, words[words.index(word) + 1 :], actions)
        return f"{stray} stands behind a flag; give flags first, as in -m {stray}."
    found = re.match(r"argument ([^/:]+)[^:]*: (?:invalid choice: '(.*?)'|expected)", message)
    if found is None:
        return f"{message}; options are key=value, as in epochs=3, and --help lists them."
    flag, value = found.groups()
    allowed = actions[flag].choices
    if value and allowed is not None:
        return unknown(f"{flag} {value}", allowed, nearest(value, allowed))
    listed = f" {CHOOSE}{', '.join(allowed)}." if allowed is not None else ""
    return f"{flag} is not complete: it needs a value.{listed}"


def _unknown_flag(word: str, following: Sequence[str], flags: Iterable[str]) -> str:
    """Return the sentence about an unknown flag, or an option with hyphens."""
    name, equals, value = word.lstrip("-" + DASHES).partition("=")
    if not equals and following and "=" not in following[0] and following[0][:1] != "-":
        equals, value = "=", following[0]
    key = name.replace("-", "_")
    meant = key if key in all_options() or key in GROUPS else option_meant(key)
    near = nearest(word, [flag for flag in flags if flag[:2] == "--"], 0.75)
    if f"-{word[1:]}".lower() in flags:  # another dash, or a capital
        near = f"-{word[1:]}".lower()
    if near and (meant is None or not equals):
        return f"Unknown flag {word}. Did you mean {near}?"
    if meant is None:
        return f"Unknown flag {word}. Options are key=value, without hyphens; see --help."
    return f"{word} is not a flag: write {meant}={value if equals else '…'}, without hyphens."
