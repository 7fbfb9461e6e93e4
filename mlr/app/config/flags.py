"""Check Hydra's flags: each works, or is refused in one sentence instead of argparse's usage."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from mlr.core.checks import DASHES, InputError, nearest
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
