"""The entry point of every command."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

from mlr.core import streams
from mlr.core.checks import DASHES, InputError, memory_limit, nearest
from mlr.core.commandline import command
from mlr.core.durable import WriteError

_UNMAPPED = re.compile("failed to map segment|annot allocate memory")
"""In the message of a library that memory is too small to load."""
COMMANDS = {
    "train": "train one configuration, or with -m every combination of several",
    "compare": "compare runs in a table by head and loss, or by any other keys",
    "explain": "say what is wrong with runs, with the evidence and the remedy",
    "report": "write one HTML page about runs that needs nothing else",
    "verify": "check every file of runs against its checksum",
    "lecture": "run the lecture and write its page",
    "board": "open TensorBoard on runs, in the browser",
}
ELSEWHERE = {
    "lecture": "mlr.lecture.cli",
    "figures": "mlr.lecture.readme_picture",
    "benchmark": "mlr.benchmarks.cli",
}
"""Modules of commands that stand above the application, which imports none of them."""


def main() -> int:
    """Run `mlr <command> …`; return the exit code."""
    return _ended(lambda: _chosen(sys.argv[1:]))


def start(name: str) -> int:
    """Run the command of this name with the words of sys.argv; return the exit code."""
    return _ended(lambda: _run(name))


def _ended(task: Callable[[], int]) -> int:
    """Run a task; return its exit code, that of a lost output, or of a lack of memory."""
    streams.prepare()
    try:
        return streams.exit_code(task)
    except (MemoryError, ImportError) as error:
        if not isinstance(error, MemoryError) and not _UNMAPPED.search(str(error)):
            raise
        end = "; what was recorded until then is saved."
        print(f"mlr: out of memory{memory_limit()}{end}", file=sys.stderr)
        return WriteError.exit_code


def _chosen(words: Sequence[str]) -> int:
    """Run the command that the first word names."""
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0 if words else InputError.exit_code
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"mlr {version('mlr-lab')}")
        return 0
    if words[0] in ("-sc", "--shell-completion"):
        return _completed()
    if words[0] not in COMMANDS:
        return _exit_code_of(lambda: _unknown(words[0]))
    sys.argv = [sys.argv[0], *words[1:]]
    return _run(words[0])


def _run(name: str) -> int:
    module = import_module(ELSEWHERE.get(name, f"mlr.app.cli.{name}"))
    if name == "train":
        code: int = module.main()
        return code
    parser = Parser(
        prog=command(name),
        description=_as_called(module.__doc__ or ""),
        formatter_class=RawDescriptionHelpFormatter,
    )
    module.add_options(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")

    if {"-h", "--help"} & {*sys.argv}:  # at once
        parser.parse_args()

    def task() -> int:
        parser.check_flags(sys.argv[1:])
        options = vars(parser.parse_args())
        del options["debug"]  # which `exit_code_of` has taken
        return module.run(**options)

    return _exit_code_of(task)


def _exit_code_of(task: Callable[[], int]) -> int:
    from mlr.app.cli.errors import exit_code_of  # with rich, which takes a moment

    return exit_code_of(task)


def _as_called(text: str) -> str:
    """Return a help text with its examples, lines of `mlr …`, in the form of this call."""
    return re.sub(r"^mlr (\w+)", lambda found: command(found[1]), text, flags=re.MULTILINE)


class Parser(ArgumentParser):
    """Argument parser that reports faults in one sentence, as all commands do."""

    def check_flags(self, words: Sequence[str]) -> None:
        """Refuse unknown flags, before missing arguments are reported.

        Raises:
            InputError: names the flag that was probably meant.
        """
        waiting = list(words)
        while waiting and waiting[0] != "--":
            word = waiting.pop(0)
            if len(word) == 1 or not word.startswith(("-", *DASHES)) or re.match(r"-[\d.]", word):
                continue
            flag, equals, _ = word.partition("=")
            known = [one for one in self._option_string_actions if one.startswith(flag)]
            if not known or (flag[:2] != "--" and flag not in known):
                raise InputError(self._unknown_flag(flag))
            takes_value = self._option_string_actions[known[0]].nargs is None
            if takes_value and not equals and waiting:
                waiting.pop(0)

    def _unknown_flag(self, flag: str) -> str:
        near = nearest(flag, self._option_string_actions, 0.7)
        plain = f"--{flag.lstrip('-' + DASHES)}".lower()
        near = plain if plain in self._option_string_actions else near
        hint = f" Did you mean {near}?" if near else f" {self.prog} --help shows what there is."
        return f"Unknown flag {flag}.{hint}"

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            InputError: always.
        """
        raise InputError(f"{message}; {self.prog} --help shows what there is.")


def _completed() -> int:
    """Complete a line for the shell, which asks for it as for a program without commands."""
    line = os.environ.get("COMP_LINE", "")
    own, found = re.subn(r"^\s*(\S+)\s+train\s", r"\1 ", line)
    if line and not found:
        print(*COMMANDS)
        return 0
    if line:
        os.environ["COMP_LINE"] = own
    return _run("train")


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "mlr: see what the choice of output head and loss does to learning.\n",
            "usage: mlr <command> …\n",
            *lines,
            "\nmlr <command> --help shows what each takes.",
        ]
    )


def _unknown(word: str) -> NoReturn:
    if word in ELSEWHERE:
        raise InputError(
            f"mlr {word} needs a checkout of the repository: run its scripts/{word}.py."
        )
    near = get_close_matches(word, COMMANDS, n=1)
    hint = f" Did you mean mlr {near[0]}?" if near else ""
    if not near and "=" in word:
        hint = f" Did you mean mlr train {word}?"
    raise InputError(f"Unknown command {word}.{hint} Choose from {', '.join(COMMANDS)}.")
