"""The history of ratios: what is found worse, and the file that they are kept in."""

from __future__ import annotations

import math
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from mlr.benchmarks import cli, history
from mlr.benchmarks.history import (
    HISTORY,
    HistoryEntry,
    append_entries,
    entries_of,
    latest,
    read_entries,
    recordable,
    steps_back,
)
from mlr.benchmarks.rows import BenchmarkRow, Ratio, relative_noise
from mlr.core.checks import DataError, PlaceError
from mlr.core.durable import WriteError

HEADER = "date,commit,machine,quantity,ratio,noise,repeats\n"
LINE = '2026-11-30T20:06Z,a355367,"cpu, 2 cores","8 runs ÷ 8 loops",0.5,0.01,11\n'
ENTRY = HistoryEntry(
    "2026-11-30T20:06Z", "a355367", "cpu, 2 cores", "8 runs ÷ 8 loops", 0.5, 0.01, 11
)


def measured(rng: np.random.Generator, ratio: float, repeats: int, noise: float) -> HistoryEntry:
    """Measure two alternatives whose ratios have this noise, on a machine that drifts."""
    drift = np.exp(rng.normal(0, 0.2, repeats))
    own = ratio * drift * np.exp(rng.normal(0, noise, repeats))
    if repeats > 10:  # another program ran during one measurement
        own[rng.integers(repeats)] *= 2
    found = Ratio.of(own, drift)
    return replace(ENTRY, ratio=float(found), noise=found.noise, repeats=repeats)


@pytest.mark.slow
@pytest.mark.parametrize(("repeats", "noise"), [(11, 0.03), (7, 0.025), (5, 0.02)])
def test_a_planted_step_back_is_found_and_none_is_claimed_of_noise(repeats, noise):
    rng = np.random.default_rng(0)
    found = claimed = 0
    for _ in range(400):
        before = [measured(rng, 0.7, repeats, noise)]
        found += any(steps_back(before, [measured(rng, 0.77, repeats, noise)]))
        claimed += any(steps_back(before, [measured(rng, 0.7, repeats, noise)]))
    assert found >= 0.95 * 400
    assert claimed <= 0.02 * 400


@pytest.mark.parametrize("repeats", [5, 11, 101])
def test_the_noise_is_the_standard_error_of_the_median(repeats):
    rng = np.random.default_rng(1)
    samples = 2 * (1 + 0.02 * rng.standard_normal((4000, repeats)))
    true = np.median(samples, axis=1).std() / 2
    estimated = np.median([relative_noise(list(one)) for one in samples])
    assert estimated == pytest.approx(true, rel=0.15)


def test_a_ratio_is_that_of_the_same_rounds():
    ratio = Ratio.of([1.0, 20.0, 300.0], [2.0, 40.0, 400.0])
    assert (float(ratio), ratio.repeats) == (0.5, 3)
    assert str(Ratio(0.12345, 0.0123, 5)) == "0.123 ± 1.2 %"
    unknown = Ratio.of([1.0, 2.0], [2.0, 2.0])
    assert math.isnan(unknown.noise)
    assert str(unknown) == "0.75"


def test_worse_is_said_in_a_sentence_with_numbers_noise_and_commit():
    now = replace(ENTRY, ratio=0.6, noise=0.02, commit="1234567")
    assert list(steps_back([ENTRY], [now])) == [
        "8 runs ÷ 8 loops: 0.6 now, 0.5 at a355367 (last, 2026-11-30T20:06Z): 20% worse, with a "
        "noise of 2.2 %."
    ]


@pytest.mark.parametrize(
    ("change", "worse"),
    [
        ({"ratio": 0.4}, False),  # better
        ({"ratio": 0.524, "noise": 0.0001}, False),  # 4.8 %, below the floor
        ({"ratio": 0.526, "noise": 0.0001}, True),
        ({"ratio": 0.55, "noise": 0.04}, False),  # 10 %, of which a standard error is 4.1 %
        ({"ratio": 0.7, "noise": 0.04}, True),
        ({"ratio": 0.7, "machine": "another"}, False),
        ({"ratio": 0.7, "quantity": "another"}, False),
    ],
)
def test_worse_is_beyond_the_floor_and_the_noise_on_the_same_machine(change, worse):
    before = replace(ENTRY, noise=0.0001) if change.get("noise") == 0.0001 else ENTRY
    assert bool(list(steps_back([before], [replace(ENTRY, **change)]))) is worse


def test_many_small_steps_back_are_seen_next_to_the_best():
    before = [replace(ENTRY, ratio=0.5 * 1.025**n, commit=f"{n}", noise=0.001) for n in range(5)]
    (sentence,) = steps_back(before, [replace(ENTRY, ratio=0.5 * 1.025**5, noise=0.001)])
    assert "0.5 at 0 (best, " in sentence
    (sentence,) = steps_back(before, [replace(ENTRY, ratio=0.7)])
    assert "(last, " in sentence


def test_the_last_line_of_this_machine_counts():
    before = [ENTRY, replace(ENTRY, ratio=0.4), replace(ENTRY, ratio=9, machine="another")]
    assert latest(before, ENTRY.machine) == {ENTRY.quantity: before[1]}


def test_ratios_with_a_name_and_a_known_noise_are_recorded():
    found = list(
        entries_of(
            [
                BenchmarkRow("named", value=Ratio(0.123456, 0.01234, 7), quantity="q"),
                BenchmarkRow("not named", value=Ratio(1, 0.1, 7)),
                BenchmarkRow("no ratio", value=3.0, quantity="r"),
                BenchmarkRow("two repeats", value=Ratio.of([1, 1], [1, 1]), quantity="s"),
                BenchmarkRow("not measured", quantity="t"),
            ]
        )
    )
    ((name, ratio, noise, repeats),) = [(e.quantity, e.ratio, e.noise, e.repeats) for e in found]
    assert (name, ratio, noise, repeats) == ("q", 0.1235, 0.012, 7)
    assert "cores" in found[0].machine
    assert recordable([replace(ENTRY, noise=0.051), ENTRY]) == [ENTRY]


def test_lines_are_appended_below_their_columns(tmp_path):
    path = tmp_path / "history.csv"
    assert read_entries(path) == []
    append_entries(path, [ENTRY])
    assert path.read_text(encoding="utf-8") == HEADER + LINE.replace(
        '"8 runs ÷ 8 loops"', "8 runs ÷ 8 loops"
    )
    other = replace(ENTRY, machine='an "odd" one\nof two lines', noise=0.0)
    append_entries(path, [other, ENTRY])
    assert read_entries(path) == [ENTRY, other, ENTRY]


def test_a_write_that_fails_leaves_the_table_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "history.csv"
    path.write_text(HEADER + LINE, encoding="utf-8")

    def full(descriptor, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlr.core.durable.os.write", full)
    with pytest.raises(WriteError, match="No space left"):
        append_entries(path, [ENTRY])
    monkeypatch.undo()
    assert read_entries(path) == [ENTRY]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "line 1, is damaged: the columns are"),
        (b"date,commit\n", "line 1, is damaged: the columns are date,commit,machine"),
        (LINE.encode(), "line 1, is damaged: the columns are"),
        ((HEADER + LINE + LINE[:-1]).encode(), "line 3, is damaged: it is cut short"),
        ((HEADER + LINE + LINE[:30] + "\n").encode(), "line 3, is damaged: unexpected end"),
        ((HEADER + "<<<<<<< HEAD\n" + LINE).encode(), "line 2, is damaged: it has 1 cells"),
        ((HEADER + LINE.replace("0.5", "x")).encode(), "line 2, is damaged: could not convert"),
        ((HEADER + LINE.replace("0.5", "nan")).encode(), "ratio nan and noise 0.01 are none"),
        ((HEADER + LINE.replace("0.5", "0")).encode(), "ratio 0 and noise 0.01 are none"),
        ((HEADER + LINE.replace("0.01", "-1")).encode(), "ratio 0.5 and noise -1 are none"),
        ((HEADER + LINE.replace(",11", ",1.5")).encode(), "line 2, is damaged: invalid literal"),
        ((HEADER + LINE.replace("a355367", "")).encode(), "line 2, is damaged: a cell is empty"),
        ((HEADER + LINE.replace("11-30", "13-30")).encode(), "line 2, is damaged: month must"),
        ((HEADER + LINE).encode("utf-16"), "cannot be read: "),
    ],
)
def test_a_damaged_table_is_refused_before_anything_is_measured(text, told, tmp_path, monkeypatch):
    path = tmp_path / "history.csv"
    path.write_bytes(text)
    monkeypatch.setattr(cli.Section, "rows", lambda section, repeats: pytest.fail("measured"))
    with pytest.raises(DataError) as error:
        cli.run(["writer"], 3, path)
    assert told in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert path.read_bytes() == text


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path, ratios):
    with pytest.raises(
        PlaceError, match=r"^--history=\S+ cannot be written: give a file of your own.$"
    ):
        cli.run(["writer"], 3, tmp_path / "missing" / "history.csv")


@pytest.fixture
def ratios(monkeypatch):
    """The ratios that a section measures next: their values and noises by quantity."""
    found: dict[str, Ratio] = {}

    def measured(section, repeats):
        for name, ratio in found.items():
            yield BenchmarkRow(name, value=ratio, quantity=name)

    monkeypatch.setattr(cli.Section, "rows", measured)
    return found


def test_the_command_compares_and_records(ratios, tmp_path, capsys):
    path = tmp_path / "history.csv"
    ratios |= {"a ÷ b": Ratio(0.5, 0.01, 11), "c ÷ d": Ratio(2.0, 0.01, 11)}
    assert cli.run(["writer"], 3, path) == 0
    said = capsys.readouterr().out
    assert f"2 ratios recorded in {path}" in said
    assert "before" not in said
    ratios |= {"a ÷ b": Ratio(0.6, 0.01, 11), "e ÷ f": Ratio(1.0, 0.2, 11)}
    assert cli.run(["writer"], 3, path) == 1
    said = capsys.readouterr().out
    assert "0.5 ± 1 %" in said  # before
    assert said.count("worse: ") == 1
    assert "worse: a ÷ b: 0.6 now, 0.5 at " in said
    assert "too noisy to be recorded: e ÷ f, 1 ± 20 %" in said
    assert [entry.ratio for entry in read_entries(path)] == [0.5, 2.0, 0.6, 2.0]


def test_a_table_of_other_machines_is_named(ratios, tmp_path, capsys):
    path = tmp_path / "history.csv"
    append_entries(path, [ENTRY])
    ratios["8 runs ÷ 8 loops"] = Ratio(5.0, 0.01, 11)
    assert cli.run(["writer"], 3, path) == 0
    assert f"{path} has no line of this machine: nothing to compare" in capsys.readouterr().out


def test_what_was_measured_before_the_end_is_recorded(ratios, tmp_path, monkeypatch):
    path = tmp_path / "history.csv"
    ratios["a ÷ b"] = Ratio(0.5, 0.01, 11)
    real = cli.Section.rows

    def until_killed(section, repeats):
        if section.name == "memory":
            raise KeyboardInterrupt
        return real(section, repeats)

    monkeypatch.setattr(cli.Section, "rows", until_killed)
    with pytest.raises(KeyboardInterrupt):
        cli.run(["writer", "memory"], 3, path)
    assert len(read_entries(path)) == 1


def test_the_committed_table_can_be_read():
    read_entries(HISTORY)


def test_the_commit_says_if_files_differ_from_it(tmp_path, monkeypatch):
    def git(*words: str) -> str:
        line = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@y", *words]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()

    folder = tmp_path / "mlr" / "benchmarks"
    folder.mkdir(parents=True)
    monkeypatch.setattr(history, "HISTORY", folder / "history.csv")
    assert history.commit() == "unknown"
    (folder / "history.csv").write_text("")
    (tmp_path / "code.py").write_text("")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    found = git("rev-parse", "HEAD")[:7]
    assert history.commit() == found
    (folder / "history.csv").write_text("more")
    (tmp_path / "not tracked").write_text("")
    assert history.commit() == found
    (tmp_path / "code.py").write_text("1")
    assert history.commit() == f"{found}+changes"
