"""Check Hydra's flags: each works, or is refused in one sentence instead of argparse's usage."""

from __future__ import annotations

import os
import re
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from hydra._internal.utils import get_args_parser

from mlr.app.config.catalogue import GROUPS, all_options, option_meant
from mlr.core.checks import CHOOSE, DASHES, InputError, nearest, unknown
from mlr.core.commandline import command

_OWN_FOLDERS = {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn"}
_MULTIRUN = {"-m", "--multirun"}
_HELP = {"-h", "--help"}


class Line(NamedTuple):
    """A command line, its flags separated.

    overrides: all other words.
    multirun: True if several values are tried.
    own: True if configuration files of the user's add choices.
    help: True if help is asked for.
    """

    overrides: list[str]
    multirun: bool
    own: bool
    help: bool


def without_flags(words: Sequence[str], parser: ArgumentParser) -> Line:
    """Separate options from flags.

    Raises:
        InputError: a flag that Hydra does not have, or a value that it does not take.
    """
    actions = parser._option_string_actions
    overrides: list[str] = []
    flags: set[str] = set()
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith(("-", *DASHES)) or re.fullmatch(r"-[\d.]+", word):
            overrides.append(word)
            continue
        flag, equals, value = word.partition("=")
        known = _known(flag, actions)
        if known is None:
            raise InputError(_unknown_flag(word, waiting, actions))
        flags.add(known)
        optional = actions[known].nargs == "?"
        if optional and not equals and (not waiting or waiting[0].startswith("-")):
            continue
        if actions[known].nargs in (None, "?"):
            value = value if equals else waiting.pop(0) if waiting else ""
            _check_value(known, value, actions[known])
    own = bool(_OWN_FOLDERS & flags) or any("searchpath" in word for word in overrides)
    return Line(overrides, bool(_MULTIRUN & flags), own, bool(_HELP & flags))


def _known(flag: str, actions: Collection[str]) -> str | None:
    """Return the flag itself, or the only one that begins so, as argparse takes it."""
    if flag in actions:
        return flag
    full = [one for one in actions if one.startswith(flag)] if flag.startswith("--") else []
    return full[0] if len(full) == 1 else None


def _check_value(flag: str, value: str, action: Action) -> None:
    allowed: Iterable[str] | None = action.choices
    if not value:
        listed = f" {CHOOSE}{', '.join(allowed)}." if allowed is not None else ""
        raise InputError(f"{flag} is not complete: it needs a value.{listed}")
    if allowed is not None and value not in allowed:
        raise InputError(unknown(f"{flag} {value}", allowed, nearest(value, allowed)))


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


def read_flags(arguments: Sequence[str]) -> Namespace:
    """Parse a command line as Hydra does.

    Args:
        arguments: without the program.

    Raises:
        InputError: Hydra would print its usage, or ignore the flag.
    """
    parser = get_args_parser()
    _one_sentence(parser)
    flags = parser.parse_args(list(arguments))
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
    if flags.shell_completion and not flags.overrides:
        raise InputError(f"-sc needs install=bash or uninstall=bash: {_installing()}.")
    if flags.shell_completion and "COMP_LINE" not in os.environ and _queries(flags.overrides):
        raise InputError(f"-sc {flags.overrides[0]} is for the shell; type {_installing()}.")
    return flags


def _one_sentence(parser: ArgumentParser) -> None:
    def error(message: str) -> NoReturn:
        stray = message.removeprefix("unrecognized arguments: ")
        if stray != message and not stray.startswith("-"):
            raise InputError(f"{stray} stands behind a flag; give flags first, as in -m {stray}.")
        raise InputError(
            f"{message}; options are key=value, as in epochs=3, and --help lists them."
        )

    parser.error = error  # type: ignore[method-assign]


def _queries(words: Sequence[str]) -> bool:
    return any(word.startswith("query=") for word in words)


def _installing() -> str:
    return f'eval "$({command("train")} -sc install=bash)"'
