"""The programs of the pages on loops run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlr.records.reading import read_runs
from tests.loop.loops import table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "mlr" / "docs"
TEXT = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("own_loop.md", "trainers.md"))
EXAMPLES = dict(re.findall(r"<!-- example: (\S+) -->\n```python\n(.*?)```", TEXT, re.DOTALL))


def test_the_loops_record_what_they_promise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("own_loop.py", "own_loop_validation.py", "own_loop_check.py", "own_loop_amp.py")
    exec("".join(EXAMPLES[name] for name in names), {})
    validated = table(tmp_path / "runs" / "validated")
    at = [row["step"] for row in validated if row["accuracy/val"] == row["accuracy/val"]]
    assert at == [80, 160, 240]
    (run,) = read_runs(tmp_path / "runs" / "validated")
    assert run.metrics["loss/val"] == pytest.approx(validated[-1]["loss/val"])
    assert (run.setting("data"), run.seed, run.pair) == ("mine", 3, "softmax+ce")
    mine, amp = (table(tmp_path / "runs" / name) for name in ("mine", "amp"))
    assert mine[0]["step"] == 0
    assert [row["step"] for row in mine] == [*range(8), *range(8, 100, 8)]
    assert mine[0]["logit_grad/wrong"] > 0
    assert amp[-1]["step"] <= 49
    assert amp[-1]["sample_grad/mean"] < 100


@pytest.mark.parametrize(("name", "more"), [("mlr", {"PYTHONPATH": "mlr"}), ("mlr-lab", {})])
def test_a_script_next_to_the_clone_finds_mlr(tmp_path, name, more):
    (tmp_path / name).symlink_to(ROOT)
    (tmp_path / "script.py").write_text("from mlr import core\nprint(core.__file__)")
    assert f"PYTHONPATH={name} python script.py" in TEXT or f"git clone … {name}" in TEXT
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=own | more, capture_output=True, text=True
    )
    assert Path(done.stdout.strip()).name == "__init__.py", done.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_callback_is_taken_by_a_trainer(tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(EXAMPLES["own_loop_lightning.py"], scope)
    kinds = [type(callback).__name__ for callback in scope["trainer"].callbacks]
    assert "GradientProbeCallback" in kinds


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_trainings_of_hugging_face_are_recorded(tmp_path, monkeypatch):
    pytest.importorskip("transformers", reason="make test-extras installs it")
    monkeypatch.chdir(tmp_path)
    from accelerate.state import AcceleratorState, GradientState

    scope: dict = {}
    for name in ("trainers_huggingface.py", "trainers_accelerate.py"):
        AcceleratorState._reset_state(reset_partial_state=True)  # a process has one accelerator
        GradientState._reset_state()
        exec(EXAMPLES[name], scope)
    words, accelerated = (table(tmp_path / "runs" / name) for name in ("words", "accelerated"))
    assert words[-1]["loss/train"] < words[0]["loss/train"] / 2
    assert accelerated[-1]["loss/train"] < accelerated[0]["loss/train"]
    assert accelerated[-1]["step"] <= 49
