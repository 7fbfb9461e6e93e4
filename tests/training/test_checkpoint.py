"""The file of a checkpoint, and the one before it."""

from __future__ import annotations

import pytest
import torch

from mlr.core.checks import DataError
from mlr.records import RunFolder
from mlr.records.checkpoint_file import encode, read
from mlr.records.status import FormatError
from mlr.training.checkpoint import load_checkpoint, save_checkpoint
from mlr.training.state import State, Stop

WHOLE = State(
    step=12,
    tensors={
        "model.weight": torch.tensor([1.0, 2]),
        "optimizer.first": torch.tensor([3.0]),
        "optimizer.second": torch.tensor([4.0]),
        "snapshot.10": torch.tensor([6.0]),
        "snapshot.9": torch.tensor([7.0]),
        "best.weight": torch.tensor([8.0, 9]),
        "previous_gradient": torch.tensor([5.0]),
    },
    lowest=0.25,
    waited=3,
    best_step=8,
    ending=Stop(11, "diverged", "why", {"update": 12, "examples": [1]}),
    threads=2,
)


def test_a_state_is_read_as_it_was_saved(tmp_path):
    folder = RunFolder.claim(tmp_path / "run")
    save_checkpoint(folder, WHOLE, {"config": {"seed": 1}})
    arrays, about = read(folder.checkpoint)
    assert {name: own.tolist() for name, own in arrays.items()} == {
        "model.weight": [1, 2],
        "optimizer.first": [3],
        "optimizer.second": [4],
        "snapshot.10": [6],
        "snapshot.9": [7],
        "best.weight": [8, 9],
        "previous_gradient": [5],
    }
    refused = {"update": 12, "examples": [1]}
    ending = {"step": 11, "status": "diverged", "reason": "why", "refused": refused}
    numbers = {"step": 12, "lowest": 0.25, "waited": 3, "best_step": 8, "threads": 2}
    assert about == {"format": 3, **numbers, "ending": ending, "config": {"seed": 1}}
    state, told = load_checkpoint(folder.checkpoint)
    assert told == about
    assert repr(state) == repr(WHOLE)
    assert state.state_dict["weight"].tolist() == [1, 2]
    assert [(step, row.item()) for step, row, _ in state.snapshots] == [(9, 7), (10, 6)]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("step", [-1, 1.0, None, True, 1 << 62]),
        ("waited", [-1, None]),
        ("best_step", [-1, "8"]),
        ("threads", [-1, 1.5]),
        ("lowest", [None, "x"]),
        ("ending", [{}, {"step": 1}, [], "done"]),
        ("ending.step", [-1, None]),
        ("ending.refused", [None, []]),
        ("ending.reason", [None, 1]),
        ("ending.more", [1]),
    ],
)
def test_numbers_that_are_none_of_a_run_are_refused(tmp_path, key, values):
    folder = RunFolder.claim(tmp_path / "run")
    save_checkpoint(folder, WHOLE, {})
    arrays, about = read(folder.checkpoint)
    outer, _, name = key.rpartition(".")
    for value in values:
        wrong = (
            about | {name: value} if not outer else about | {outer: about[outer] | {name: value}}
        )
        folder.checkpoint.write_bytes(encode(arrays, wrong))
        with pytest.raises(
            DataError, match=r"checkpoint\.safetensors is not a checkpoint of a run"
        ):
            load_checkpoint(folder.checkpoint)
    folder.checkpoint.write_bytes(encode({"snapshot.x": arrays["snapshot.9"]}, about))
    with pytest.raises(DataError, match="is not a checkpoint of a run"):
        load_checkpoint(folder.checkpoint)
    folder.checkpoint.write_bytes(encode(arrays, about | {"format": 4}))
    with pytest.raises(FormatError, match="of format 4"):
        load_checkpoint(folder.checkpoint)


def saved(folder, step):
    save_checkpoint(folder, State(step, {"model.weight": torch.full((2,), float(step))}), {})
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
