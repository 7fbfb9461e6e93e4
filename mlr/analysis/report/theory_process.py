"""Closed forms of pairs, computed by a second process.

They are the only part of a report that needs torch, whose import takes seconds and 200 MB. The
process imports it while this one reads runs.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlr
from mlr.analysis.report.theory import Pair, theory

_ROOT = str(Path(mlr.__file__).parents[1])
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from {} import answer; answer()"


class Theory:
    """Curves of pairs, computed in the background; see `theory`."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        """Start the process unless torch is imported."""
        self._pairs = pairs
        self._process = None if "torch" in sys.modules else _started(pairs)

    def curves(self) -> list[dict[str, Any]]:
        """Return one mapping per pair; waits for the process, and does its work if it failed."""
        if self._process is not None:
            with self._process as process:
                answer = process.stdout.read()  # type: ignore[union-attr]
            if process.returncode == 0:
                found: list[dict[str, Any]] = json.loads(answer)
                return found
        return [theory(pair) for pair in self._pairs]


def answer() -> None:
    """Read pairs from standard input, and write their curves to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too
    pairs = [Pair(*fields) for fields in json.load(sys.stdin)]
    json.dump([theory(pair) for pair in pairs], sys.stdout)


def _started(pairs: Sequence[Pair]) -> subprocess.Popen[str] | None:
    """Start the process and send its pairs; None if there can be no other process."""
    # -P: nothing of the working folder is imported
    line = [sys.executable, "-P", "-c", _PROGRAM.format(__name__), _ROOT]
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            line, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
        )
        with process.stdin as question:  # type: ignore[union-attr]
            json.dump(pairs, question)
    except OSError:
        return None
    return process
