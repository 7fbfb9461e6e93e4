"""Hydra's flags: each works, or is refused in one sentence."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from mlr.checks import InputError
from mlr.commandline import command


def read_flags(arguments: Sequence[str]) -> Namespace:
    """Parse a command line as Hydra does.

    Args:
        arguments: without the program.

    Raises:
        InputError: Hydra would print its usage, or go on without what was asked for.
    """
    parser = get_args_parser()
    _one_sentence(parser)
    flags = parser.parse_args(list(arguments))
    if flags.experimental_rerun is not None:
        raise InputError(
            "--experimental-rerun runs what a pickle says; go on with a run by resume=<folder>."
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
