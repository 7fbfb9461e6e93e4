"""Threads of torch, and their number before."""

from __future__ import annotations

import pytest
import torch

from mlr.training.background import threads


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
