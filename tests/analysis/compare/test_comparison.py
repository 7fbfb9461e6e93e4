from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest

from mlr.analysis.compare.command import as_csv, as_json, main
from mlr.analysis.compare.comparison import COLUMNS, compare
from mlr.analysis.compare.time_to_target import Target
from mlr.core.checks import InputError
from mlr.records.reading import Recorded, read_runs
from tests.records.written import write_run

# by pair: final accuracy at a learning rate of 0.5 and of 5
ENDS = {"sigmoid+se": (0.9, 0.95), "softmax+ce": (0.97, 0.2), "clipped_linear+bce": (0.1, 0.1)}
NOISE = (0.0, 0.004, -0.003, 0.001)


def write_sweep(folder, seeds=4):
    """At the higher rate of clipped_linear every run diverges; one of its others fails."""
    for pair, accuracies in ENDS.items():
        for rate, accuracy in zip(("0.5", "5"), accuracies, strict=True):
            for seed in range(seeds):
                lost = pair == "clipped_linear+bce" and rate == "5"
                end = accuracy + NOISE[seed]
                series = {
                    "accuracy/val": [None, 0.3 * end, 0.95 * end, end],
                    "logit_grad/wrong": [0.1 * (seed + 1), 0.1, None, 0.5],
                }
                metrics = {
                    **{"accuracy/test": end, "loss/test": 1 - end, "stuck/fraction": 1 - end},
                    **{"accuracy/val": end, "logit_grad/wrong": 0.2 * (seed + 1)},
                    "logit_grad/right": 0.1 * (seed + 1),
                }
                write_run(
                    folder / f"{pair},lr={rate},seed={seed}",
                    pair,
                    seed,
                    [f"optimizer.lr={rate}", f"seed={seed}"],
                    "diverged" if lost else "done",
                    {"accuracy/test": nan, "loss/test": inf} if lost else metrics,
                    series,
                )
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = write_sweep(tmp_path_factory.mktemp("sweep"))
    write_run(folder / "z", "softmax+ce", 9, ["optimizer.lr=0.5"], "failed", reason="disk full")
    write_run(folder / "y", "softmax+ce", 8, ["optimizer.lr=0.5"], "running")
    return folder


def test_rows_are_of_the_chosen_learning_rate_and_the_best_comes_first(sweep):
    found = compare(read_runs(sweep))
    (ranking,) = found.rankings
    assert (ranking.metric, ranking.chosen_on, ranking.title) == (
        "accuracy/test",
        "accuracy/val",
        "",
    )
    assert ranking.rated
    first, second, last = found.rows
    assert [row.keys["head"] for row in found.rows] == ["softmax", "sigmoid", "clipped_linear"]
    assert [row.place for row in found.rows] == [1, 2, 3]
    assert [row.lr for row in found.rows] == [0.5, 5, 0.5]
    assert first.mean == pytest.approx(0.9705)
    assert first.std == pytest.approx(0.0028867, rel=1e-4)
    assert second.rates == {0.5: pytest.approx(0.9005), 5: pytest.approx(0.9505)}
    assert last.rates == {0.5: pytest.approx(0.1005), 5: None}
    assert (first.seeds, first.missing, first.runs) == (4, 0, 10)
    assert (first.failed, first.running, last.diverged, last.missing) == (1, 1, 4, 0)


def test_what_a_row_says_of_the_way_there(sweep):
    """The mark is 0.9 · 0.9705; of what ends at 0.97 the third point, of the others none."""
    (ranking,) = compare(read_runs(sweep)).rankings
    assert ranking.target == Target("accuracy/val", pytest.approx(0.9705), 0.0)
    first, second, last = ranking.rows
    assert (first.epochs_to_90, first.updates_to_90) == (1, 20)
    assert (second.epochs_to_90, second.updates_to_90) == (1, 20)
    assert (last.epochs_to_90, last.updates_to_90) == (None, None)
    # final numbers 0.2, 0.4, 0.6, 0.8: no medians of what was logged
    assert first.logit_grad_wrong == pytest.approx(0.5)
    assert first.logit_grad_right == pytest.approx(0.25)
    assert first.stuck == pytest.approx(0.0295)


def test_without_the_curves_there_are_no_times(sweep):
    (ranking,) = compare(read_runs(sweep), timed=False).rankings
    assert ranking.target is None
    for row in ranking.rows:
        assert (row.epochs_to_90, row.updates_to_90) == (None, None)


def test_each_row_is_tested_against_the_best(sweep):
    best, *others = compare(read_runs(sweep)).rows
    assert (best.verdict, best.p) == ("first", None)
    # the same noise in all: differences are equal, and four equal signs are not rare enough
    assert [(row.verdict, row.common) for row in others] == [("not significant", 4)] * 2
    assert others[0].p == 3 * 2 / 2**4


ACCURACY, LOSS = "accuracy/test", "loss/test"
FEW = "needs 3 common seeds"


def ended(metric, **configurations):
    """Runs of `a+se` by their final numbers, a dict by seed; None for a run that diverged."""
    found = []
    for name, values in configurations.items():
        for seed, value in (
            values if isinstance(values, dict) else dict(enumerate(values))
        ).items():
            status = "done" if value is not None else "diverged"
            about = {"status": status, "pair": f"{name}+se", "seed": seed}
            metrics = {metric: nan if value is None else value}
            found.append(Recorded(Path(f"{name}{seed}"), about | {"metrics": metrics}))
    return found


def up(end, seeds=range(4)):
    return {seed: end + NOISE[seed % 4] for seed in seeds}


def down(end, seeds=range(4)):
    return {seed: end - NOISE[seed % 4] for seed in seeds}


def losing(end):
    """The last of four seeds is lost."""
    return down(end) | {3: None}


LOSES, GONE = "better, but loses runs", [None] * 4
FIVE = {"a": up(0.9), "b": down(0.8, range(2, 6)), "c": up(0.7, range(2, 6))}
FIVE |= {"d": down(0.6, range(2)), "e": up(0.5, range(1, 4))}


@pytest.mark.parametrize(
    ("metric", "configurations", "verdicts"),
    [
        (ACCURACY, {"a": up(0.9), "b": down(0.3)}, [("best", 0), ("worse", 4)]),
        (ACCURACY, {"a": up(0.9), "b": up(0.3, range(2))}, [("first", 0), (FEW, 2)]),
        (
            ACCURACY,
            {"a": up(0.9), "b": down(0.3), "c": GONE},
            [("best", 0), ("worse", 4), ("no number", 0)],
        ),
        (ACCURACY, {"a": up(0.5), "b": losing(0.9)}, [("first", 0), (LOSES, 3)]),
        (ACCURACY, {"a": up(0.5), "b": losing(0.4)}, [("best", 0), ("worse", 3)]),
        (LOSS, {"a": up(0.5), "b": losing(0.1)}, [("first", 0), (LOSES, 3)]),
        (LOSS, {"a": up(0.5), "b": losing(0.6)}, [("best", 0), ("worse", 3)]),
        (ACCURACY, FIVE, [("first", 0), *[(FEW, 2)] * 3, ("not significant", 3)]),
    ],
)
def test_a_verdict_is_against_the_first_over_common_seeds(metric, configurations, verdicts):
    rows = compare(ended(metric, **configurations)).rows
    assert [row.keys["head"] for row in rows] == list(configurations)
    assert [(row.verdict, row.common) for row in rows] == verdicts
    assert [row.stands_behind for row in rows] == [row.missing == 1 for row in rows]
    assert all(row.p < 0.01 for row in rows if row.verdict == "worse")


def test_each_way_to_end_is_counted(tmp_path):
    counts = {"diverged": 1, "failed": 2, "interrupted": 3, "running": 4, "done": 5}
    for status, count in counts.items():
        for seed in range(count):
            metrics = {"accuracy/test": 0.5 if status == "done" else nan}
            write_run(tmp_path / f"{status}{seed}", "a+se", seed, (), status, metrics)
    (row,) = compare(read_runs(tmp_path)).rows
    assert {name: getattr(row, name) for name in list(counts)[:4]} == dict(list(counts.items())[:4])
    assert (row.runs, row.seeds, row.missing) == (15, 5, 1)


def test_runs_whose_files_were_changed_are_left_out_unless_all_were(tmp_path):
    for seed, pair in enumerate(("a+se", "b+se")):
        write_run(tmp_path / pair, pair, seed, metrics={"accuracy/test": 0.5})
    first, second = read_runs(tmp_path)
    second = replace(second, changed=("status.json",))
    assert [row.keys["head"] for row in compare([first, second]).rows] == ["a"]
    first = replace(first, changed=("status.json",))
    assert [row.keys["head"] for row in compare([first, second]).rows] == ["a", "b"]


def test_several_rows_of_data_that_nobody_recorded_are_told(tmp_path):
    for pair, data in (("a+se", ()), ("b+se", ()), ("c+se", ["data=xor"]), ("d+se", ["data=xor"])):
        write_run(tmp_path / pair, pair, 0, data, metrics={"accuracy/test": 0.5})
    one, two, *known = read_runs(tmp_path)
    assert compare([one, two, *known]).unknown
    assert compare([one, two]).unknown
    assert not compare([one, *known]).unknown
    assert not compare(known).unknown


def test_two_seeds_with_one_final_loss_are_a_seed_that_changes_nothing(tmp_path):
    for pair, accuracy in (("a+se", 1.0), ("b+se", 0.0)):
        for seed in range(2):
            metrics = {"accuracy/test": accuracy, "loss/train": 1 - accuracy}
            write_run(tmp_path / f"{pair}{seed}", pair, seed, metrics=metrics)
    rows = compare(read_runs(tmp_path)).rows
    assert [(row.verdict, row.common) for row in rows] == [
        *(("first", 2), ("the seed changes nothing", 2)),
    ]


@pytest.mark.parametrize(
    ("metric", "sort", "order"),
    [
        ("accuracy/test", "mean", "cab"),
        ("loss/val", "mean", "bac"),
        ("accuracy/test", "head", "abcd"),
        ("accuracy/test", "runs", "cabd"),  # all one: as ranked
        ("accuracy/test", "logit_grad_wrong", "bac"),
    ],
)
def test_rows_are_sorted_as_asked_and_those_without_a_number_stand_last(
    tmp_path, capfd, metric, sort, order
):
    numbers = {"a": (0.5, 0.4, 2.0), "b": (0.1, 0.2, 1.0), "c": (0.9, 0.6, 3.0)}
    for name, values in numbers.items():
        metrics = dict(zip(("accuracy/test", "loss/val", "logit_grad/wrong"), values, strict=True))
        write_run(tmp_path / name, f"{name}+se", metrics=metrics)
    write_run(tmp_path / "d", "d+se", 0, (), "diverged", {"accuracy/test": nan, "loss/val": nan})
    assert main([str(tmp_path)], "head, ,loss,", metric, sort, csv="-") == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert "".join(row["head"] for row in rows)[: len(order)] == order


def test_runs_that_do_not_count_are_named(sweep):
    found = compare(read_runs(sweep))
    assert [(run.name, run.status) for run in found.unended] == [("y", "running"), ("z", "failed")]
    assert found.runs == 26


def test_runs_may_all_be_without_a_number(tmp_path):
    write_run(tmp_path / "a", status="running")
    write_run(tmp_path / "b", seed=1, status="diverged", metrics={"accuracy/test": nan})
    (row,) = compare(read_runs(tmp_path)).rows
    assert (row.mean, row.seeds, row.missing, row.verdict) == (None, 0, 1, "no number")


def test_one_run_is_a_row(tmp_path):
    series = {"accuracy/val": [0.5]}
    write_run(tmp_path, metrics={"accuracy/test": 0.5}, series=series)
    (row,) = compare(read_runs(tmp_path)).rows
    assert (row.mean, row.std, row.epochs_to_90, row.verdict) == (0.5, None, None, "first")
    assert row.lr is None


def test_other_keys_than_head_and_loss(sweep):
    runs = read_runs(sweep)
    by_rate = compare(runs, ["lr"])
    assert [row.keys for row in by_rate.rows] == [{"optimizer.lr": 0.5}, {"optimizer.lr": 5}]
    assert not by_rate.rankings[0].rated
    assert by_rate.mixed == ["head", "loss"]
    assert len(compare(runs, ["pair", "lr"]).rows) == 6
    assert compare(runs, ["pair", "lr"]).mixed == []


def test_rows_that_mix_runs_say_so(tmp_path):
    for model in ("mlp", "linear"):
        write_run(tmp_path / model, overrides=[f"model={model}"], metrics={"accuracy/test": 0.5})
    runs = read_runs(tmp_path)
    assert compare(runs).mixed == ["model"]
    assert compare(runs, ["model"]).mixed == []
    assert compare(runs).rows[0].seeds == 1


def test_what_is_measured_makes_no_other_configuration(tmp_path):
    for points in ("100", "200"):
        more = {"overrides": [f"probes.points={points}"], "metrics": {"accuracy/test": 0.5}}
        write_run(tmp_path / points, **more)
    assert compare(read_runs(tmp_path)).mixed == []


def test_by_itself_the_command_averages_over_no_other_setting(tmp_path, capfd):
    for model in ("mlp", "linear"):
        write_run(tmp_path / model, overrides=[f"model={model}"], metrics={"accuracy/test": 0.5})
    main([str(tmp_path)], "head,loss", csv="-")
    assert [line.split(",")[2] for line in capfd.readouterr().out.splitlines()] == [
        *("model", "linear", "mlp"),
    ]
    main([str(tmp_path)], "head")
    assert "some rows average runs that differ" in capfd.readouterr().out


def write_regression(folder, **errors):
    """Test losses of their own units; se and nll of a linear head learn the same."""
    for pair, loss in (("linear+se", 0.117), ("gaussian+nll", 0.694), ("linear+nll", 1.035)):
        error = errors.get(pair.partition("+")[0])
        for seed in range(3):
            metrics = {"loss/test": loss + 0.01 * seed}
            if error is not None:
                metrics["rmse/test"] = error + 0.01 * seed
            write_run(folder / f"{pair}{seed}", pair, seed, metrics=metrics)
    return folder


def test_different_losses_are_ranked_by_the_error_of_their_predictions(tmp_path):
    found = compare(read_runs(write_regression(tmp_path, linear=0.5, gaussian=0.48)))
    (ranking,) = found.rankings
    assert ranking.metric == "rmse/test"
    assert [(row.keys["head"], row.keys["loss"], row.place) for row in ranking.rows] == [
        ("gaussian", "nll", 1),
        ("linear", "nll", 2),
        ("linear", "se", 2),
    ]


def test_without_such_an_error_each_loss_has_its_own_ranking(tmp_path):
    found = compare(read_runs(write_regression(tmp_path)))
    assert [(one.title, one.metric) for one in found.rankings] == [
        ("loss nll", "loss/test"),
        ("loss se", "loss/test"),
    ]
    exported = json.loads(as_json(found))["rankings"]
    assert [(one["loss"], one["better"]) for one in exported] == [("nll", "lower"), ("se", "lower")]
    nll, se = ([row.keys["head"] for row in one.rows] for one in found.rankings)
    assert (nll, se) == (["gaussian", "linear"], ["linear"])
    # one loss alone needs no such thing
    same = [run for run in read_runs(tmp_path) if run.pair.endswith("+nll")]
    (ranking,) = compare(same).rankings
    assert (ranking.title, ranking.metric) == ("", "loss/test")


def test_a_loss_that_was_asked_for_is_compared_with_itself_only(tmp_path):
    for pair, value in (("a+se", 0.1), ("b+ce", 0.2), ("c+se", 0.05)):
        write_run(tmp_path / pair, pair, metrics={"accuracy/test": value, "loss/val": value})
    found = compare(read_runs(tmp_path), metric="loss/val")
    assert [[row.keys["head"] for row in one.rows] for one in found.rankings] == [["c", "a"], ["b"]]


def test_values_of_different_losses_have_no_mean(tmp_path):
    for loss, value in (("se", 0.1), ("ce", 2.0)):
        metrics = {"accuracy/test": 0.5, "loss/test": value}
        write_run(tmp_path / loss, f"softmax+{loss}", metrics=metrics)
    runs = read_runs(tmp_path)
    (row,) = compare(runs, ["head"]).rows
    assert set(row.finals) == {"accuracy/test"}
    assert [row.finals["loss/test"][0] for row in compare(runs).rows] == [2.0, 0.1]


def test_a_key_that_says_the_data_is_a_column_where_there_is_no_other(tmp_path):
    for data in ("neuron", "xor"):
        metrics = {"accuracy/test": 0.5}
        write_run(tmp_path / data, overrides=[f"data={data}"], metrics=metrics)
    runs = read_runs(tmp_path)
    assert [one.keys for one in compare(runs, ["data"]).rankings] == [["data"], ["data"]]
    assert [one.keys for one in compare(runs, ["head", "data"]).rankings] == [["head"], ["head"]]


def test_different_data_have_a_ranking_each(tmp_path):
    for data, pair, value in (
        *(("neuron", "sigmoid+bce", 1.0), ("xor", "sigmoid+bce", 0.5)),
        *(("xor", "sigmoid+se", 0.6), ("neuron", "sigmoid+se", 1.0)),
    ):
        metrics = {"accuracy/test": value}
        typed = [f"data={data}"]
        write_run(tmp_path / f"{data}{pair}", pair, overrides=typed, metrics=metrics)
    found = compare(read_runs(tmp_path))
    assert [one.title for one in found.rankings] == ["neuron", "xor"]
    exported = json.loads(as_json(found))["rankings"]
    assert [one["data"] for one in exported] == ["neuron", "xor"]
    assert [[row.keys["loss"] for row in one.rows] for one in found.rankings] == [
        ["bce", "se"],
        ["se", "bce"],
    ]
    assert [row.place for row in found.rows] == [1, 1, 1, 2]
    assert found.mixed == []  # no row averages over data


def test_a_metric_of_ones_own(sweep):
    rows = compare(read_runs(sweep), metric="stuck/fraction").rows
    assert [row.keys["head"] for row in rows] == ["softmax", "sigmoid", "clipped_linear"]
    assert rows[0].mean == pytest.approx(0.0295)


def test_unknown_metrics_are_refused_with_those_known(sweep, tmp_path):
    message = (
        "Unknown --metric=accuracy. Did you mean --metric=accuracy/val? "
        "Choose from accuracy/test, accuracy/val, logit_grad/right, logit_grad/wrong, loss/test, "
        "stuck/fraction."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        compare(read_runs(sweep), metric="accuracy")
    write_run(tmp_path, status="running")
    with pytest.raises(InputError, match="no run was trained to an end"):
        compare(read_runs(tmp_path), metric="accuracy/test")


def test_what_has_no_better_side_ranks_nothing(tmp_path):
    numbers = {"uncertainty/test": 0.2, "temperature/val": 2.0, "coverage_95/test": 0.9}
    for pair, resolution in (("a+se", 0.1), ("b+se", 0.3)):
        metrics = {**numbers, "resolution/test": resolution, "reliability/test": resolution}
        write_run(tmp_path / pair, pair, metrics={"loss/test": 1.0, **metrics})
    runs = read_runs(tmp_path)
    for name in numbers:
        message = (
            f"--metric={name} ranks nothing, as neither more nor less of it is better; use one of "
            "loss/test, reliability/test, resolution/test."
        )
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            compare(runs, metric=name)
    for metric, best in (("resolution/test", "b"), ("reliability/test", "a")):
        (ranking,) = compare(runs, metric=metric).rankings
        assert ranking.rows[0].keys["head"] == best
        assert json.loads(as_json(compare(runs, metric=metric)))["rankings"][0]["better"] == (
            "higher" if best == "b" else "lower"
        )


def test_csv_has_every_number_in_full(sweep):
    found = compare(read_runs(sweep))
    table = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert list(table[0]) == ["head", "loss", "ranking", "metric", *COLUMNS]
    assert "logit_grad_wrong" in COLUMNS
    assert float(table[0]["mean"]) == found.rows[0].mean
    assert table[0]["p"] == ""
    assert table[1]["lr"] == "5"


def test_json_has_all_of_it(sweep):
    found = compare(read_runs(sweep))
    whole = json.loads(as_json(found))
    (ranking,) = whole["rankings"]
    assert (ranking["metric"], ranking["better"], whole["by"]) == (
        "accuracy/test",
        "higher",
        ["head", "loss"],
    )
    assert (ranking["data"], ranking["loss"]) == (None, None)
    assert ranking["learning_rate_chosen_on"] == "accuracy/val"
    assert (whole["level"], whole["runs"]) == (0.05, 26)
    assert ranking["headline"].startswith("softmax+ce, sigmoid+se and clipped_linear+bce tie")
    groups = ranking["groups"]
    assert groups[0]["head"] == "softmax"
    assert groups[1]["p"] == found.rows[1].p
    assert groups[2]["rates"][1] == {"lr": 5, "mean": None}
    assert (groups[0]["epochs_to_90"], groups[0]["place"]) == (1, 1)
    assert whole["unended"][1] == {
        "run": str(sweep / "z"),
        "status": "failed",
        "reason": "disk full",
    }


def test_options_that_are_infinite_or_named_as_a_column(tmp_path):
    for epochs in (2, 3):
        typed = [f"epochs={epochs}", "max_grad_norm=inf"]
        write_run(tmp_path / str(epochs), overrides=typed, metrics={"accuracy/test": epochs / 4})
    found = compare(read_runs(tmp_path), ["epochs", "max_grad_norm"])
    groups = json.loads(as_json(found))["rankings"][0]["groups"]
    assert [(group["epochs"], group["max_grad_norm"]) for group in groups] == [
        (3, "inf"),
        (2, "inf"),
    ]
    (first, _) = csv.DictReader(io.StringIO(as_csv(found)))
    assert (first["epochs"], first["epochs_to_90"]) == ("3", "")


def test_no_cell_of_the_csv_is_a_formula(tmp_path):
    """As others may have typed it: a spreadsheet would run it."""
    for seed, rate in enumerate(("=1+1", "@SUM(A1)")):
        typed = [f"optimizer.lr={rate}", f"-cmd|x={rate}", "\tdata.path==A1"]
        metrics = {"accuracy/test": 0.5, "=A1/test": 0.5, "accuracy/val": 0.1 * seed}
        write_run(tmp_path / str(seed), "=a+se", seed, typed, metrics=metrics)
    found = compare(read_runs(tmp_path), ["head", "-cmd|x", "\tdata.path"], metric="=A1/test")
    table = list(csv.reader(io.StringIO(as_csv(found))))
    told = [cell for row in table for cell in row]
    assert {"'-cmd|x", "'\tdata.path", "'=a", "'@SUM(A1)", "'=A1", "'=A1/test"} <= {*told}
    assert not [cell for cell in told if cell.startswith(("=", "-", "@", "\t"))]
