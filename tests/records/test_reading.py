"""Runs that are read, and those that are left out, with the reason."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from mlr.core.checks import DataError, InputError, UnreadableError
from mlr.records.reading import Recorded, read_runs, remedied
from tests.records.written import retell, write_run

SERIES = {"loss/train": [2.0, 1.0]}


@pytest.fixture
def runs(tmp_path):
    """Two runs, and nothing else."""
    for seed, name in enumerate(("b", "a")):
        metrics = {"loss/test": 0.5 + seed, "accuracy/test": "nan"}
        write_run(
            tmp_path / name,
            "x+y",
            seed,
            metrics=metrics,
            series=SERIES,
            config="a: {b: 1}",
            choices="c: d",
        )
    return tmp_path


def told(place):
    return {run.name: (run.status, list(run.changed)) for run in read_runs(place)}


def test_what_was_written_is_read(runs):
    first, second = read_runs(runs)
    assert (first.name, second.name) == ("a", "b")
    assert (first.folder, first.status, first.pair, first.seed) == (runs / "a", "done", "x+y", 1)
    assert first.metrics["loss/test"] == 1.5
    assert first.metrics["accuracy/test"] != first.metrics["accuracy/test"]
    assert first.series.values[:, 0].tolist() == [2.0, 1.0]
    assert (first.config, first.choices) == ({"a": {"b": 1}}, {"c": "d"})
    assert [run.name for run in read_runs(runs / "b")] == ["b"]


@pytest.mark.parametrize("written", ["+", "x+", "+x", "", None])
def test_a_pair_without_a_head_or_loss(written):
    assert Recorded(Path(), {"pair": written}).pair == ("x" if written and "x" in written else "")


CHANGES = {
    "metrics.csv": (b"0.5,1.0", b"0.5,2.0"),
    ".hydra/config.yaml": (b"1", b"2"),
    ".hydra/hydra.yaml": (b"d}", b"e}"),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("change", ["other", "missing"])
def test_a_run_with_a_changed_file_is_left_out(runs, name, change):
    path = runs / "a" / name
    content = path.read_bytes()
    assert content.count(CHANGES[name][0]) == 1
    path.write_bytes(content.replace(*CHANGES[name])) if change == "other" else path.unlink()
    assert told(runs) == {"a": ("damaged", [name]), "b": ("done", [])}
    left_out = read_runs(runs)[0]
    reason = {"other": "is not what was written.", "missing": "is missing."}[change]
    assert left_out.entries["reason"] == f"{path} {reason}"
    assert remedied(left_out, runs).startswith(f"{path} {reason[:-1]}; ")
    assert remedied(left_out, runs).endswith(" says more.")
    assert (left_out.pair, left_out.seed) == ("x+y", 1)  # its status.json is sound
    # no word of what was changed is believed
    empty = {"metrics.csv": left_out.series is None, ".hydra/config.yaml": left_out.config == {}}
    assert empty.get(name, left_out.choices == {})
    with pytest.raises(DataError, match=r"a/.* says more"):
        read_runs(runs / "a")


def test_each_kind_of_a_run_that_is_left_out(runs):
    write_run(runs / "c")
    retell(runs / "b", None, format=4)
    status = runs / "a" / "status.json"
    status.write_bytes(status.read_bytes()[:-3])
    kinds = {"a": "damaged", "b": "of another format", "c": "done"}
    assert {name: kind for name, (kind, _) in told(runs).items()} == kinds
    other = read_runs(runs)[1]
    assert remedied(other, runs) == other.entries["reason"]
    assert "is of format 4, and this mlr reads formats 2 to 3" in other.entries["reason"]


def test_where_none_can_be_read_the_first_reason_is_told(runs, tmp_path_factory):
    """An unreadable run is told as such only where all are."""
    place = tmp_path_factory.mktemp("place")
    (place / "link").symlink_to(runs / "a")
    with pytest.raises(UnreadableError, match="link is a link, which is not followed"):
        read_runs(place)
    write_run(place / "m")
    (place / "m" / "status.json").write_text("{")
    with pytest.raises(DataError, match="is a link") as caught:
        read_runs(place)
    assert not isinstance(caught.value, UnreadableError)
    assert told_of_all(place) == {"link": "unreadable", "m": "damaged"}


def told_of_all(place):
    """Statuses, where one more run can be read."""
    write_run(place / "whole")
    return {name: kind for name, (kind, _) in told(place).items() if name != "whole"}


def test_what_grows_still_is_not_held_against_anything(runs):
    write_run(runs / "c", status="running", series=SERIES)
    (runs / "c" / "metrics.csv").write_text("step,epoch,loss/train\n0,0.0,7.0\n")
    assert told(runs)["c"] == ("running", [])
    assert read_runs(runs / "c")[0].series.values.tolist() == [[7.0]]


def test_a_run_that_two_places_lead_to_is_one(runs):
    assert [run.name for run in read_runs(runs / "b", runs, runs / "a")] == ["b", "a"]
    assert len(read_runs(runs / "b", runs / "a" / ".." / "b")) == 1


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere", "is not a folder"), ("empty", "holds no run; train one with")]
)
def test_a_place_without_runs_is_named(tmp_path, name, reason):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{name} {reason}"):
        read_runs(tmp_path / name)


def test_final_numbers_beyond_float32_are_infinite(tmp_path):
    metrics = {"a": 3.4028234663852886e38, "b": 3.41e38, "c": -3.41e38, "d": "inf", "e": 10**30}
    write_run(tmp_path / "a", metrics=metrics)
    (run,) = read_runs(tmp_path)
    assert run.metrics == {"a": metrics["a"], "b": inf, "c": -inf, "d": inf, "e": 1e30}
