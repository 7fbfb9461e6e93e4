"""The small logdir of a big sweep: one line a setting, and never a blank chart."""

import re
import time
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from tensorboard.plugins.hparams import api_pb2, metadata

from mlr.app.board.view import View
from mlr.core import durable as durable_module
from mlr.core.durable import WriteError
from mlr.records.summary import COUNT, LIMIT, picture_records
from mlr.records.summary import write_summary as write
from tests.records.reading import accumulate, events, names
from tests.records.sweeps import PAIRS, RATES, TAGS, line, write_sweep
from tests.records.written import write_pictures, write_table


def write_summary(folder, pairs):
    return write(folder, list(pairs.values()))


def every(pairs) -> list[str]:
    return sorted(one.name for lines in pairs.values() for one in lines)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    pairs = write_sweep(folder, seeds=6)
    return folder, pairs, write_summary(folder, pairs)


def table(folder, **columns):
    """A run's folder with a table of these columns."""
    folder.mkdir(parents=True)
    values = np.array(list(columns.values()), dtype=np.float32).T
    steps = np.arange(len(values))
    write_table(folder / "metrics.csv", columns, steps, steps / 2, values, ~np.isnan(values))


def test_every_line_and_the_best_of_each_pair(sweep):
    folder, pairs, summary = sweep
    assert summary == folder / "summary"
    assert len(every(pairs)) == len(PAIRS) * len(RATES)
    assert names(summary / "all") == every(pairs)
    # the first of each pair
    assert names(summary / "best") == sorted(f"{pair},lr=0.3" for pair in PAIRS)
    assert [name for name in names(folder) if name.startswith(".")] == []


def test_a_cell_holds_the_mean_the_band_and_how_many_they_are(sweep):
    _, pairs, summary = sweep
    cell = f"{PAIRS[0]},lr=0.3"
    own = [run.folder for run in pairs[PAIRS[0]][0].runs]
    alone = np.array([[p.value for p in accumulate(run).Scalars("loss/val")] for run in own])
    found = accumulate(summary / "best" / cell)
    for tag, expected in (
        ("loss/val", alone.mean(axis=0)),
        ("q10/loss/val", np.quantile(alone, 0.1, axis=0)),
        ("q90/loss/val", np.quantile(alone, 0.9, axis=0)),
        (COUNT, np.full(40, 6)),
    ):
        read = [point.value for point in found.Scalars(tag)]
        np.testing.assert_allclose(read, expected, rtol=1e-5)
    mean = accumulate(summary / "all" / cell)
    assert set(mean.Tags()["scalars"]) == {*TAGS, COUNT}
    assert "custom_scalars__config__" in found.PluginTagToContent("custom_scalars")
    assert sorted(mean.PluginTagToContent("hparams"))[0].startswith("_hparams_")


def test_diverged_runs_are_counted_out(sweep):
    counted = accumulate(sweep[2] / "all" / f"{PAIRS[0]},lr=1").Scalars(COUNT)
    assert [point.value for point in counted] == [6] * 20 + [3] * 20


def test_the_link_shows_the_best_and_colours_by_pair(sweep):
    address = urlsplit("http://localhost:6006/" + View(sweep[2]).link())
    query = {name: value for name, (value,) in parse_qs(address.query).items()}
    shown = [f"{kind}/{pair},lr=0.3" for kind in ("best", "all") for pair in PAIRS]
    assert len([name for name in shown if re.search(query["runFilter"], name)]) == len(PAIRS)
    colours = {re.search(query["runColorGroup"].removeprefix("regex:"), name)[1] for name in shown}
    assert colours == set(PAIRS)
    assert address.fragment.startswith("timeseries&regexInput=%5Ebest")


def test_one_line_a_pair_needs_no_folders_for_best_and_all(tmp_path):
    pairs = write_sweep(tmp_path, seeds=3, rates=(0.1,))
    pairs = {pair: groups for pair, groups in pairs.items() if "bce" in pair}
    summary = write_summary(tmp_path, pairs)
    assert names(summary) == every(pairs)
    assert "runFilter" not in View(summary).link()
    found = accumulate(summary / every(pairs)[0])
    assert {"q10/loss/val", "loss/val"} <= set(found.Tags()["scalars"])
    assert found.PluginTagToContent("hparams")


def test_a_second_summary_takes_the_place_of_the_first(tmp_path):
    pairs = write_sweep(tmp_path, seeds=1)
    write_summary(tmp_path, pairs)
    some = {pair: pairs[pair][:1] for pair in PAIRS[:4]}
    assert names(write_summary(tmp_path, some)) == every(some)


def test_settings_of_one_pair_and_other_data_have_a_best_each(tmp_path):
    pairs = {}
    for data in ("digits", "moons"):
        for rate in (0.1, 0.5):
            place = tmp_path / f"{data}{rate}"
            table(place, **{"loss/train": [1.0, rate]})
            one = line([place], "sigmoid+se", data=data, lr=rate)
            pairs.setdefault(f"sigmoid+se {data}", []).append(one)
    summary = write_summary(tmp_path, pairs)
    best = [f"sigmoid+se,data={data},lr=0.1" for data in ("digits", "moons")]
    assert names(summary / "best") == best


def test_a_full_disk_leaves_the_old_summary(tmp_path, monkeypatch):
    pairs = write_sweep(tmp_path, seeds=1, rates=(0.1, 1.0))
    summary = write_summary(tmp_path, pairs)
    before = names(summary / "all")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable_module.os, "write", fail)
    with pytest.raises(WriteError, match="No space left"):
        write_summary(tmp_path, {PAIRS[0]: pairs[PAIRS[0]]})
    assert names(summary / "all") == before
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


def test_more_lines_than_tensorboard_draws_leave_the_worst_out(tmp_path):
    pairs = {}
    for number in range(520):
        pair = f"sigmoid+{'bce' if number % 4 else 'se'}"
        place = tmp_path / str(number)
        table(place, **{"loss/val": [1.0, number], "accuracy/val": [0.5, 0.5]})
        pairs.setdefault(pair, []).append(line([place], pair, lr=number))
    summary = write_summary(tmp_path, pairs)
    shown = names(summary / "all")
    assert len(shown) + 2 < LIMIT + 3 <= 500
    assert names(summary / "best") == ["sigmoid+bce,lr=1", "sigmoid+se,lr=0"]
    # se has 130, fewer than its share
    assert sum("+se" in name for name in shown) == 130
    assert max(int(name.split("=")[1]) for name in shown if "bce" in name) < 400


def test_runs_that_left_nothing_are_no_obstacle(tmp_path):
    table(tmp_path / "a", **{"loss/train": [1.0, 0.5]})
    both = line([tmp_path / name for name in ("a", "b")], "sigmoid+se")
    summary = write_summary(tmp_path, {"sigmoid+se": [both]})
    counted = accumulate(summary / "sigmoid+se").Scalars(COUNT)
    assert [point.value for point in counted] == [1, 1]
    assert write_summary(tmp_path / "none", {"x": [line([tmp_path / "b"], "x")]}) is None


@pytest.mark.parametrize("pair", ["", "sigmoid+se"])
@pytest.mark.parametrize(("count", "best"), [(3, 0), (20, 0), (21, 7)])
def test_lines_of_one_pair_are_shown_in_colours_of_their_own(tmp_path, pair, count, best):
    groups = [line([tmp_path / str(rate)], pair, lr=rate) for rate in range(count)]
    for rate in range(count):
        table(tmp_path / str(rate), **{"loss/train": [1.0, rate]})
    summary, found = write_summary(tmp_path, {pair: groups}), [one.name for one in groups]
    (colour,) = parse_qs(urlsplit(View(summary).link()).query)["runColorGroup"]
    if colour != "run":
        captured = {re.search(colour.removeprefix("regex:"), name).groups() for name in found}
        assert len(captured) == count
    if best:
        assert names(summary / "best") == found[:best]
    assert names(summary / "all" if best else summary) == sorted(found)


@pytest.mark.parametrize(("lost", "status"), [(1, "SUCCESS"), (2, "FAILURE")])
def test_a_cell_of_which_most_runs_diverged_has_diverged(tmp_path, lost, status):
    """Of two or three runs; one that recorded nothing is none that ended well."""
    ends = [[1.0, 0.5], *[[1.0, np.inf]] * lost]
    for name, losses in enumerate(ends):
        table(tmp_path / str(name), **{"loss/train": losses})
    one = line([tmp_path / str(name) for name in range(1 + lost)], "a+b")
    found = accumulate(write_summary(tmp_path, {"a+b": [one]}) / "a+b")
    content = found.PluginTagToContent("hparams")[metadata.SESSION_END_INFO_TAG]
    end = metadata.parse_session_end_info_plugin_data(content)
    assert api_pb2.Status.Name(end.status) == f"STATUS_{status}"


def test_a_table_of_somebody_else_is_no_obstacle(tmp_path):
    table(tmp_path / "a", **{"loss/train": [1.0, 0.5]})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "metrics.csv").write_bytes(b"step,epoch,\xff\n1,2\n")
    both = line([tmp_path / name for name in ("a", "b")], "sigmoid+se")
    assert names(write_summary(tmp_path, {"sigmoid+se": [both]})) == ["sigmoid+se"]


@pytest.mark.slow
@pytest.mark.long
def test_two_thousand_runs_are_read_in_seconds(tmp_path):
    """Measured 1.2 s for 2,048 runs of 213 steps and 12 tags."""
    pairs = write_sweep(tmp_path, seeds=64, points=213)
    start = time.perf_counter()
    write_summary(tmp_path, pairs)
    assert time.perf_counter() - start < 6


def test_a_line_has_the_pictures_of_its_run_that_is_drawn(tmp_path):
    folders = [tmp_path / f"a+b,seed={seed}" for seed in range(3)]
    for folder in folders:
        table(folder, **{"loss/train": [1.0, 0.5], "loss/val": [1.0, 0.5]})
    write_pictures(folders[1], "other", "figure/weights")
    summary = write_summary(tmp_path, {"a+b": [line(folders, "a+b")]})
    (event,) = accumulate(summary / "a+b").Images("figure/weights")
    assert (event.step, event.encoded_image_string) == (1, b"figure/x")


def copied(folder, records):
    """Tags and steps of the records, their checksums verified."""
    path = folder / "copy"
    path.write_bytes(records)
    return [(event.summary.value[0].tag, event.step) for event in events(path)]


def test_pictures_are_copied_and_nothing_else(tmp_path):
    path = write_pictures(tmp_path / "run", "figure/weights", "other/figure", "pr_curve/1")
    found = picture_records(tmp_path / "run")
    assert copied(tmp_path, found) == [("figure/weights", 0), ("pr_curve/1", 2)]
    path.write_bytes(path.read_bytes()[:-3])  # what is whole
    assert copied(tmp_path, picture_records(tmp_path / "run")) == [("figure/weights", 0)]
    assert picture_records(tmp_path / "nowhere") == b""
