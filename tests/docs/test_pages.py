"""Every command, program and output in README and the pages is run, as a reader would."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
import torch

from tests.data.support import mnist_folder
from tests.docs import claims

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "mlr" / "docs").glob("*.md"))]
TEXTS = {path: path.read_text(encoding="utf-8") for path in PAGES}
README = TEXTS[PAGES[0]]
BLOCK = re.compile(r"(?:<!-- (?:example: )?(\S+) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = [block for text in TEXTS.values() for block in BLOCK.findall(text)]
COMMANDS = list(
    dict.fromkeys(
        line.partition("#")[0].strip()
        for _, language, block in BLOCKS
        if language == "bash"
        for line in block.splitlines()
    )
)
TRAINING = [line for line in COMMANDS if line.startswith("python scripts/train.py")]
GOING_ON = [line for line in TRAINING if "runs/mine" in line]
LECTURE = [line for line in COMMANDS if line.startswith("python scripts/lecture.py")]
FIGURES = [line for line in COMMANDS if line.startswith("python scripts/figures.py")]
USING = [line for line in COMMANDS if re.match(r"python scripts/(predict|export)", line)]
PLAYING = [line for line in COMMANDS if line.startswith("python scripts/play.py")]
READERS = re.compile(r"python scripts/(explain|compare|report|verify)")
FOREIGN = [line for line in COMMANDS if line.startswith("python scripts/explain.py logs")]
READING = [line for line in COMMANDS if READERS.match(line) and line not in FOREIGN]
MAKE = [line.split()[1] for line in COMMANDS if line.startswith("make ")]


def words(line: str) -> list[str]:
    """The script's name and its arguments."""
    return shlex.split(line.removeprefix("python scripts/"))


def trained(line: str) -> int:
    """The exit code of scripts/train.py, whose script sets more than a test may leave behind."""
    from mlr.app.cli.command import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words(line))
        try:
            return main()
        except SystemExit as end:  # Hydra's own --help
            return end.code or 0


def example(name: str) -> str:
    """The program of that name; a page may show that of README again."""
    (block,) = {block for marked, _, block in BLOCKS if marked == name}
    return block


def test_every_command_is_of_a_kind_that_is_tested_here():
    known = {
        *TRAINING,
        *LECTURE,
        *READING,
        *FOREIGN,
        *FIGURES,
        *USING,
        *PLAYING,
        *(f"make {target}" for target in MAKE),
        "python scripts/board.py",
    }
    assert set(COMMANDS) == known
    assert len(TRAINING) > 10


def test_the_first_command_works_in_a_process_of_its_own(tmp_path):
    script, *arguments = words(TRAINING[0])
    shown = subprocess.run(
        [sys.executable, ROOT / "scripts" / script, *arguments],
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.strip() == ""
    (block,) = [block for marked, _, block in BLOCK.findall(README) if marked == "output"]
    check_output(block, shown.stdout)


def check_output(block: str, printed: str) -> None:
    """Every line of a page's block was printed; … stands for the rest of a line."""
    lines = printed.splitlines()
    for row in block.splitlines():
        assert any(line.startswith(row.removesuffix("…").rstrip()) for line in lines), row


@pytest.mark.parametrize(
    "page", ["tutorial", "not_learning", pytest.param("figures", marks=pytest.mark.slow)]
)
def test_a_page_prints_what_it_shows(page, tmp_path, script, monkeypatch):
    monkeypatch.setattr("mlr.app.trained.restored.FRAMES", 3)
    printed = ""
    for marked, kind, block in BLOCK.findall(TEXTS[ROOT / "mlr" / "docs" / f"{page}.md"]):
        if marked == "output":
            check_output(block, printed)
        elif kind == "bash":
            printed = ""
            for line in block.splitlines():
                if "board.py" not in line:
                    shown = script(*words(line), folder=tmp_path)
                    assert shown.code == 0, shown.err
                    printed += shown.out


def test_the_page_of_figures_lists_every_file():
    from mlr.app.figures.drawings import CURVES, MOVING
    from mlr.figures.record import PICTURES

    text = TEXTS[ROOT / "mlr" / "docs" / "figures.md"]
    rows = re.findall(r"^\| (`[^|]+) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert listed == {"pair_curves", "matrix", "output", *CURVES, *(one.name for one in PICTURES)}
    moving = re.search(r"^(.+) can move:", text, re.MULTILINE)[1]
    assert set(re.findall(r"`(\w+)`", moving)) == set(MOVING)


@pytest.mark.parametrize("line", LECTURE)
def test_the_lecture_works(line, script, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shown = script(*words(line), folder=tmp_path)
    assert shown.code == 0, shown.err
    assert shown.err.strip() == ""


@pytest.mark.parametrize("line", [line for line in TRAINING[1:] if line not in GOING_ON])
def test_the_training_works(line, tmp_path, monkeypatch, capfd):
    """Without its figures, but for those of the first command; of seeds by the dozen two."""
    monkeypatch.setattr("mlr.figures.record.PICTURES", ())
    line = re.sub(r"seed=range\(0,\d+\)", "seed=range(0,2)", line)
    if "mnist_mlp" in line:
        source, cache = mnist_folder(), tmp_path / "cache" / "mlr" / "mnist"
        if not source.exists():
            pytest.skip(f"the real MNIST files are not in {source}; set MLR_MNIST")
        shutil.copytree(source, cache)
        line += " steps=100"  # the whole run is tested with the slow tests
    if "model=cnn" in line:
        line += " steps=5"
    if "my_parts." in line:
        line += " epochs=3"
    for name in ("my_parts.py", "my_net.py", "my_augmented.py"):
        (tmp_path / name).write_text(example(name), encoding="utf-8")
    rows = [f"{n % 2}.{n},{n % 7},{('rose', 'tulip')[n % 2]}" for n in range(120)]
    table = "\n".join(["length,width,species", *rows])
    (tmp_path / "flowers.csv").write_text(table, encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    code = trained(line)
    shown = capfd.readouterr()
    assert code == 0, shown.err
    assert shown.err.strip() == ""
    assert shown.out.strip()
    experiment = re.search(r"-m experiment=(\w+)", line)
    if experiment and " epochs=" not in line:  # claims are of runs of the whole length
        claims.check(experiment[1], tmp_path, shown.out)


def test_a_run_goes_on_and_its_checkpoint_is_read(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlr.figures.record.PICTURES", ())
    for line in GOING_ON:
        assert trained(line) == 0
    assert "epochs: 40" in (tmp_path / "runs/mine/.hydra/config.yaml").read_text()
    shown = capfd.readouterr()
    assert "mlr: the run continues after" in shown.err
    exec(example("read_checkpoint.py"), {})
    assert capfd.readouterr().out.strip() == "torch.Size([10, 64])"


def test_a_run_predicts_and_is_exported(tmp_path, monkeypatch, capfd, script):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlr.figures.record.PICTURES", ())
    rows = [f"{a % 7},{a % 5},{'xyz'[a % 3]}" for a in range(60)]
    Path("flowers.csv").write_text("\n".join(["long,wide,species", *rows]))
    (line,) = [line for line in TRAINING if "runs/flowers" in line]
    assert trained(line) == 0
    for line in USING:
        shown = script(*words(line), folder=tmp_path)
        assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("exported     runs/flowers/export: model.pt2, inputs.json\n")
    assert len(Path("predictions.csv").read_text().splitlines()) == 61
    capfd.readouterr()
    exec(example("run_export.py"), {})
    assert capfd.readouterr().out.startswith("tensor([[")
    exec(example("plain_module.py"), found := {})
    network, values = found["network"], [[1.0, 2.0], [3.0, 4.0]]
    about = json.loads(Path("runs/flowers/inputs.json").read_text())["scaling"]
    x = (torch.tensor(values) - torch.tensor(about["offset"])) / torch.tensor(about["divisor"])
    program = torch.export.load("runs/flowers/export/model.pt2").module()
    expected = program(torch.tensor(values, dtype=torch.float64))
    torch.testing.assert_close(network(x).softmax(1), expected, rtol=1e-5, atol=1e-6)
    assert len(USING) == 3


def test_a_run_is_played_by_the_commands(script, tmp_path):
    with chdir(tmp_path):
        assert trained("python scripts/train.py experiment=xor model.widths=[8] epochs=1") == 0
        (run,) = Path("runs").glob("*/*")
    for line in PLAYING:
        line = re.sub(r"runs/\S+", str(run), line)
        shown = script(*words(line), folder=tmp_path)
        assert (shown.code, shown.err) == (0, "")
        assert shown.out == "page         playground.html\n"
    assert "those of " in (tmp_path / "playground.html").read_text(encoding="utf-8")
    assert len(PLAYING) == 2


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """A folder with the runs of a small sweep."""
    folder = tmp_path_factory.mktemp("swept")
    with chdir(folder):
        line = "python scripts/train.py -m head=clipped_linear,softmax loss=se seed=0,1,2 epochs=3"
        assert trained(f"{line} probes.figures=0") == 0
    return folder


@pytest.mark.parametrize("line", READING)
def test_runs_are_read_by_the_command(line, script, swept):
    shown = script(*words(line), folder=swept)
    found = "--exit-code" in line  # there is a fault in the sweep
    assert shown.code == found, shown.err
    assert shown.err.strip() == ""
    if "report" in line:
        assert "clipped_linear" in (swept / "runs" / "report.html").read_text(encoding="utf-8")
    elif "verify" in line:
        assert re.search(r"files in 7 folders: \d+ ok$", shown.out.strip())
    else:
        assert "clipped_linear" in shown.out


def test_event_files_of_another_program_are_explained(script, tmp_path):
    with chdir(tmp_path):
        exec(example("foreign_logs.py"), {})
    page = TEXTS[ROOT / "mlr" / "docs" / "foreign_logs.md"]
    (block,) = [block for marked, _, block in BLOCK.findall(page) if marked == "output"]
    for line in FOREIGN:
        shown = script(*words(line), folder=tmp_path)
        assert (shown.code, shown.err) == (0, "")
        check_output(block, shown.out)
    assert len(FOREIGN) == 2


def test_every_rule_for_curves_has_its_place():
    from mlr.diagnosis.curves import REMARKS, RULES

    text = TEXTS[ROOT / "mlr" / "docs" / "foreign_logs.md"]
    rows = re.findall(r"^\| `(\w+)` \| (remark: )?", text, re.MULTILINE)
    assert [name for name, remark in rows if not remark] == [*RULES]
    assert [name for name, remark in rows if remark] == [*REMARKS]


def test_the_notebook_example_displays_the_runs(swept):
    scope: dict = {}
    with chdir(swept):
        exec(example("notebook"), scope)
    assert repr(scope["found"]) == "ComparisonDisplay(2 rows of 6 runs by pair)"


def test_the_example_of_a_table_loads_the_runs(swept):
    scope: dict = {}
    with chdir(swept):
        exec(example("table"), scope)
    assert len(scope["runs"]) == 6
    assert len(scope["steps"]) > 100


def test_the_example_of_figures_draws_the_runs(swept):
    with chdir(swept):
        exec(example("plots.py"), {})
    assert (swept / "accuracy.pdf").read_bytes().startswith(b"%PDF")


def test_the_example_of_parts_of_your_own_is_consistent():
    """The head with its potential and slope, by autograd; loss, model and data by values."""
    import torch

    scope: dict = {}
    exec(example("my_parts.py"), scope)
    y, t = torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    assert scope["Quartic"]()(y, t).tolist() == [(16 + 1) / 4]
    assert scope["Margin"]()(y, t).tolist() == [0 + 2**2]
    assert scope["Net"]((1, 8, 8), 10, width=4)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    data = scope["Rings"](n=400).load(seed=0)
    assert [len(split) for split in (data.train, data.val, data.test)] == [200, 100, 100]
    for split in (data.train, data.val, data.test):
        inside = split.features.norm(dim=-1) < 1.5
        assert torch.equal(inside, split.targets == 0)
    head = scope["Arctan"]()
    z = torch.linspace(-5, 5, 11, dtype=torch.float64).unsqueeze(1).requires_grad_()
    (gradient,) = torch.autograd.grad(head.potential(z).sum(), z)
    torch.testing.assert_close(gradient, head(z).detach())
    (slope,) = torch.autograd.grad(head(z).sum(), z)
    torch.testing.assert_close(slope, head.slope(z).detach())


def test_one_line_takes_the_place_of_cross_entropy():
    scope: dict = {}
    exec(example("replaced.py"), scope)
    assert scope["loss"].item() == pytest.approx(scope["theirs"].item(), rel=1e-6)
    assert scope["model"].weight.grad.isfinite().all()


def test_the_library_example_prints_a_gradient(capfd):
    """−(1 − σ(z))/2 for both examples; torch's own loss gives 0 for the first."""
    import torch

    scope: dict = {}
    exec(example("objective.py"), scope)
    assert "-1.0306e-09" in capfd.readouterr().out
    page = TEXTS[ROOT / "mlr" / "docs" / "objective.md"]
    for z, found in zip((20.0, -3.0), scope["logits"].grad[:, 0].tolist(), strict=True):
        assert found == pytest.approx(-0.5 / (1 + math.exp(z)), rel=1e-6)
    assert "−1.0306e−09 for the first" in page
    assert "−0.4763 for the second" in page
    logits = scope["logits"].detach().requires_grad_()
    torch.nn.functional.binary_cross_entropy_with_logits(logits, scope["targets"]).backward()
    assert logits.grad[0].item() == 0


@pytest.mark.parametrize("target", MAKE)
def test_the_make_target_exists(target):
    shown = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert re.search(rf"^{target}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Names that links to the headings of a page have."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", TEXTS[page]):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(TEXTS[target]), link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_is_short_and_begins_with_its_purpose(page):
    lines = TEXTS[page].splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) <= (130 if page.stem == "README" else 199)
    assert page.stem == "README" or lines[2].startswith("This page ")


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda path: path.stem)
def test_a_page_says_a_thing_once(page):
    text = re.sub(r"```.*?```", "", TEXTS[page], flags=re.DOTALL)
    sentences = [one.strip() for one in re.split(r"(?<=[.:?])\s", text.replace("\n", " "))]
    long = [one for one in sentences if len(one) > 30]
    assert sorted(long) == sorted(set(long))


def test_every_page_is_linked_from_readme_and_the_index():
    for page in PAGES[1:]:
        assert f"(mlr/docs/{page.name})" in README
        assert page.stem == "index" or f"({page.name})" in TEXTS[page.with_name("index.md")]


def test_the_table_of_pairs_is_the_programs_own():
    from mlr.core.checks import InputError
    from mlr.heads import HEADS
    from mlr.objectives.compatibility import check_pair, find_head

    text = TEXTS[ROOT / "mlr" / "docs" / "heads_and_losses.md"]
    found = re.findall(r"^\| (`.+?`) \| [^|]+ \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.M)
    rows = [(head, *cells) for heads, *cells in found for head in re.findall(r"\w+", heads)]
    described = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", text, re.M)
    rows += [(head, *["refused"] * 3) for head in described]
    rows = [row for row in rows if row[0] in {head.name for head in HEADS}]
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


def test_every_rule_of_explain_has_its_place():
    from mlr.analysis.explain.diagnose import RULES

    text = TEXTS[ROOT / "mlr" / "docs" / "not_learning.md"]
    assert {*re.findall(r"^(?:- )?`(\w+)`:", text, re.MULTILINE)} == {*RULES}


def test_every_rule_for_programs_has_its_place():
    from mlr.analysis.explain.diagnose import PROGRAM_RULES, RULES, page

    text = TEXTS[ROOT / "mlr" / "docs" / "program_faults.md"]
    sections = {
        section.partition("\n")[0].lower().replace(",", "").replace(" ", "-"): section
        for section in text.split("\n## ")[1:]
    }
    listed = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)))
    assert sorted(listed) == sorted({*PROGRAM_RULES} - {*RULES})
    for rule in listed:
        path, _, anchor = page(rule).partition("#")
        assert ROOT / path == ROOT / "mlr" / "docs" / "program_faults.md"
        assert f"`{rule}`" in sections[anchor]


def test_every_exit_code_is_on_the_page_of_runs():
    """Codes of the errors by their classes, the others by name."""
    from mlr.app.cli import main
    from mlr.app.run import job, signals
    from mlr.app.sweep import sweep
    from mlr.core.checks import InputError
    from mlr.core.durable import WriteError
    from mlr.records import outcome

    errors, kinds = [InputError, WriteError], set()
    while errors:
        kinds.add(error := errors.pop())
        errors += error.__subclasses__()
    assert len(kinds) > 4
    codes = {0, *signals.EXIT_CODES.values(), main.INTERRUPTED, main.TERMINATED, job.CRASHED}
    codes |= {outcome.DIVERGED, sweep.PARTLY_FAILED}
    codes |= {kind.exit_code for kind in kinds if isinstance(kind.exit_code, int)}
    cells = re.findall(r"^\| ([\d, ]+) \| ", TEXTS[ROOT / "mlr" / "docs" / "runs.md"], re.MULTILINE)
    listed = [int(code) for cell in cells for code in cell.split(",")]
    assert sorted(listed) == sorted(codes)
    assert sorted(codes) == [0, 1, 2, 3, 4, 5, 74, 75, 129, 130, 143]


@pytest.mark.parametrize(("folder", "files"), [("configs", "*/*.yaml"), ("scripts", "[a-z]*.py")])
def test_every_file_of_a_folder_has_its_line(folder, files):
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8").replace("\\|", "|")
    listed = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", text, re.MULTILINE))
    paths = {str(path.relative_to(ROOT / folder)): path for path in (ROOT / folder).glob(files)}
    assert listed.keys() == paths.keys()
    for name, line in listed.items():
        assert line in paths[name].read_text(encoding="utf-8"), name
