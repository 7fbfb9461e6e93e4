"""Work on other threads: done once, in order, and by the caller where no thread is free."""

from __future__ import annotations

from functools import partial
from itertools import islice
from threading import Barrier, Event, get_ident

import pytest
import torch

from mlr.training.background import Background, threads

BUSY = [(1, True), (4, True)]


@pytest.mark.parametrize(("count", "worth"), [(1, False), (0, True), *BUSY])
def test_items_made_ahead_are_the_items_in_their_order(count, worth):
    def numbers():
        for number in range(1000):
            assert torch.is_inference_mode_enabled()
            yield number

    with torch.inference_mode(), Background(count) as background:
        items = background.ahead(numbers(), worth)
        assert list(islice(items, 50)) == list(range(50))


@pytest.mark.parametrize(("count", "worth"), [(1, False), *BUSY])
def test_an_error_in_the_producer_reaches_the_consumer(count, worth):
    def broken():
        yield 1
        raise RuntimeError("no more")

    with Background(count) as background:
        items = background.ahead(broken(), worth)
        assert next(items) == 1
        with pytest.raises(RuntimeError, match="no more"):
            next(items)


@pytest.mark.parametrize("count", [1, 3])
def test_side_by_side_means_at_the_same_time(count):
    """Each function waits for all others: one after the other they would never end."""
    together = Barrier(count + 1, timeout=60)

    def meet(number):
        together.wait()
        return number

    with Background(count) as background:
        functions = [partial(meet, number) for number in range(count + 1)]
        for _ in range(20):
            assert background.side_by_side(functions) == list(range(count + 1))


def test_work_that_no_thread_has_begun_is_done_by_the_caller():
    """All threads wait for the caller; it does not wait for them."""
    caller, begun, released = get_ident(), Event(), Event()

    def hold():
        begun.set()
        released.wait(60)

    with Background(1) as background:
        background.pool.submit(hold)
        begun.wait(60)
        try:
            assert background.side_by_side([get_ident, get_ident]) == [caller, caller]
        finally:
            released.set()


def test_an_error_of_any_function_is_raised():
    def fails():
        raise ValueError("not this way")

    with Background(1) as background:
        for functions in ([fails, int], [int, fails]):
            with pytest.raises(ValueError, match="not this way"):
                background.side_by_side(functions)


def failing() -> None:
    with threads(2) as before:
        assert (before, torch.get_num_threads()) == (3, 2)
        raise RuntimeError("inside")


def test_the_number_before_is_given_and_restored():
    at_first = torch.get_num_threads()
    with threads(3) as before:
        assert (before, torch.get_num_threads()) == (at_first, 3)
        with pytest.raises(RuntimeError, match="inside"):
            failing()
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == at_first
