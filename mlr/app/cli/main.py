"""The entry point of every command."""

from __future__ import annotations

import atexit
import gc
import re
import signal
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from inspect import cleandoc
from typing import NoReturn

from mlr.app.cli import commands
from mlr.core import streams
from mlr.core.checks import InputError, memory_limit, unknown
from mlr.core.commandline import command
from mlr.core.durable import WriteError

COMMANDS = {
    "train": "train one configuration, or with -m every combination of several",
    "compare": "compare runs in a table by head and loss, or by any other keys",
    "explain": "say what is wrong with runs, with the evidence and the remedy",
    "predict": "predict a file by a trained run: classes, probabilities, values",
    "export": "export a trained run as a program for torch or ONNX",
    "figures": "draw runs, sweeps and pairs into files for slides and papers",
    "report": "write one HTML page about runs, which works offline",
    "verify": "check every file of runs against its checksum",
    "lecture": "run the lecture and write its page",
    "play": "play with heads and losses in the browser, without a server",
    "board": "open TensorBoard on runs, in the browser",
}
ELSEWHERE = {
    "lecture": "mlr.lecture.cli",
    "play": "mlr.playground.cli",
    "benchmark": "mlr.benchmarks.cli",
}
"""Modules of commands that stand above the application, which imports none of them."""
INTERRUPTED, TERMINATED = 130, 143


def main() -> int:
    """Run `mlr <command> …`; return the exit code."""
    return _ended(partial(_chosen, sys.argv[1:]))


def start(name: str) -> int:
    """Run the command of this name with the words of sys.argv; return the exit code."""
    return _ended(partial(_run, name))


def _ended(task: Callable[[], int]) -> int:
    """Run a task; return its exit code, that of a lost output, or of a lack of memory."""
    streams.prepare()
    try:
        return streams.exit_code(task)
    except MemoryError:
        end = "; what was recorded until then is saved."
        print(f"mlr: out of memory{memory_limit()}{end}", file=sys.stderr)
        return WriteError.exit_code


def _chosen(words: Sequence[str]) -> int:
    """Run the command that the first word names."""
    if not words or words[0] in ("-h", "--help"):
        print("mlr: see what the choice of output head and loss does to learning.\n")
        print("usage: mlr <command> …\n")
        for name, text in COMMANDS.items():
            print(f"  {name:7}  {text}")
        print("\nmlr <command> --help shows what each takes.")
        return 0 if words else InputError.exit_code
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"mlr {version('mlr-lab')}")
        return 0
    if words[0] not in COMMANDS:
        return exit_code_of(partial(_refuse, unknown(f"command {words[0]}", COMMANDS)))
    sys.argv = [sys.argv[0], *words[1:]]
    return _run(words[0])


def _run(name: str) -> int:
    if name == "train":
        return _train()
    if name in ELSEWHERE:
        module = import_module(ELSEWHERE[name])
        text, add_options = module.__doc__ or "", module.add_options
    else:
        add_options = getattr(commands, name)
        text = cleandoc(add_options.__doc__)
    parser = CommandParser(
        prog=command(name),
        # with its examples, lines of `mlr …`, in the form of this call
        description=re.sub(r"(?m)^mlr (\w+)", lambda found: command(found[1]), text),
        formatter_class=RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    if {"-h", "--help"} & {*sys.argv}:  # at once
        parser.parse_args()

    def task() -> int:
        options = vars(parser.parse_args())
        del options["debug"]  # which `exit_code_of` has taken
        if name in ELSEWHERE:
            return module.run(**options)
        return import_module(commands.HOMES[name]).main(**options)

    return exit_code_of(task)


def _train() -> int:
    # imports make half a million objects that live to the end: to search them for cycles
    # again and again, and once more at the exit, takes a quarter of a short command
    gc.set_threshold(500_000, 20, 50)
    atexit.register(gc.freeze)
    # before there is anything to keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        from mlr.app.cli.command import main as train

        return train()
    except KeyboardInterrupt:  # before there was anything to keep
        return INTERRUPTED


def exit_code_of(task: Callable[[], int]) -> int:
    """Run the task of a command; return its exit code, and print an error in one sentence."""
    from mlr.core import console  # with rich, which takes a moment

    console.take_debug_flag()
    try:
        return task()
    except (InputError, WriteError) as error:
        console.show_traceback(error)
        console.refuse(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


class CommandParser(ArgumentParser):
    """Argument parser that reports a mistake in one sentence, as all commands do."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        _refuse(f"{message}; {self.prog} --help shows what there is.")


def _refuse(message: str) -> NoReturn:
    raise InputError(message)
