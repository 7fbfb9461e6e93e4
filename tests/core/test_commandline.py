"""Commands are printed as the person called the one that prints them, and can be pasted."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from mlr.core import commandline
from mlr.core.commandline import command, for_others

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("called", "interpreter", "start"),
    [
        ("/env/bin/mlr", "/env/bin/python", "mlr train"),
        ("mlr", "python", "mlr train"),
        (".venv/bin/mlr", "python", ".venv/bin/mlr train"),
        ("scripts/compare.py", "python", "python scripts/train.py"),
        ("./scripts/compare.py", "python3", "python3 scripts/train.py"),
        ("scripts/compare.py", ".venv/bin/python", ".venv/bin/python scripts/train.py"),
        (f"{ROOT}/scripts/verify.py", "python", f"python {ROOT}/scripts/train.py"),
        (f"{ROOT}/mlr/__main__.py", "python", "python -m mlr train"),
        ("/x/ipykernel_launcher.py", "python", "mlr train"),  # a notebook
        # pytest, and a script of the same name elsewhere
        ("/x/pytest/__main__.py", "python", "python scripts/train.py"),
        ("other/train.py", "python", "python scripts/train.py"),
    ],
)
def test_a_command_has_the_form_of_the_call(monkeypatch, called, interpreter, start):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(commandline.shutil, "which", lambda name: "/env/bin/mlr")
    monkeypatch.setattr(sys, "argv", [called, "x"])
    monkeypatch.setattr(sys, "orig_argv", [interpreter, called, "x"])
    assert command("train", "head=sigmoid") == f"{start} head=sigmoid"


def test_inside_scripts_the_folder_is_left_out(monkeypatch):
    monkeypatch.chdir(ROOT / "scripts")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py"])
    assert command("explain", "runs") == "python explain.py runs"


def test_without_a_repository_the_installed_command_is_meant(monkeypatch, tmp_path):
    monkeypatch.setattr(commandline, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(sys, "argv", ["notebook.py"])
    assert command("train") == "mlr train"


@pytest.mark.parametrize(
    ("called", "told"),
    [
        (".venv/bin/mlr", "mlr lecture 2"),
        (f"{ROOT}/scripts/lecture.py", "python scripts/lecture.py 2"),
        (f"{ROOT}/mlr/__main__.py", "mlr lecture 2"),
    ],
)
def test_pages_for_others_name_no_place_of_this_machine(monkeypatch, called, told):
    monkeypatch.setattr(sys, "argv", [called])
    assert for_others("lecture", "2") == told


def test_words_are_quoted_for_the_shell(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mlr"])
    words = ["a b", "seed=range(0,3)", "it's"]
    assert shlex.split(command("train", *words)) == ["mlr", "train", *words]


def test_no_other_place_writes_a_command_down():
    for path in (ROOT / "mlr").rglob("*.py"):
        if "benchmark" in path.parts or path.name == "commandline.py":
            continue  # these are started in a repository only
        code = re.sub(r'"""(.|\n)*?"""', "", path.read_text(encoding="utf-8"))
        assert not re.search(r"python scripts/|scripts/\w+\.py", code), path
