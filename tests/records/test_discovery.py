"""Folders are looked through once, and what nobody may look into is told."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest

from mlr.core.checks import UnreadableError
from mlr.records.discovery import folders_below
from mlr.records.run_folder import read_status

NOBODY = 65534


@contextmanager
def closed(*places, mode=0o000):
    """Places that nobody may look into, root neither."""
    root = not os.geteuid()
    above = [one for one in places[0].parents if root and not one.stat().st_mode & 0o001]
    modes = {one: one.stat().st_mode for one in (*above, *places)}
    for one in above:
        one.chmod(0o755)
    for one in places:
        one.chmod(mode)
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for one, before in modes.items():
            one.chmod(before)


@pytest.fixture
def tree(tmp_path):
    for name in ("a/status.json", "b/c/status.json", "d/runs.csv", "e/f/metrics.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(top):
    """Paths of runs and sweeps below `top`, and why one is not looked into."""
    folders = list(folders_below(top))
    runs = {str(one.path.relative_to(top)): one.problem for one in folders if one.is_run}
    return runs, [str(one.path.relative_to(top)) for one in folders if one.is_sweep]


def test_runs_and_sweeps_at_any_depth(tree):
    assert found(tree) == ({"a": "", "b/c": ""}, ["d"])


def test_a_folder_that_lost_its_status_is_still_a_runs(tree):
    (tree / "e/f/checkpoint.safetensors").touch()
    assert found(tree)[0] == {"a": "", "b/c": "", "e/f": ""}


def test_a_folder_that_nobody_may_look_into_is_told(tree):
    with closed(tree / "a", tree / "b"):
        runs, _ = found(tree)
    denied = "cannot be read: Permission denied."
    assert runs == {name: f"{tree / name} {denied}" for name in ("a", "b")}


@pytest.mark.parametrize(("place", "mode"), [("a/status.json", 0o000), ("a", 0o744)])
def test_a_file_that_nobody_may_read_is_told(tree, place, mode):
    with closed(tree / place, mode=mode):
        assert found(tree)[0] == {"a": "", "b/c": ""}
        with pytest.raises(UnreadableError, match=r"status\.json cannot be read: Permission"):
            read_status(tree / "a")


@pytest.mark.parametrize("target", ["run", "sweep", "other", "inner"])
def test_a_link_to_runs_elsewhere_is_told(tree, tmp_path_factory, target):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("run/status.json", "sweep/sweep.yaml", "other/file"):
        (elsewhere / name).parent.mkdir()
        (elsewhere / name).touch()
    leads_to = tree / "a" if target == "inner" else elsewhere / target
    (tree / "link").symlink_to(leads_to)
    problem = f"{tree}/link is a link, which is not followed: give {leads_to} itself."
    told = {"link": problem} if target in ("run", "sweep") else {}
    assert found(tree)[0] == {"a": "", "b/c": ""} | told


def test_links_in_a_circle_end(tree):
    (tree / "b/up").symlink_to(tree)
    (tree / "b/itself").symlink_to(tree / "b/itself")
    assert found(tree)[0] == {"a": "", "b/c": ""}
