"""Means and quantiles over seeds, against numpy's own."""

import numpy as np
import pytest

from mlr.records.aggregate import aggregate
from mlr.records.series import Series, read_series
from tests.records.written import write_table

TAGS = ("loss/train", "accuracy/val")


def runs(count: int, points: int = 30, seed: int = 0) -> list[Series]:
    rng = np.random.default_rng(seed)
    steps = np.arange(points) * 4
    values = rng.normal(size=(count, points, 2)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    return [Series(TAGS, steps, one) for one in values]


def test_mean_quantiles_and_counts_are_those_of_the_finite_numbers():
    series = runs(7)
    series[3].values[5, 0], series[0].values[:, 1] = np.inf, np.nan
    for one in series:
        one.values[8, 1] = np.nan
    found = aggregate(series, runs=7)
    values = np.stack([one.values for one in series]).astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    some = ~np.isnan(values).all(axis=0)
    there = (~np.isnan([one.values for one in series])).any(axis=0)
    counts = np.where(there, (~np.isnan(values)).sum(axis=0), -1)
    np.testing.assert_array_equal(found.counts, counts)
    for got, expected in (
        (found.mean, np.nanmean(values[:, some], axis=0)),
        (found.low, np.nanquantile(values[:, some], 0.1, axis=0)),
        (found.high, np.nanquantile(values[:, some], 0.9, axis=0)),
    ):
        np.testing.assert_allclose(got[some], expected, rtol=1e-6)
        assert np.isnan(got[~some]).all()


def test_runs_that_ended_early_leave_the_mean_to_the_others():
    steps, values = np.arange(0, 40, 4), np.ones((10, 1), dtype=np.float32)
    whole = [Series(("a",), steps, values * number) for number in (1, 2)]
    # its last step is none of the others', and its last number their neighbour
    early = Series(("a",), np.array([0, 4, 8, 9]), values[:4] * 30)
    found = aggregate([*whole, early], runs=4)
    assert found.steps.tolist() == steps.tolist()
    assert found.counts[:, 0].tolist() == [3, 3, 3, *[2] * 7]
    assert found.mean[:, 0].tolist() == [11.0] * 3 + [1.5] * 7


def test_a_step_that_one_run_alone_has_moves_none_of_its_others():
    steps = np.arange(0, 16, 4)
    series = [Series(("a",), steps, np.full((4, 1), number, np.float32)) for number in (1, 3)]
    values = np.array([[5], [8], [9], [11], [2]], np.float32)
    found = aggregate([*series, Series(("a",), np.array([0, 4, 6, 8, 12]), values)], runs=3)
    assert found.steps.tolist() == steps.tolist()
    assert found.mean[:, 0].tolist() == [3, 4, 5, 2]


def test_one_number_a_run_stands_at_the_last_step():
    """Tests are recorded where a run ended, and are compared all the same."""
    ends = (8, 12, 20)
    series = []
    for end in ends:
        values = np.full((end // 4 + 1, 2), 1.0, dtype=np.float32)
        values[:, 1] = np.nan
        values[-1, 1] = end
        series.append(Series(("loss/train", "loss/test"), np.arange(0, end + 1, 4), values))
    found = aggregate(series, runs=3)
    assert found.counts[:, 1].tolist() == [-1] * 5 + [3]
    assert found.final("loss/test") == (pytest.approx(np.mean(ends)), 3)
    assert np.isnan(found.final("no/such")[0])


def test_a_test_after_divergence_is_no_result():
    inf, nan = np.inf, np.nan
    good = np.array([[1.0, 0.3, nan], [0.5, nan, 0.9]], dtype=np.float32)
    bad = np.array([[1.0, 0.1, nan], [inf, inf, 0.1]], dtype=np.float32)
    tags, steps = ("loss/train", "loss/val", "accuracy/test"), np.arange(2)
    series = [Series(tags, steps, good), Series(tags, steps, bad)]
    assert aggregate(series, runs=2).final("accuracy/test") == (pytest.approx(0.9), 1)
    lost = aggregate([series[1]] * 3, runs=3)
    assert lost.final("accuracy/test")[1] == lost.final("loss/val")[1] == 0


def test_runs_need_not_have_the_same_tags():
    (one,), values = runs(1), np.ones((30, 1), dtype=np.float32)
    found = aggregate([one, Series(("other",), one.steps, values)], runs=2)
    assert found.tags == (*TAGS, "other")
    assert found.counts[:, 2].tolist() == [1] * 30


def test_nothing_recorded_is_no_aggregate():
    assert aggregate([], runs=3) is None


def test_a_table_is_read_as_it_was_written(tmp_path):
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(50, 4)) * 10.0 ** rng.integers(-30, 30, (50, 4))).astype("f4")
    values[3, 1], values[4, 1], values[5, 1] = np.nan, np.inf, -np.inf
    present = rng.random(values.shape) < 0.5
    tags, steps = ["a", "b", "c", "größe"], np.arange(50)
    write_table(tmp_path / "metrics.csv", tags, steps * 3, steps / 7, values, present)
    found = read_series(tmp_path / "metrics.csv")
    assert found.tags == ("a", "b", "c", "größe")
    np.testing.assert_array_equal(found.steps, np.arange(50) * 3)
    np.testing.assert_array_equal(found.epochs, np.arange(50) / 7)
    shown = np.where(np.isnan(values), np.inf, values)  # absent is one thing, nan another
    np.testing.assert_array_equal(found.values, np.where(present, shown, np.nan))


def test_where_a_tag_is_there():
    values = np.array([[1, np.nan], [np.nan, np.inf], [3, 4]], dtype=np.float32)
    series = Series(TAGS, np.arange(3), values)
    rows, found = series.of("loss/train")
    assert (rows.tolist(), found.tolist()) == ([0, 2], [1, 3])
    assert series.of("accuracy/val")[1].tolist() == [np.inf, 4]
    assert [len(one) for one in series.of("nothing")] == [0, 0]


@pytest.mark.parametrize("text", ["", "step,epoch,a\n", "step,epoch,a\n1,0.5", "step,epoch\n1,2\n"])
def test_a_table_without_numbers_is_none(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text)
    assert read_series(tmp_path / "metrics.csv") is None
    assert read_series(tmp_path / "missing.csv") is None


def test_half_a_row_is_left_out(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,epoch,a,b\n1,0.5,,2.0\n2,1.0,3")
    found = read_series(tmp_path / "metrics.csv")
    assert found.steps.tolist() == [1]
    np.testing.assert_array_equal(found.values, [[np.nan, 2.0]])


@pytest.mark.parametrize(
    "steps",
    [("0", "0"), ("1", "0"), ("-1", "0"), ("0", ""), ("", "1"), ("0", "nan"), ("0.5", "1")],
)
def test_steps_increase_or_it_is_no_table(tmp_path, steps):
    (tmp_path / "metrics.csv").write_text(
        "step,epoch,a\n" + "".join(f"{step},0.5,2.0\n" for step in steps)
    )
    assert read_series(tmp_path / "metrics.csv") is None
