"""Output folders: any visible name is allowed, and no place where runs would do harm."""

from __future__ import annotations

import sys

import pytest

from mlr.app.config.output_paths import ROOT, check_place
from mlr.core.checks import InputError
from mlr.core.text import printable

GOOD = ["a b", "😀", "-x", "--help", "a=b", "a,b", "ü", "it's", 'a"b', "a;b", "$HOME", "a" * 255]
GOOD += ["~", "*", "#x", "[1]", "(a)", "a:b", "&", "日本", "\u200d"]
BAD = {
    "/": "root of all files",
    "//": "root of all files",
    "": "is empty",
    "  ": "is empty",
    "a\nb": "none can see",
    "a\tb": "none can see",
    "\x1b[31m": "none can see",
    "a\x00": "none can see",
    "a\u202eb": "none can see",
    "a\udcffb": "not UTF-8",
    "a" * 256: "more than 255 bytes",
    "ü" * 128: "more than 255 bytes",
    "a/" * 2100: "File name too long",
    str(ROOT): "mlr's own code",
    f"{ROOT}/mlr": "mlr's own code",
    f"{ROOT}/configs/x": "mlr's own code",
    f"{ROOT}/runs/../scripts/x": "mlr's own code",
    f"{ROOT}/.git/x": "mlr's own code",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_place_that_can_be_used(name, tmp_path):
    check_place("hydra.run.dir", tmp_path / name)


@pytest.mark.parametrize(("name", "why"), BAD.items(), ids=map(ascii, BAD))
def test_a_place_that_cannot(name, why):
    with pytest.raises(InputError, match=why) as told:
        check_place("hydra.run.dir", name)
    assert len(str(told.value)) <= 190
    assert printable(str(told.value)) == str(told.value)


@pytest.mark.parametrize("name", [".", "x/..", "./"])
def test_where_a_person_stands(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is where you stand"):
        check_place("hydra.run.dir", name)


@pytest.mark.parametrize(("below", "up"), [("scripts", ".."), ("configs/data", "../..")])
def test_inside_the_code_one_is_told_where_to_go(tmp_path, monkeypatch, below, up):
    monkeypatch.chdir(ROOT / below)
    with pytest.raises(InputError) as told:
        check_place("hydra.run.dir", "runs/2026-01-31/12-00-00-sigmoid+se-1a2b3c")
    assert str(told.value) == (
        f"{ROOT / below} belongs to mlr itself, so no runs are written below it; "
        f"change to another folder, as by cd {up}, or set hydra.run.dir."
    )
    check_place("hydra.run.dir", tmp_path / "mine")


def test_a_circle_of_links(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for name in ("a", "a/below"):
        with pytest.raises(InputError, match="Too many levels of symbolic links"):
            check_place("hydra.run.dir", tmp_path / name)


def test_a_link_into_the_code(tmp_path):
    (tmp_path / "a").symlink_to(ROOT / "mlr")
    with pytest.raises(InputError, match="own code"):
        check_place("hydra.run.dir", tmp_path / "a" / "x")


RUN = ("data=neuron", "head=sigmoid", "loss=bce", "batch_size=1", "epochs=1")


def trained(train, name):
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    finished = train(*RUN, f'hydra.run.dir="{quoted}"')
    assert finished.code == 0, finished.err
    assert [run.name for run in finished.runs] == [name]
    assert "Traceback" not in finished.err
    return finished


def test_a_name_like_an_option_stays_a_name(train):
    finished = trained(train, "-x 😀=,")
    assert "board.py './-x 😀=,'" in finished.out


@pytest.mark.faults
@pytest.mark.parametrize("name", sorted({*GOOD} - {"$HOME"}))
def test_a_run_in_a_place_of_any_name(train, name):
    trained(train, name)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
@pytest.mark.parametrize(
    ("line", "why"),
    [
        ((*RUN, "hydra.run.dir='gr\udcfc'"), "not UTF-8"),
        (("-m", "data=csv", "data.path='gr\udcfc.csv'", "seed=0,1"), "not UTF-8"),
        # judged by the composed value, which Hydra 1.3 and 1.4 come to in different ways
        ((*RUN, "hydra.run.dir=${oc.env:ROOT_OF_ALL}"), "root of all files"),
        (("-m", *RUN, "seed=0,1", "hydra.sweep.dir=${oc.env:ROOT_OF_ALL}"), "root of all files"),
    ],
)
def test_a_place_of_no_use_is_refused_by_the_command(train, tmp_path, monkeypatch, line, why):
    monkeypatch.setenv("ROOT_OF_ALL", "/")
    finished = train(*line)
    assert finished.code == 2
    assert why in finished.err
    assert finished.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_long_names_of_a_sweep_are_cut_and_told_apart(train, tmp_path):
    paths = [f"{tmp_path}/{'x' * 200}{number}.csv" for number in (1, 2)]
    line = ("-m", "data=csv", f"data.path={','.join(paths)}", f"hydra.sweep.dir={tmp_path}/sweep")
    assert train(*line).code == 2  # the files are not there
    assert "x" * 100 in (tmp_path / "sweep" / "runs.csv").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 😀", "plain ü 😀"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\u202eb", "a\\u202eb"),
        ("a\udcffb", "a\\udcffb"),
        ("a\x9bb", "a\\x9bb"),
    ],
)
def test_what_is_unseen_is_written_out(text, shown):
    assert printable(text) == shown
