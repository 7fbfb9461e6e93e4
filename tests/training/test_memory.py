from __future__ import annotations

import pytest

from mlr.models import Mlp
from mlr.probes import ProbeSettings
from mlr.training import memory
from tests.training.conftest import dataset, experiment


def test_a_limit_of_a_group_counts(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 50\n")
    names = memory._LIMITS["/sys/fs/cgroup"]
    assert memory._left(tmp_path, names) == 350
    (tmp_path / "memory.current").write_text("1100\n")
    assert memory._left(tmp_path, names) == 0
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._left(tmp_path, names) is None
    assert memory._left(tmp_path / "none", names) is None


def group(folder, limit, used, names=("memory.max", "memory.current")):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text("inactive_file 50\ntotal_inactive_file 70\n")


def test_the_least_of_all_limits_is_free(tmp_path, monkeypatch):
    """Of the machine, of every group around the process, and of those of the first version."""
    monkeypatch.setattr(
        memory, "Path", lambda *parts: tmp_path.joinpath(*(part.lstrip("/") for part in parts))
    )
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:      8000 kB\n")
    assert memory.free_bytes("cpu") == 8000 * 1024
    (tmp_path / "proc/self/cgroup").write_text("0::/user/job\n3:cpu,memory:/old:er\n")
    unified = tmp_path / "sys/fs/cgroup"
    group(unified / "user/job", "max", 10)
    assert memory.free_bytes("cpu") == 8000 * 1024
    group(unified / "user", 90_000, 1_000)
    assert memory.free_bytes("cpu") == 90_000 - 1_000 + 50
    older = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    group(unified / "memory/old:er", 9_000, 1_000, older)
    assert memory.free_bytes("cpu") == 9_000 - 1_000 + 70
    group(unified / "memory", 800, 100, older)
    assert memory.free_bytes("cpu") == 800 - 100 + 70


def test_something_is_free():
    assert memory.free_bytes("cpu") > 1 << 20


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float64", 8)])
def test_what_one_more_run_takes(dtype, size):
    changes = {"probes": ProbeSettings(points=0, histograms=0), "dtype": dtype, "batch_size": 10}
    run = experiment(model=Mlp(widths=[5]), epochs=7, **changes)
    # 3·5 + 5 + 5 + 1 parameters; 3 inputs, flattened once more, 5 logits, 5 activations, 1 output
    parameters, values = 26, 10 * (3 + 3 + 5 + 5 + 1)
    points = 2_000 * 7  # the end of each epoch
    # 50 held-out logits, which are judged and kept with their targets
    last = 50 * (13 * size + 6 * 8) + 9 * 8 * 50 + 2 * size * 50
    expected = size * (22 * parameters + 4 * values) + last + points + 200_000
    assert memory.bytes_per_run(run) == expected
    # training mode is as it was, and so is what the module does
    assert run.module.training


def test_what_a_dataset_takes():
    """8 times three splits of 50 examples: 3 features in float64, and a class in int64."""
    assert memory.bytes_of_data(dataset()) == 8 * 3 * 50 * (3 * 8 + 8)
