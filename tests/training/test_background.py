"""Work beside the main thread: done once, in order, and not lost when it is interrupted."""

from __future__ import annotations

import time
from functools import partial
from itertools import count, islice
from threading import Barrier, Event, current_thread, main_thread

import pytest
import torch

from mlr.training.background import MOST_WAITING, Background, Work

BUSY = [(1, True), (4, True)]


@pytest.mark.parametrize(("threads", "worth"), [(1, False), (0, True), *BUSY])
def test_items_made_ahead_are_the_items_in_their_order(threads, worth):
    def numbers():
        for number in count():
            assert torch.is_inference_mode_enabled()
            yield number

    with torch.inference_mode(), Background(threads) as background:
        items = background.ahead(numbers(), worth)
        assert list(islice(items, 50)) == list(range(50))


@pytest.mark.parametrize(("threads", "worth"), [(1, False), *BUSY])
def test_an_error_in_the_producer_reaches_the_consumer(threads, worth):
    def broken():
        yield 1
        raise RuntimeError("no more")

    with Background(threads) as background:
        items = background.ahead(broken(), worth)
        assert next(items) == 1
        with pytest.raises(RuntimeError, match="no more"):
            next(items)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_every_piece_of_work_is_done_once(threads):
    done = []

    def work(number):
        done.append(number)
        return number * number

    with Background(threads) as background:
        started = [background.start(lambda number=number: work(number)) for number in range(40)]
        assert [background.finish(one) for one in started] == [n * n for n in range(40)]
    assert sorted(done) == list(range(40))


def test_the_main_thread_helps_before_too_much_waits():
    held, helped = Event(), []
    with Background(1) as background:
        first = background.start(held.wait)
        while not first.lock.locked():  # until the thread has taken it up
            time.sleep(0.001)
        for _ in range(MOST_WAITING + 1):
            background.start(lambda: helped.append(current_thread()))
        assert helped == [main_thread()]
        held.set()


@pytest.mark.parametrize("threads", [1, 3])
def test_side_by_side_means_at_the_same_time(threads):
    """Each function waits for all others: one after the other they would never end."""
    together = Barrier(threads + 1, timeout=60)

    def meet(number):
        together.wait()
        return number

    with Background(threads) as background:
        functions = [partial(meet, number) for number in range(threads + 1)]
        for _ in range(20):
            assert background.side_by_side(functions) == list(range(threads + 1))


def test_interrupted_work_is_still_to_be_done():
    """Ctrl-C during work for a flush must not lose what the flush is about to record."""
    attempts = []

    def interrupted_once():
        attempts.append(1)
        if len(attempts) == 1:
            raise KeyboardInterrupt
        return "measured"

    work = Work(interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        work.do()
    assert work.result == "measured"
    assert work.result == "measured"
    assert len(attempts) == 2


def test_work_that_fails_says_so_to_whoever_asks():
    def fails():
        raise ValueError("not this way")

    with Background(1) as background:
        work = background.start(fails)
        for _ in range(2):
            with pytest.raises(ValueError, match="not this way"):
                background.finish(work)
