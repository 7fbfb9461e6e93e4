"""Effects of a signal inside and outside of a deferring context."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from mlr.app.run.signals import AT_ONCE, EXIT_CODES, Signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")


@pytest.mark.parametrize("name", EXIT_CODES)
def test_it_interrupts_at_once_unless_it_is_waited_for(name):
    with Signals() as signals:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), getattr(signal, name))
        assert signals.received == name
        assert signals.exit_code == EXIT_CODES[name]
    with Signals() as signals:
        waiting = signals.deferred()
        waiting.__enter__()
        os.kill(os.getpid(), getattr(signal, name))
        assert signals.asked()  # and what runs goes on
        with pytest.raises(KeyboardInterrupt):
            waiting.__exit__(None, None, None)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_handlers_are_put_back_and_ignored_ones_stay(number):
    before = signal.signal(number, signal.SIG_IGN)
    usual = signal.getsignal(signal.SIGTERM)
    try:
        with Signals() as signals:
            assert signal.getsignal(signal.SIGTERM) is not usual
            with suppress(KeyboardInterrupt):
                os.kill(os.getpid(), number)
            assert not signals.asked()
        assert signal.getsignal(number) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is usual
    finally:
        signal.signal(number, before)


def test_a_second_ctrl_c_ends_the_process_at_once():
    program = (
        "import os, signal\n"
        "from mlr.app.run.signals import Signals\n"
        "with Signals() as signals, signals.deferred():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('goes on', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('too far', flush=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert ended.returncode == 130
    assert ended.stdout == b"goes on\n"
    assert ended.stderr == AT_ONCE
