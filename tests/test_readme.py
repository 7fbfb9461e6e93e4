"""Every command and every program in the README is run, as a reader would."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.support import mnist_folder

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:<!-- example: (\S+) -->\n)?```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.partition("#")[0].strip()
    for _, language, block in BLOCKS
    if language == "bash"
    for line in block.splitlines()
]
TRAINING = [line for line in COMMANDS if line.startswith("python scripts/train.py")]
GOING_ON = [line for line in TRAINING if "runs/mine" in line]
LECTURE = [line for line in COMMANDS if line.startswith("python scripts/lecture.py")]
READERS = re.compile(r"python scripts/(explain|compare|report|verify)")
READING = [line for line in COMMANDS if READERS.match(line)]
MAKE = [line.split()[1] for line in COMMANDS if line.startswith("make ")]


def run(line: str, folder: Path) -> subprocess.CompletedProcess:
    words = shlex.split(line.replace("scripts/", f"{ROOT}/scripts/"))
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def example(name: str) -> str:
    (block,) = [block for marked, _, block in BLOCKS if marked == name]
    return block


def test_every_command_is_of_a_kind_that_is_tested_here():
    known = {
        *TRAINING,
        *LECTURE,
        *READING,
        *(f"make {target}" for target in MAKE),
        "tensorboard --logdir runs",
    }
    assert set(COMMANDS) == known
    assert len(TRAINING) > 10


@pytest.mark.parametrize("line", [TRAINING[0], *LECTURE])
def test_the_command_works(line, tmp_path):
    shown = run(line, tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.strip() == ""


@pytest.mark.parametrize("line", [line for line in TRAINING[1:] if line not in GOING_ON])
def test_the_training_works(line, tmp_path, monkeypatch, capfd):
    """In this process: to start another takes longer than most of them."""
    from mlr.app.command import main

    if "mnist_mlp" in line:
        source, cache = mnist_folder(), tmp_path / "cache" / "mlr" / "mnist"
        if not source.exists():
            pytest.skip(f"the real MNIST files are not in {source}; set MLR_MNIST")
        shutil.copytree(source, cache)
        line += " epochs=1"  # the whole run is tested with the slow tests
    (tmp_path / "my_parts.py").write_text(example("my_parts.py"), encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(line)[1:])
    capfd.readouterr()
    try:
        code = main()
    except SystemExit as end:  # Hydra's own --help
        code = end.code or 0
    shown = capfd.readouterr()
    assert code == 0, shown.err
    assert shown.err.strip() == ""
    assert shown.out.strip()


def test_a_run_goes_on_and_its_checkpoint_is_read(tmp_path, monkeypatch, capfd):
    from mlr.app.command import main

    monkeypatch.chdir(tmp_path)
    for line in GOING_ON:
        monkeypatch.setattr(sys, "argv", shlex.split(line)[1:])
        assert main() == 0
    assert "epochs: 40" in (tmp_path / "runs/mine/.hydra/config.yaml").read_text()
    shown = capfd.readouterr()
    assert "mlr: the run came to its end; it goes on after" in shown.err
    exec(example("read_checkpoint.py"), {})
    assert capfd.readouterr().out.strip() == "torch.Size([10, 64])"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with the runs of a small sweep."""
    folder = tmp_path_factory.mktemp("trained")
    line = "python scripts/train.py -m head=clipped_linear,softmax loss=se seed=0,1,2 epochs=3"
    shown = run(line, folder)
    assert shown.returncode == 0, shown.stderr
    return folder


@pytest.mark.parametrize("line", READING)
def test_runs_are_read_by_the_command(line, trained):
    shown = run(line, trained)
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.strip() == ""
    if "report" in line:
        assert "clipped_linear" in (trained / "runs" / "report.html").read_text(encoding="utf-8")
    elif "verify" in line:
        assert re.search(r"files in 7 folders: \d+ ok$", shown.stdout.strip())
    else:
        assert "clipped_linear" in shown.stdout


def test_the_notebook_example_loads_the_runs(trained):
    program = example("notebook") + "print(len(runs), len(steps))"
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=trained, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    count, rows = map(int, shown.stdout.split())
    assert count == 6
    assert rows > 100


def test_the_example_of_your_own_head_learns_and_is_consistent(tmp_path, monkeypatch):
    import torch

    scope: dict = {}
    exec(example("my_parts.py"), scope)
    head = scope["Arctan"]()
    z = torch.linspace(-5, 5, 11, dtype=torch.float64).unsqueeze(1).requires_grad_()
    (gradient,) = torch.autograd.grad(head.potential(z).sum(), z)
    torch.testing.assert_close(gradient, head(z).detach())
    (slope,) = torch.autograd.grad(head(z).sum(), z)
    torch.testing.assert_close(slope, head.slope(z).detach())


def test_the_library_example_prints_a_gradient(tmp_path):
    (program,) = [block for name, kind, block in BLOCKS if kind == "python" and not name]
    assert "from mlr import Objective" in program
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert "-1.0306e-09" in shown.stdout


@pytest.mark.parametrize("target", MAKE)
def test_the_make_target_exists(target):
    shown = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert re.search(rf"^{target}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_pictures_and_files_named_exist():
    for path in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_the_table_of_pairs_is_the_programs_own():
    from mlr.checks import InputError
    from mlr.heads import HEADS
    from mlr.objectives.pairs import check_pair, find_head

    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", README, re.M)
    assert {row[0] for row in rows} == {head.name for head in HEADS}
    for head, *cells in rows:
        least = find_head(head).range.least_outputs
        for loss, cell in zip(("se", "bce", "ce"), cells, strict=True):
            for outputs in (1, 3):
                if outputs < least:
                    continue
                several_refused = "more: refused" in cell and outputs > 1
                refused = cell.startswith("refused") or several_refused
                try:
                    check_pair(head, loss, outputs)
                    found = False
                except InputError:
                    found = True
                assert found == refused, (head, loss, outputs)
