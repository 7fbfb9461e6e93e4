from __future__ import annotations

from mlr.training import memory


def test_a_limit_of_a_group_counts(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 50\n")
    names = memory._LIMITS["/sys/fs/cgroup"]
    assert memory._left(tmp_path, names) == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._left(tmp_path, names) is None
    assert memory._left(tmp_path / "none", names) is None


def test_something_is_free():
    assert memory.free_bytes("cpu") > 1 << 20
