"""--help says what each choice and each option is, in 80 columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mlr.app.cli.command import CONFIGS
from mlr.app.config.catalogue import comments
from tests.looping import looped

FILES = sorted(path for path in CONFIGS.glob("*/*.yaml") if path.parent.name != "hydra")


@pytest.fixture(scope="module")
def helped(tmp_path_factory):
    """Output of --help, with and without choices."""
    import contextlib
    import io
    import sys

    from mlr.app.cli.command import main

    def run(*words: str) -> str:
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
            patch.chdir(tmp_path_factory.mktemp("help"))
            patch.setattr(sys, "argv", ["train.py", "--help", *words])
            with pytest.raises(SystemExit) as end:
                main()
        assert end.value.code == 0
        return printed.getvalue()

    return {words: run(*words) for words in [(), ("model=mlp", "probes=full", "optimizer.lr=0.1")]}


def told(text: str, name: str) -> str:
    """Return the text next to a name, its lines joined."""
    lines = text.splitlines()
    (start,) = [place for place, line in enumerate(lines) if line.startswith(f"  {name} ")]
    found = [lines[start].removeprefix(f"  {name}")]
    for line in lines[start + 1 :]:
        if not re.match(r"\s{10}", line):
            break
        found.append(line)
    return " ".join(" ".join(found).split())


def block(text: str, group: str) -> str:
    return text[text.index(f"\n{group}: ") :].partition("\n\n")[0] + "\n"


@pytest.mark.slow
def test_no_line_is_longer_than_a_terminal(helped):
    for text in helped.values():
        assert max(map(len, text.splitlines())) <= 80


@looped("path", FILES)
def test_every_choice_is_told_by_the_first_comment_of_its_file(helped, path):
    lines = [line for line in path.read_text().splitlines() if "@package" not in line]
    assert lines[0].startswith("# ")
    assert len(lines[0]) <= 160
    said = lines[0].removeprefix("# ").removesuffix(".")  # no entry of the list has a full stop
    assert told(block(helped[()], path.parent.name), path.stem) == said


def test_what_a_student_looks_for_is_there(helped):
    text = helped[()]
    assert "½ Σ_k (y_k − t_k)² per example" in told(block(text, "loss"), "se")
    assert "torch's MSELoss has no ½" in told(block(text, "loss"), "se")
    assert "saturated neuron" in told(block(text, "experiment"), "neuron")
    assert "every:10" in told(text, "probes.points=200")
    assert told(text, "batch_size=32") == "examples per update"
    assert told(text, "sweep.yes=false").startswith("true: run more than 10,000 jobs")
    assert told(text, "objective.strict=true").startswith("false: run a pair")


def test_what_is_chosen_is_shown_with_its_options(helped):
    (text,) = [text for words, text in helped.items() if words]
    assert "\n  model=mlp\n" in text
    assert told(text, "optimizer.lr=0.1") == "learning rate"
    assert "units of each hidden layer" in told(text, "model.widths=[128]")
    assert told(text, "probes.figures=6").startswith("number of updates with figures")


@looped("path", FILES)
def test_every_option_has_a_comment(path):
    if path.parent.name == "experiment":
        return
    keys = {*yaml.safe_load(path.read_text())} - {"_target_", "defaults"}
    assert keys <= comments(path.parent.name, path.stem).keys()


def test_every_root_option_has_a_comment(helped):
    text = Path(CONFIGS, "train.yaml").read_text().replace("${usual_loss:${head}}", "ce")
    values = yaml.safe_load(text)
    for key, value in values.items():
        if key in ("defaults", "hydra"):
            continue
        inner = value if isinstance(value, dict) else {"": value}
        for name in inner:
            whole = f"{key}.{name}".rstrip(".")
            assert re.search(rf"^  {whole}=\S+ +\S", helped[()], re.M), whole
