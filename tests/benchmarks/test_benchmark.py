"""Sections of the benchmark on tiny workloads, whose times are meaningless."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from mlr.benchmarks import (
    checkpointing,
    commands,
    jax_sweep,
    memory,
    mnist_by_hand,
    networks,
    own_loop,
    probes,
    scale,
    sweep,
    writer,
)
from mlr.benchmarks import workloads as one
from mlr.benchmarks.cli import SECTIONS, measure_sections, select_sections
from mlr.benchmarks.rows import BenchmarkRow, duration, in_turn, rounds, table
from mlr.core.checks import InputError
from mlr.models import Cnn, Mlp
from mlr.probes.measuring import Measurements
from mlr.training import log, train
from tests.data.support import idx_bytes

ROOT = Path(__file__).parents[2]
TINY = replace(one.LOGISTIC, examples=200, epochs=1)
FEW_IMAGES = one.Workload("images", 300, 784, 10, 128, 1, Mlp())


def shown(rows) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table(rows))
    return console.file.getvalue()


def test_a_row_is_judged_by_its_promise():
    assert BenchmarkRow("", value=3.0, most=3).kept
    assert BenchmarkRow("", value=3.1, most=3).kept is False
    assert BenchmarkRow("", value=3.1, least=3).kept
    assert BenchmarkRow("", value=float("nan"), most=3).kept is False
    assert BenchmarkRow("", value=3.1).kept is None
    assert BenchmarkRow("not measured", most=3).kept is None


def test_a_table_says_all_of_it():
    text = shown(
        [
            BenchmarkRow("work [a]", "1 s", "9 s by hand", 1 / 9, " s", most=0.4),
            BenchmarkRow("b", value=2),
        ]
    )
    for part in ("work [a]", "1 s", "9 s by hand", "0.111 s", "≤ 0.4 s", "kept"):
        assert part in text
    assert "missed" in shown([BenchmarkRow("", value=1, least=8)])


def test_durations_have_a_unit_that_suits_them():
    assert [duration(x) for x in (81, 1.5, 0.0123, 4.2e-7)] == [
        "81 s",
        "1.5 s",
        "12.3 ms",
        "0.42 µs",
    ]


def test_measures_are_taken_in_turn_and_the_first_of_each_does_not_count():
    calls = []
    times = iter([100.0, 100.0, 1.0, 20.0, 9.0, 30.0, 2.0, 10.0])

    def measured(name):
        calls.append(name)
        return next(times)

    assert in_turn([lambda: measured("a"), lambda: measured("b")], 3) == [10.0, 2.0]
    assert calls == ["a", "b", "b", "a"] * 2


def test_rounds_are_told_apart():
    numbers = iter(range(8))
    measures = [lambda: next(numbers), lambda: 10 + next(numbers)]
    assert rounds(measures, 3) == [[3, 4, 7], [12, 15, 16]]
    assert rounds([lambda: 1.0], 2, warm_up=False) == [[1.0, 1.0]]


def test_sections_are_chosen_by_name():
    assert [section.name for section in select_sections([])] == [
        *("start", "works", "sweep", "jax", "objectives", "networks")
    ]
    assert [section.name for section in select_sections(["memory", "jax", "memory"])] == [
        "memory",
        "jax",
    ]
    with pytest.raises(InputError, match="Did you mean section=sweep"):
        select_sections(["speed"])


def test_every_section_has_a_home():
    for section in SECTIONS.values():
        module, function = section.home
        assert callable(getattr(import_module(module), function))


def test_the_cost_of_checkpoints():
    (row,) = checkpointing.rows(1, TINY)
    assert 0 < row.value < 1
    assert row.promise == "≤ 0.01"


def test_sections_are_printed_as_they_come(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(writer, "rows", lambda repeats: iter([BenchmarkRow(f"{repeats} times")]))
    assert measure_sections(select_sections(["writer"]), 7, tmp_path / "history.csv") == 0
    said = capsys.readouterr().out
    assert said.index(SECTIONS["writer"].title) < said.index("7 times")


def test_one_run():
    rows = list(one.rows(1, {TINY: 0.4, FEW_IMAGES: 0.95}))
    assert [row.most for row in rows] == [0.4, 0.95]
    assert all(row.value > 0 for row in rows)
    assert [row.quantity for row in rows] == [
        "one logistic regression with files ÷ hand loop without", ""
    ]  # fmt: skip
    assert one.IMAGES.quantity == "MLP 784-128-10, one epoch ÷ hand loop"


def test_sweeps():
    rows = list(sweep.rows(1, TINY, (1, 2), {2: 0.5}))
    assert [row.what for row in rows] == ["N = 1", "N = 2", "a run at N = 2"]
    assert [row.most for row in rows] == [None, 0.5, 1]
    assert [row.quantity for row in rows] == ["", "2 runs in-process ÷ 2 hand loops", ""]


def test_ratios_of_a_sweep_are_those_of_a_round(monkeypatch):
    # seconds of the sweeps of 512 and 1,024 runs and of four loops, in each of three rounds
    found = [[1.0, 2.0, 3.0], [2.0, 5.0, 6.0], [4.0, 8.0, 16.0]]
    monkeypatch.setattr(sweep, "rounds", lambda measures, repeats: found)
    monkeypatch.setattr(sweep, "experiment", lambda *_: None)
    first, second, each = sweep.rows(3, TINY, (512, 1024))
    assert first.value == pytest.approx(1 / 512)
    assert second.value == pytest.approx(2 / 1024)
    assert each.value == 1.0
    assert [row.quantity for row in (first, second, each)] == [
        "512 runs in-process ÷ 512 hand loops", "", "N=1024 a run ÷ N=512 a run"
    ]  # fmt: skip
    assert [row.most for row in (first, second, each)] == [0.0025, None, 1]


def test_digits_are_all_trained_on():
    data = sweep.all_digits()
    assert data.train.features.shape == (1797, 64)
    (row,) = sweep.mlps(1, replace(sweep.DIGITS, epochs=1), (2,), {2: 0.15})
    assert row.most == 0.15


def test_without_records_every_number_is_computed(monkeypatch):
    measured = []
    real = Measurements.measured
    monkeypatch.setattr(Measurements, "measured", lambda self: measured.append(1) or real(self))
    functions = (log.record_scalars, log.record_histograms, log.flush_all)
    data = one.make_data(TINY)
    run = one.experiment(TINY, data, seed=3)
    (result,) = sweep.train_unrecorded([run])
    assert measured
    assert (log.record_scalars, log.record_histograms, log.flush_all) == functions
    (expected,) = train([run])
    assert result.metrics == expected.metrics


def test_a_million_scalars_or_a_few():
    rows = list(writer.rows(1, scalars=2000, runs=2))
    assert [row.most for row in rows] == [1, 1, None]
    assert rows[-1].value == 1


def test_other_values_than_those_written_are_seen(tmp_path):
    values = np.ones((50, len(writer.TAGS)), dtype=np.float32)
    writer.write_events(tmp_path / "run", values)
    values[3, 4] = 2
    assert writer.read_back(tmp_path / "run", values) == 1 - 1 / values.size


def test_jax_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(jax_sweep, "find_spec", lambda name: None)
    (row,) = jax_sweep.rows(1)
    assert ".[benchmark]" in row.other


@pytest.fixture
def of_jax():
    """Three runs, and a function that trains them by a program of JAX."""
    jax = pytest.importorskip("jax")
    work = replace(TINY, epochs=3)
    data = one.make_data(work)
    runs = [one.experiment(work, data, seed) for seed in range(3)]
    arguments = jax_sweep.arguments_of(work, runs)

    def results(**options):
        program = jax_sweep.compiled(data, arguments, **options)
        return jax.device_get(program(*arguments))

    return runs, results


def test_jax_trains_the_same_runs(of_jax):
    runs, results = of_jax
    (weights, bias), numbers, _, _ = results(drawn=False, measured=False)
    assert numbers.shape == (3, 3, 7, 2)
    for run, result in enumerate(train(runs)):
        weight, offset = result.parameters.values()
        torch.testing.assert_close(torch.tensor(weights[run]), weight[0], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(torch.tensor(bias[run]), offset[0], rtol=1e-4, atol=1e-6)


def test_jax_measures_the_same_numbers(of_jax, monkeypatch):
    runs, results = of_jax
    _, numbers, validation, ends = results(drawn=False, measured=True)
    found: list[np.ndarray] = []
    monkeypatch.setattr(log, "record_scalars", lambda *block: found.append(block[3]))
    own = sweep.train_unrecorded(runs)
    assert not found  # nothing is recorded there
    monkeypatch.setattr(log, "record_histograms", lambda *_, **__: None)
    monkeypatch.setattr(log, "flush_all", lambda recorders: None)
    train(runs, [object()] * 3)
    tags = log.run_tags(runs[0])
    (block,) = found
    columns = [tags.index(tag) for tag in jax_sweep.TAGS]
    steps = numbers.reshape(3, 21, -1).swapaxes(0, 1)
    np.testing.assert_allclose(steps, block[:21][..., columns], rtol=1e-3, atol=1e-5)
    at_ends = block[7::7][..., [tags.index("loss/val"), tags.index("accuracy/val")]]
    np.testing.assert_allclose(validation.swapaxes(0, 1), at_ends, rtol=1e-3, atol=1e-5)
    for split, judged in zip(("train", "val", "test"), ends, strict=True):
        expected = [[r.metrics[f"{name}/{split}"] for name in ("loss", "accuracy")] for r in own]
        np.testing.assert_allclose(judged, expected, rtol=1e-3, atol=1e-5)


def test_jax_draws_orders_of_its_own(of_jax):
    _, results = of_jax
    (handed, _), _, _, _ = results(drawn=False, measured=True)
    (drawn, _), numbers, validation, _ = results(drawn=True, measured=True)
    assert not np.allclose(handed, drawn, rtol=1e-4)
    np.testing.assert_allclose(handed, drawn, atol=0.1)  # after 21 updates by 0.1
    assert np.isfinite(numbers[..., 0]).all()
    assert validation.shape == (3, 3, 2)


def test_jax_compared_with_mlr():
    pytest.importorskip("jax")
    rows = list(jax_sweep.rows(1, TINY, (1, 2)))
    assert [row.most for row in rows] == [1, None, None] * 2
    assert not any(row.quantity for row in rows)
    words = "512 runs in-process ÷ JAX doing the same work, compiled before"
    assert words == jax_sweep.DOING_THE_SAME


def fake_command(here, program, work, jobs):
    """Take 3 s to start, per job 0.25 s alone, 0.125 s in two processes, 0.01 s in one program."""
    each = 0.25 if commands.BASIC[0] in work else 0.125 if program == commands.ALONE else 0.01
    return lambda: 3 + each * jobs


@pytest.mark.parametrize("installed", [True, False])
def test_few_jobs_are_counted_as_many(monkeypatch, installed):
    monkeypatch.setattr(commands, "sweep_command", fake_command)
    monkeypatch.setattr(commands, "compute", lambda jobs: lambda: 0.01)
    monkeypatch.setattr(commands, "find_spec", lambda name: True if installed else None)
    whole, basic, joblib, overhead = commands.sweeps(1)
    assert whole.value == pytest.approx(3 + 5.12)
    assert basic.value == pytest.approx((3 + 128) / whole.value)
    if installed:
        assert joblib.value == pytest.approx((3 + 64) / whole.value)
    else:
        assert ".[benchmark]" in joblib.other
    assert overhead.value == pytest.approx((5.12 - 0.01 - 0.01) / 512 * 1e3)


def test_commands_next_to_the_start_of_torch_and_of_one_run(monkeypatch):
    seconds = {"import torch": 1.5, "loss=se": 3.0, "seed=range(0,1)": 4.0, "seed=range(0,256)": 12}
    runs = dict(zip(seconds, (0, 1, 1, 512), strict=True))

    def fake(here, words, count):
        assert count == runs[words[-1]]
        return lambda: seconds[words[-1]]

    monkeypatch.setattr(commands, "program", fake)
    rows = list(commands.rows(11))
    assert [(row.quantity, row.value, row.value.repeats, row.most) for row in rows] == [
        ("`head=sigmoid loss=se`, whole command ÷ import torch", 2, 7, 1.5),
        ("512 runs whole command ÷ one run whole command", 3, 7, 1.6),
    ]


def test_cnns_next_to_plain_loops():
    small = replace(networks.CNN, features=16, examples=80, model=Cnn(channels=[2]), side=4)
    rows = list(networks.cnns(1, small))
    assert [(row.quantity, row.most) for row in rows] == [
        ("CNN epoch ÷ hand loop", 1.0),
        ("4 CNNs in a sweep ÷ 4 hand loops", 0.8),
    ]
    assert all(row.value > 0 for row in rows)


def test_several_runs_of_a_workload_have_their_files(tmp_path):
    one.by_mlr(TINY, one.make_data(TINY), tmp_path, runs=3)
    found = {path.name: list(path.glob("events.*")) for path in tmp_path.iterdir()}
    assert len(found) == 3
    assert all(found.values())


def test_a_loop_by_hand_has_the_optimizer_of_the_workload(monkeypatch):
    steps = []
    monkeypatch.setattr(torch.optim.Adam, "step", lambda optimizer: steps.append(optimizer))
    work = replace(TINY, optimizer=networks.CNN.optimizer)
    one.by_hand(work, one.make_data(work))
    assert len(steps) == 7
    assert steps[0].defaults["lr"] == 0.003


def test_commands_on_mnist(monkeypatch, tmp_path):
    asked = []

    def fake(here, words, count):
        asked.append((*words[-3:], count))
        return lambda: 3.0 if count else 4.0

    monkeypatch.setattr(networks, "program", fake)
    row = networks.commands(3, tmp_path)
    assert row.quantity == "8 MLPs of MNIST, whole command ÷ hand script's whole command"
    assert (row.value, row.value.repeats, row.most) == (0.75, 3, 0.7)
    assert asked == [
        ("epochs=1", f"data.root={tmp_path}", "seed=range(0,8)", 8),
        ("mlr.benchmarks.mnist_by_hand", str(tmp_path), "8", 0),
    ]


def test_the_memory_of_many_seeds_is_compared_with_that_of_a_few(monkeypatch, tmp_path):
    def fake(count, work):
        assert f"data.root={tmp_path}" in work
        return 1000 + 10 * count, 1.0

    monkeypatch.setattr(networks, "peak_memory", fake)
    row = networks.memory(tmp_path)
    assert row.quantity == "64 seeds of an MNIST MLP: peak memory ÷ that of 8"
    assert row.value == pytest.approx(1640 / 1080)


def test_without_mnist_its_rows_say_so(monkeypatch):
    monkeypatch.setattr(networks, "mnist_root", lambda: None)
    monkeypatch.setattr(networks, "cnns", lambda repeats: iter(()))
    (row,) = networks.rows(1)
    assert "MLR_MNIST" in row.other


def test_the_script_by_hand_learns_mnist(tmp_path, capsys, monkeypatch):
    # digits that a linear model tells apart, in place of MNIST
    labels = np.arange(2000) % 10
    images = np.zeros((2000, 28, 28), np.uint8)
    images[np.arange(2000), labels * 2, :] = 255
    for part in ("train", "t10k"):
        for kind, values in (("images-idx3", images), ("labels-idx1", labels.astype(np.uint8))):
            packed = gzip.compress(idx_bytes(values), 1)
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(packed)
    pixels, read = mnist_by_hand.load(tmp_path, "train")
    assert pixels.shape == (2000, 784)
    assert (pixels.max(), read.tolist()) == (1.0, labels.tolist())
    monkeypatch.setattr(mnist_by_hand, "TRAINED", 1920)
    mnist_by_hand.main(tmp_path, 2)
    assert capsys.readouterr().out == "seed 0: test accuracy 1.0000\nseed 1: test accuracy 1.0000\n"


def test_the_work_of_the_commands_computes():
    assert commands.compute(4)() > 0


def test_a_command_that_fails_says_what_it_said(tmp_path):
    with pytest.raises(RuntimeError, match="epochs=0"):
        commands.sweep_command(tmp_path, commands.TRAIN, (*commands.WORK, "epochs=0"), 1)()


@pytest.mark.slow
@pytest.mark.long
def test_commands():
    rows = list(commands.sweeps(1, jobs=4, few=4, work=(*commands.WORK, "epochs=1")))
    assert [row.what for row in rows][:2] == ["4 jobs", "compared with one job after the other"]
    joblib = find_spec("hydra_plugins.hydra_joblib_launcher") is not None
    assert (rows[2].value is not None) == joblib


@pytest.mark.slow
def test_jobs_of_other_launchers_run_alone(tmp_path):
    line = (*commands.WORK, "epochs=1", "hydra/launcher=basic")
    assert commands.sweep_command(tmp_path, commands.ALONE, line, 2)() > 0


def test_slopes_of_memory(monkeypatch):
    stated = memory.bytes_of_a_run()
    monkeypatch.setattr(
        memory,
        "peak_memory",
        lambda count, budget=0: (200 * memory.MIB + min(count, 1000) * stated, 1.0),
    )
    rows = list(memory.rows(1, (100, 200, 400), 10_000, 1000 * stated))
    assert [row.value for row in rows if row.most] == pytest.approx([1, 1, 999 / 1000])


@pytest.mark.slow
@pytest.mark.long
def test_memory():
    rows = list(memory.rows(1, (1, 3), 4, 1 << 20))
    assert "4 in a budget of 1 MiB" in rows[-1].what


def costs(count: int) -> scale.Costs:
    """Costs with known slopes."""
    return scale.Costs(
        seconds=3 + 0.01 * count,
        comparing=0.5 + 0.002 * count,
        memory=(400 << 20) + 2048 * count,
        files=3 + 7 * count,
        folders=2 + 2 * count,
        content=5000 + (150 << 10) * count,
        space=8192 + (180 << 10) * count,
    )


def test_larger_sweeps_are_computed_from_two(monkeypatch):
    measured = []

    def fake(count, work):
        measured.append((count, work[-1]))
        return costs(count)

    monkeypatch.setattr(scale, "sweep_costs", fake)
    rows = list(scale.rows(1))
    assert measured == [(n, case) for case in ("loss=bce", "probes=off") for n in (512, 2048)]
    texts = {row.what: f"{row.mlr}; {row.other}" for row in rows[:5]}
    assert texts["default: 512 runs"].startswith("8.12 s CPU, 401 MiB memory; 3.59e+03 files")
    assert texts["each run adds"] == (
        "10 ms CPU, 2 KiB memory; 7 files and 2 folders, 150 KiB in 180 KiB of the disk; "
        "compare 2 ms CPU"
    )
    assert texts["10,000 runs, computed"] == (
        "103 s CPU, 420 MiB memory; 7e+04 files and 2e+04 folders, 1.43 GiB in 1.72 GiB of the "
        "disk; compare 20.5 s CPU; 9.25 s CPU on each of 16 workers"
    )
    large = texts["1,000,000 runs, computed"]
    assert large.startswith("1e+04 s CPU, 2.3 GiB memory; 7e+06 files and 2e+06 folders, 143 GiB")


@pytest.mark.skipif(sys.platform != "linux", reason="du counts bytes by -B1 on Linux")
def test_files_and_their_blocks_are_counted(tmp_path):
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    (tmp_path / "run" / "status.json").write_bytes(bytes(100))
    (tmp_path / "run" / ".hydra" / "config.yaml").write_bytes(bytes(5000))
    files, folders, content, space = scale.file_costs(tmp_path)
    assert (files, folders, content) == (2, 2, 5100)
    found = subprocess.run(["du", "-s", "-B1", "run"], cwd=tmp_path, capture_output=True, text=True)
    assert space == int(found.stdout.split()[0])


def scale_table() -> dict[str, list[list[float]]]:
    """Read the numbers of each row of the page's table, cell by cell, in its units."""
    page = (ROOT / "mlr" / "docs" / "sweeps.md").read_text(encoding="utf-8")
    units = {"million": 1e6, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    units |= {"ms": 1e-3, "minutes": 60, "hours": 3600}
    found = {}
    for line in page.splitlines():
        name, *cells = line.strip("| ").split(" | ")
        if re.match(r"(the command|\+ each|1[\d,]* runs)", name):
            numbers = [re.findall(r"([\d.,]*\d) ?(\w+)?", cell) for cell in cells]
            found[name] = [
                [float(x.replace(",", "")) * units.get(unit, 1) for x, unit in cell]
                for cell in numbers
            ]
    return found


def test_the_page_computes_large_sweeps_from_its_slopes():
    table = scale_table()
    once, each = table["the command"], table["+ each run"]
    assert len(table) == 5
    for count in (10_000, 1_000_000):
        stated = table[f"{count:,} runs"]
        for own, start, slope in zip(stated, once, each, strict=True):
            expected = [a + count * b for a, b in zip(start, slope, strict=True)]
            assert own == pytest.approx(expected, rel=0.1)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("row", "options"), [("", ()), (", `probes=off`", ("probes=off",))])
def test_each_run_takes_the_space_that_the_page_says(row, options):
    work = (*scale.WORK, *options)
    _, each = scale.line(2, scale.sweep_costs(2, work), 4, scale.sweep_costs(4, work))
    (files, folders), (space,), *_ = scale_table()[f"+ each run{row}"]
    assert (each.files, each.folders) == (files, folders)
    assert each.space == pytest.approx(space, rel=0.1)


def test_the_script_explains_itself():
    line = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "--help"]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    assert all(f"  {name} " in done.stdout for name in SECTIONS)


def test_the_cost_of_probes():
    small = replace(TINY, features=16, model=Cnn(channels=[2]), side=4)
    rows = list(probes.rows(1, [probes.ProbedTraining(TINY), probes.ProbedTraining(small)]))
    assert [row.most for row in rows] == [1.02, 1.1, 1.3, 2] * 2
    assert all(row.value > 0 for row in rows)


def test_loops_of_ones_own(monkeypatch):
    work = replace(FEW_IMAGES, features=6, examples=260, epochs=1)
    monkeypatch.setattr(own_loop, "find_spec", lambda name: None)
    rows = list(own_loop.rows(1, work, epochs=2, short=(9, 12)))
    assert [row.most for row in rows] == [1.05, 1.05, 1.02, 1.1, 1.3, 2, None, None]
    assert [row.what for row in rows[:2]] == [f"GradientProbe, {n} steps" for n in (9, 12)]
    assert own_loop.SHORT == (200, 2_000)
    assert all(row.value > 0 for row in rows[:6])
    assert all("not installed: pip install" in row.other for row in rows[6:])


@pytest.mark.slow
@pytest.mark.skipif(find_spec("lightning") is None, reason="Lightning is not installed")
@pytest.mark.filterwarnings("default")
def test_lightning_and_backpack():
    rows = list(own_loop.rows(1, replace(FEW_IMAGES, features=6, examples=260), 1, short=(9,)))
    assert all(row.value > 0 for row in rows if "not installed" not in row.other)
    assert rows[5].value > 0
