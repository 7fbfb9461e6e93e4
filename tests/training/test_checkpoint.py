"""The file of a checkpoint, and the one before it."""

from __future__ import annotations

import pytest
import torch

from mlr.records import RunFolder
from mlr.training.checkpoint import save_checkpoint
from mlr.training.state import State


def saved(folder, step):
    save_checkpoint(folder, State(step, {"weight": torch.full((2,), float(step))}, {}), {})
    return folder.checkpoint.read_bytes()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_run_taken_up_again_moves_a_whole_checkpoint_aside_and_no_damaged_one(tmp_path, damaged):
    folder = RunFolder.claim(tmp_path / "run")
    first, second = saved(folder, 1), saved(folder, 2)
    assert folder.checkpoint_before.read_bytes() == first
    again = RunFolder(folder.path, {})  # which knows of no file that it is complete
    if damaged:
        again.checkpoint.write_bytes(second[:-1])
    third = saved(again, 3)
    assert again.checkpoint.read_bytes() == third
    assert again.checkpoint_before.read_bytes() == (first if damaged else second)
