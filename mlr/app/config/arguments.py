"""Check the words of the command line before Hydra composes anything.

Each of Hydra's flags works, or is refused in one sentence instead of argparse's usage. Other words
are refused where Hydra cannot read them either, or name a choice that does not exist.
"""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from mlr.app.config.catalogue import GROUPS, all_options, choices, unknown_choice
from mlr.core.checks import DASHES, InputError, nearest
from mlr.core.commandline import command
from mlr.losses import OTHER_NAMES


def canonical(line: str) -> str:
    """Return an override with mlr's own names of losses, as `loss=se` for `loss=mse`."""
    key, _, value = line.partition("=")
    if key.lstrip("+").partition("@")[0] != "loss":
        return line
    return f"{key}={re.sub(r'[A-Za-z_]+', lambda one: OTHER_NAMES.get(one[0], one[0]), value)}"


def read_arguments(words: Sequence[str]) -> Namespace:
    """Parse the words of a command line, without the program, as Hydra does.

    Raises:
        InputError: Hydra would print its usage or ignore a flag; a word is not written as options
            are; a choice does not exist.
    """
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        stray = message.removeprefix("unrecognized arguments: ")
        if stray == message:
            raise InputError(f"{message}; options are key=value, and --help lists them.")
        if stray.startswith(("-", *DASHES)):
            raise InputError(_unknown_flag(stray.split()[0], list(parser._option_string_actions)))
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


def _unknown_flag(word: str, flags: Sequence[str]) -> str:
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
        if "=" in (word[:1], after[:1]) or (word.endswith("=") and after and "=" not in after):
            raise InputError("spaces around the = are not allowed: write it as in head=sigmoid.")
        if "=" not in word and not word.startswith("~"):
            raise InputError(_bare(word, after))
        if not own_choices:
            _check_choice(word)


def _bare(word: str, after: str) -> str:
    """Return the sentence about a word without an equals sign."""
    if word in GROUPS or word in all_options():
        return f"{word} has no value: write {word}={after if after and '=' not in after else '…'}."
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
    several = group == "experiment" and value.startswith("[")
    if group not in GROUPS or several or not re.fullmatch(r"[\w.,/\[\]-]*", value):
        return
    for name in value.split(","):
        own = OTHER_NAMES.get(name, name) if group == "loss" else name
        if own not in choices()[group] and (group, name) != ("experiment", "null"):
            whole = not re.fullmatch(r"[\w./-]+", name)
            raise InputError(unknown_choice(group, value if whole else name))
