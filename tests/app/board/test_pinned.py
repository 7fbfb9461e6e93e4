"""Pictures pinned in TensorBoard's address, as TensorBoard 2.21 takes them."""

from __future__ import annotations

import pytest

from mlr.app.board.run_selection import PINNED, pinned_pictures
from tests.analysis.test_picture_records import write

TAG = "figure/course"


def test_a_card_names_picture_and_run(tmp_path):
    (tmp_path / "s").mkdir()
    write(tmp_path / "s" / "a+b,lr=0.1,seed=0", "figure/weights", TAG)
    (run,) = (tmp_path / "s").iterdir()
    name = "defaultExperimentId/s/a+b,lr=0.1,seed=0"
    expected = {"plugin": "images", "tag": "figure/course", "runId": name, "sample": 0}
    assert pinned_pictures(tmp_path, [run], TAG) == [expected]
    assert pinned_pictures(run, [run], TAG) == [expected | {"runId": "defaultExperimentId/."}]


def test_the_first_runs_that_have_it_are_pinned(tmp_path):
    runs = [tmp_path / f"{number}" for number in range(8)]
    write(runs[5], "figure/weights")
    for number in (7, 6, 4, 3, 2):
        write(runs[number], TAG)
    pinned = pinned_pictures(tmp_path, [*runs[::-1], tmp_path / "nowhere"], TAG)
    assert [card["runId"][-1] for card in pinned] == ["7", "6", "4", "3"]
    assert len(pinned) == PINNED


@pytest.mark.parametrize("content", [b"", b"figure/weights"])
def test_without_the_picture_there_is_no_card(tmp_path, content):
    (tmp_path / "events.out.tfevents.1").write_bytes(content)
    assert pinned_pictures(tmp_path, [tmp_path], TAG) == []
