"""A newcomer's seven questions are answered within two clicks from README and from the index."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from mlr.docs import build

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]+)?\)")


class Question(NamedTuple):
    """A question by the words that one looks for in a list of pages, and its answer."""

    name: str
    on_readme: str
    on_index: str
    answer: str


QUESTIONS = (
    Question(
        "which loss do I take",
        "Which head and loss do I take",
        "which to take",
        r"^## Which to take\n(.*\n)+?\| one of K classes \| `softmax` \| `ce` \|",
    ),
    Question("why is my run stuck", "Why is my run stuck", "does not learn", r"^## No gradient\n"),
    Question(
        "how do I add my head", "How do I add my head", "your own head", r"^class \w+\(Head\):\n"
    ),
    Question(
        "how do I use it in my loop",
        "How do I use it in my loop",
        "your own training loop",
        r"^ *probe\.watch\(logits, targets, loss\)",
    ),
    Question(
        "what does this tag mean",
        "What does this tag mean",
        "TensorBoard tag",
        r"^## Tags\n(.*\n)+?\| `stuck/fraction`",
    ),
    Question(
        "how do I sweep on SLURM", "SLURM", "SLURM", r"train\.py -m .*\n.*launcher=batched_slurm"
    ),
    Question("how do I cite it", r"\bcite\b", r"\bciting\b", r"^@software\{mlr"),
)


def followed(lines: list[str], words: str, folder: Path) -> list[Path]:
    """Pages that the lines with these words link to."""
    found = []
    for line in lines:
        if re.search(words, line):
            found += [folder / name for name, _ in LINK.findall(line) if name]
    return found


def answered(pages: list[Path], answer: str) -> bool:
    """Return True if one of the pages, or one that it links to, has the answer."""
    texts = [page.read_text(encoding="utf-8") for page in pages]
    further = [
        page.parent / name
        for page, text in zip(pages, texts, strict=True)
        for name, _ in LINK.findall(text)
        if name.endswith(".md")
    ]
    texts += [page.read_text(encoding="utf-8") for page in further]
    return any(re.search(answer, text, re.MULTILINE) for text in texts)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
def test_readme_leads_to_the_answer(question):
    readme = ROOT / "README.md"
    lines = [line for line in readme.read_text(encoding="utf-8").splitlines() if "](" in line]
    pages = followed(lines, question.on_readme, ROOT)
    own = any("(#citing" in line for line in lines if re.search(question.on_readme, line))
    assert answered([*pages, *[readme] * own], question.answer)


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
def test_the_index_of_the_site_leads_to_the_answer(question, source):
    """The side bar stands on every page."""
    index = (source / "index.md").read_text(encoding="utf-8")
    assert all(f"\n{name}\n" in index for name in build.CHAPTERS)
    bar = [f"[{name}]({name}.md)" for name in build.CHAPTERS]
    lines = [line for line in index.splitlines() if "](" in line] + bar
    assert answered(followed(lines, question.on_index, source), question.answer)


def test_an_answer_that_is_three_clicks_away_does_not_count(tmp_path):
    for name, text in (("a", "[b](b.md)"), ("b", "[c](c.md)"), ("c", "answer")):
        (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")
    assert not answered([tmp_path / "a.md"], "answer")
    assert answered([tmp_path / "b.md"], "answer")
