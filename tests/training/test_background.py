"""Work on other threads: done once, in order, and not lost when it is interrupted."""

from __future__ import annotations

from functools import partial
from itertools import count, islice
from threading import Barrier

import pytest
import torch

from mlr.training.background import Background, PendingCall

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
    attempts = []

    def interrupted_once():
        attempts.append(1)
        if len(attempts) == 1:
            raise KeyboardInterrupt
        return "measured"

    work = PendingCall(interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        work.do()
    assert work.result == "measured"
    assert work.result == "measured"
    assert len(attempts) == 2


def test_work_that_fails_raises_each_time_it_is_asked():
    def fails():
        raise ValueError("not this way")

    work = PendingCall(fails)
    for _ in range(2):
        with pytest.raises(ValueError, match="not this way"):
            _ = work.result
