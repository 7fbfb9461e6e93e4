"""Handle the signals that end a command: at once, or after the present step of a training."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGUSR1": 75}
"""By signal. Schedulers of clusters send SIGUSR1 before the time is up; 75 asks for a restart."""
AT_ONCE = b"mlr: stopped at once; the last checkpoint is intact.\n"


class Signals:
    """Handler of the signals while it is entered.

    received: name of the first signal, None before.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._defers = False
        self._before: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """Exit code of a command that a signal ends."""
        return EXIT_CODES[self.received or "SIGINT"]

    def asked(self) -> bool:
        """Return True after a signal."""
        return self.received is not None

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer the interruption: the code inside polls `asked`, and ends at its own time.

        Raises:
            KeyboardInterrupt: on exit, after a signal.
        """
        self._defers = True
        try:
            yield
        finally:
            self._defers = False
        if self.received is not None:
            raise KeyboardInterrupt

    def __enter__(self) -> Signals:
        for name in EXIT_CODES:
            number = getattr(signal, name, None)  # Windows lacks some
            # a signal that is ignored, as by nohup, stays ignored
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                with suppress(ValueError):  # not the main thread
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None
        name = signal.Signals(number).name
        self.received = self.received or name
        if again and name == "SIGINT":
            with suppress(OSError):
                os.write(2, AT_ONCE)
            os._exit(EXIT_CODES[name])
        if not again and not self._defers:
            raise KeyboardInterrupt
