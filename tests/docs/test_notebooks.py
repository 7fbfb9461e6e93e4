"""Notebooks run as they are, without outputs in the repository; the exercises can be solved."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from mlr.docs import notebook_pages
from mlr.docs.notebook_pages import NOTEBOOKS, executed, fenced, markdown

pytest.importorskip("nbclient")
BOOKS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in NOTEBOOKS.iterdir()}
QUESTIONS = 8


def source(cell: dict) -> str:
    return "".join(cell["source"])


def cells(name: str, kind: str = "code") -> list[dict]:
    return [cell for cell in BOOKS[name]["cells"] if cell["cell_type"] == kind]


def run(name: str, folder: Path) -> list[str]:
    """Execute a notebook; return the text of each code cell, HTML as its plain text."""
    book = executed(NOTEBOOKS / f"{name}.ipynb", folder)
    shown = []
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            # what a program reports there is a fault
            assert output.get("name") != "stderr", output
        if cell.cell_type == "code":
            texts = [one.get("text") or one.data["text/plain"] for one in cell.outputs]
            shown.append("\n".join(texts).strip())
    assert len(shown) == len(cells(name))
    return shown


def test_every_notebook_is_known():
    assert {*BOOKS} == {*notebook_pages.SHOWN, "solutions"}


@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_imports_what_the_extra_notebook_installs(name):
    text = "\n".join(source(cell) for cell in cells(name))
    imported = set(re.findall(r"^ *(?:import|from) (\w+)", text, re.MULTILINE))
    assert "mlr" in imported
    assert imported - sys.stdlib_module_names <= {"mlr", "torch", "numpy", "pandas", "matplotlib"}


@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_is_stored_without_outputs_and_begins_with_its_purpose(name):
    for cell in cells(name):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    first, second, *_ = BOOKS[name]["cells"]
    heading, blank, purpose, *_ = source(first).splitlines()
    assert heading.startswith("# ")
    assert blank == ""
    assert purpose.startswith("This page ")
    assert second["cell_type"] == "code"
    ids = [cell["id"] for cell in BOOKS[name]["cells"]]
    assert len({*ids}) == len(ids)
    lines = [line for cell in BOOKS[name]["cells"] for line in source(cell).splitlines()]
    assert max(map(len, lines)) <= 120


def test_solutions_differ_from_exercises_in_the_cells_to_complete_only():
    asked, solved = BOOKS["exercises"]["cells"], BOOKS["solutions"]["cells"]
    differing = [
        one["metadata"].get("tags")
        for one, other in zip(asked, solved, strict=True)
        if source(one) != source(other)
    ]
    assert differing == [None] + [["exercise"]] * QUESTIONS
    assert [one["metadata"] for one in asked] == [other["metadata"] for other in solved]


def test_exercises_do_not_contain_their_solutions():
    asked = "\n".join(map(source, BOOKS["exercises"]["cells"]))
    for cell in cells("solutions"):
        if cell["metadata"].get("tags") == ["exercise"]:
            (prediction, *_) = source(cell).splitlines()
            own = {line.strip() for line in source(cell).splitlines()[1:] if "return" in line}
            assert prediction not in asked
            assert not [line for line in own - {"return count"} if line in asked]


@pytest.fixture
def answered(capsys):
    """Executes an exercise's check after the solution, changed; returns what it prints."""
    import torch

    def check(question: int, old: str, new: str) -> str:
        setup, *others = map(source, cells("solutions"))
        answer, judge = others[2 * (question - 1) : 2 * question]
        assert old in answer
        scope: dict = {}
        for code in (setup, answer.replace(old, new), judge):
            exec(code, scope)
        return capsys.readouterr().out.strip()

    before = torch.get_default_dtype()
    yield check
    torch.set_default_dtype(before)


@pytest.mark.parametrize(
    ("question", "old", "new", "missing"),
    [
        (1, "(flips * math.log(p) + ", "(flips + ", "of two heads"),
        (1, "(1 - flips) *", "0 *", "of a head and a tail"),
        (
            1,
            "return (",
            "return (0.3 ** (1 - flips) * 0.7 ** flips).prod().log() + 0 * (",
            "finite",
        ),
        (2, "torch.xlogy(p, p)", "torch.xlogy(q, q)", "does not add up"),
        (2, "torch.xlogy(p, p)", "p * p.log()", "NaN where an entry of p is 0"),
        (3, "0.5 * (y - t)", "(y - t)", "not constant"),
        (3, " + 0.5 * math.log(2 * math.pi)", "", "does not integrate to 1"),
        (4, "z - t", "z", "for target 1"),
        (4, "inside, z - t, 0.0", "inside, z - t, 1.0", "outside of [0, 1]"),
        (5, "(y - t) * y", "(t - y) * y", "falls with z"),
        (5, " * y * (1 - y)", "", "not the slope of the loss"),
        (6, "z = z -", "z = z - 0.5 *", "does not need 11 updates"),
        (7, " / powers.sum(dim=1, keepdim=True)", "", "do not sum to 1"),
        (7, " - z.amax(dim=1, keepdim=True)", "", "not finite"),
        (7, "softmax(z) - t", "t - softmax(z)", "dL/dz is not the slope"),
        (3, "prediction = 0.92", "prediction = None", "write down your prediction"),
    ],
)
def test_a_wrong_answer_is_not_yet_right(answered, question, old, new, missing):
    printed = answered(question, old, new)
    assert printed.startswith("not yet: ")
    assert missing in printed


@pytest.mark.slow
def test_a_first_look(tmp_path):
    shown = run("first_look", tmp_path)
    assert any(text.startswith("ComparisonDisplay(2 rows of 6 runs by ") for text in shown)
    assert "RunDisplay(first: sigmoid+se, done)" in shown
    assert "DiagnosisDisplay(saturated in 1 of 1 runs)" in shown
    assert sum(text.startswith("<Figure size ") for text in shown) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


@pytest.mark.slow
def test_a_loop_of_your_own_is_diagnosed_and_mended(tmp_path):
    shown = run("own_loop", tmp_path)
    faulty, mended = [text for text in shown if text.startswith("DiagnosisDisplay")]
    assert faulty == "DiagnosisDisplay(saturated in 1 of 1 runs)"
    assert mended == "DiagnosisDisplay(no fault)"


@pytest.mark.slow
def test_exercises_as_given_are_not_yet_right(tmp_path):
    shown = run("exercises", tmp_path)
    checks = [text for text in shown if "right" in text or "not yet" in text]
    assert len(checks) == QUESTIONS
    assert all(text.startswith("not yet: ") for text in checks)


@pytest.mark.slow
def test_solutions_are_right(tmp_path):
    """Measured are the numbers of the lecture."""
    shown = run("solutions", tmp_path)
    checks = [text.splitlines()[0] for text in shown if "right" in text or "not yet" in text]
    assert all(text.startswith("right; predicted ") for text in checks)
    measured = [float(text.rpartition(" ")[2]) for text in checks]
    exact = [324, float("inf"), 0.918938533, 0.8085, -0.693147, 22_063, 2.302585]
    assert measured[:-1] == pytest.approx(exact, rel=2e-4)
    assert measured[-1] > 0.9


@pytest.mark.slow
def test_a_warning_is_a_fault(tmp_path):
    import nbformat
    from nbclient.exceptions import CellExecutionError

    code = "import warnings; warnings.warn('old', DeprecationWarning)"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(book, tmp_path / "it.ipynb")
    with pytest.raises(CellExecutionError, match="old"):
        executed(tmp_path / "it.ipynb", tmp_path)


def test_outputs_become_markdown(tmp_path):
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    outputs = [
        new_output("stream", text="\x1b[1mbold\x1b[0m ```\n"),
        new_output("display_data", data={"text/plain": "T", "text/html": "<b>T</b>"}),
        new_output("display_data", data={"text/plain": "F", "image/png": "iVBORw=="}),
        new_output("display_data", data={"text/plain": "plain"}),
    ]
    cell = new_code_cell("1 + 1", outputs=outputs)
    book = new_notebook(cells=[new_markdown_cell("# Title"), cell])
    assert markdown(book, tmp_path, "it").split("\n\n") == [
        "# Title",
        "{download}`Download the notebook <it.ipynb>`.",
        "```ipython3\n1 + 1\n```",
        "````text\nbold ```\n````",
        "```{raw} html\n<b>T</b>\n```",
        "![Figure that the code above draws](it-1.png)",
        "```text\nplain\n```\n",
    ]
    assert (tmp_path / "it-1.png").read_bytes() == b"\x89PNG"[:4]
    assert fenced("text", "a") == "```text\na\n```"


def test_a_page_for_each_that_is_shown(tmp_path, monkeypatch):
    import nbformat

    def executed(path: Path, folder: Path):
        book = nbformat.read(path, as_version=4)
        told = f"executed in {'an empty folder' if not any(folder.iterdir()) else folder}"
        book.cells[1].outputs = [nbformat.v4.new_output("stream", text=told)]
        return book

    monkeypatch.setattr(notebook_pages, "executed", executed)
    notebook_pages.write_pages(tmp_path / "notebooks")
    written = {path.name for path in (tmp_path / "notebooks").iterdir()}
    pages = {"first_look.md", "own_loop.md", "exercises.md"}
    assert written == pages | {f"{name}.ipynb" for name in BOOKS}
    for name in pages:
        text = (tmp_path / "notebooks" / name).read_text(encoding="utf-8")
        assert ("executed in an empty folder" in text) == (name != "exercises.md")


def test_every_notebook_and_public_name_is_listed():
    from mlr.analysis import notebook

    text = (NOTEBOOKS.parent / "notebooks.md").read_text(encoding="utf-8")
    for name in BOOKS:
        assert f"| [{name}](notebooks/{name}.ipynb) |" in text
    for name in ("run", "compare", "explain"):
        assert f"notebook.{name}(" in text
        assert name in notebook.__all__
