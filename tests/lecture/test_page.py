from __future__ import annotations

import re
from html import unescape

import pytest

from mlr.lecture.lab import Trained
from mlr.lecture.page import render, saved_answers
from mlr.lecture.page.answer import Answer, Chapter, Claim, Illustration, Slide
from mlr.lecture.page.drawing import BLUE, INK, canvas, curves, line, of_pair, svg
from mlr.lecture.page.saved_answers import SavedAnswer


def ask(lab):
    """Is 1 < 2?

    Slip: it says ≤.
    """


ONE, TWO = Slide(1, "first & last", ask), Slide(2, "second", ask)
CHAPTERS = (Chapter("All", (ONE, TWO)),)


def answer(holds=True, run=None):
    with canvas() as (figure, axes):
        axes.plot([0, 1], [0, 1], color=BLUE)
        drawing = svg(figure)
    picture = Illustration(
        "a <line>", drawing, "python scripts/train.py a='b'" * (run is not None), run
    )
    return Answer("Yes, by 1 & more.", (Claim("1 < 2", "1 → 2", holds),), (picture,))


@pytest.fixture
def written(tmp_path):
    """Return a function that saves answers to slides and returns the page of all."""

    def write(*answers: tuple[Slide, Answer]) -> str:
        for slide, one in answers:
            folder = tmp_path / str(slide.number)
            folder.mkdir(exist_ok=True)
            saved_answers.save(folder, slide, one, 1.5)
        there = [saved_answers.load(tmp_path / str(slide.number), slide) for slide in (ONE, TWO)]
        return render.write_html(tmp_path, CHAPTERS, [one for one in there if one]).read_text(
            "utf-8"
        )

    return write


def test_a_section_shows_question_answer_and_claims(written, tmp_path):
    html = written((ONE, answer(run=tmp_path / "1" / "01")))
    assert "1 of 1 claims hold" in html
    order = ["Is 1 &lt; 2?", "<svg ", "Yes, by 1 &amp; more.", "<td>1 &lt; 2</td><td>1 → 2</td>"]
    places = [html.index(text) for text in order]
    assert places == sorted(places)
    assert 'aria-label="a &lt;line&gt;"' in html
    assert "<code>python scripts/train.py a=&#x27;b&#x27;</code>" in html
    assert '<a href="1/01/">its run: 1/01</a>' in html
    assert "Slip: it says ≤." in html
    assert "first &amp; last" in html


def test_a_claim_that_does_not_hold_is_seen(written):
    html = written((ONE, answer()), (TWO, answer(holds=False)))
    assert "1 of 2 claims hold" in html
    assert html.count('<td class="bad">does not hold</td>') == 1
    assert html.count('<td class="good">holds</td>') == 1


def test_one_slide_asked_again_replaces_its_section_only(written):
    written((ONE, answer(holds=False)), (TWO, answer()))
    html = written((ONE, answer()))
    assert "2 of 2 claims hold" in html
    assert len(re.findall("<section ", html)) == 2


def test_a_picture_without_a_run_is_made_by_its_slide(written, tmp_path):
    assert "<code>python scripts/lecture.py 2</code>" in written((TWO, answer()))
    result = SavedAnswer(Slide("it", "it", ask), answer(), "2026-01-01T00:00:00+00:00", 1, {})
    page = render.page_html(tmp_path, (), [result])
    assert "<code>python scripts/lecture.py published it</code>" in page


def test_a_damaged_answer_is_left_out(written, tmp_path):
    written((ONE, answer()), (TWO, answer()))
    (tmp_path / "1" / saved_answers.FILE).write_text('{"sentence": 1}')
    html = written()
    assert '<section id="2"' in html
    assert '<section id="1"' not in html


def test_nothing_is_loaded_from_elsewhere(written):
    html = written((ONE, answer()))
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script" not in html


def test_times_and_versions_are_shown(written):
    html = written((ONE, answer()))
    assert re.search(r"Measured \d+ \w+ \d{4}, \d\d:\d\d UTC, 1 section in \d s, with python", html)
    assert "torch 2." in html


def test_slides_and_published_results_are_counted_apart(tmp_path):
    def made(*numbers):
        slides = [Slide(number, "one", ask) for number in numbers]
        return [
            SavedAnswer(slide, answer(), "2026-01-01T00:00:00+00:00", 1, {}) for slide in slides
        ]

    assert "2 sections and 1 published result in 3 s" in render.page_html(
        tmp_path, (), made(1, 2, "a")
    )
    assert ", 2 published results in 2 s" in render.page_html(tmp_path, (), made("a", "b"))


def test_a_number_keeps_its_unit_on_its_line(written):
    story = Answer("It is 5 %.", (Claim("above 4 %", "5 %", True),))
    html = written((ONE, story))
    assert html.count("5\N{NO-BREAK SPACE}%") == 2
    assert "4\N{NO-BREAK SPACE}%" in html


def drawn() -> str:
    with canvas() as (figure, axes):
        axes.plot([0, 1], [0, 1], **of_pair("sigmoid", "bce"))
        axes.plot([0, 1], [1, 0], **line(INK))
        axes.legend()
        return svg(figure)


def test_drawings_take_the_colours_of_the_page():
    drawing = drawn()
    assert drawing.startswith("<svg ")
    assert "var(--blue)" in drawing
    assert "currentColor" in drawing
    assert not re.search("#(0072b2|010203|040506|070809)", drawing)


def test_drawings_hold_text_and_no_name_twice():
    drawing = drawn()
    assert "sigmoid + BCE</text>" in drawing
    assert "<g id=" not in drawing
    assert "<metadata" not in drawing
    assert drawing == drawn()


def test_curves_are_labelled_and_marked():
    picture = curves("two", [([1, 2], [3, 4], line(BLUE, "rising"))], points=[(1, 3, "start")])
    assert "rising</text>" in picture.svg
    assert "start</text>" in picture.svg
    assert (picture.title, picture.command, picture.run) == ("two", "", None)


def test_a_picture_of_several_runs_has_all_their_commands(tmp_path):
    runs = [Trained(f"make {at}", tmp_path / at / "run", tmp_path / at, {}) for at in "aab"]
    picture = curves("two", [], *runs)
    assert (picture.command, picture.run) == ("make a && make b", tmp_path)


@pytest.fixture
def shown(written):
    """The text of a page of one answer, without its tags."""
    html = written((ONE, answer()))
    return unescape(re.sub(r"<[^>]+>", "", html[html.index("<body") :]))


def test_the_course_its_lecturer_and_the_credit_are_named(shown):
    for name in ("TU Delft", "Deep Learning 2018–19", "02.MLrefresh", "Jan van Gemert"):
        assert name in shown
    assert "several of its slides are after Roger Grosse" in shown
    assert "Section numbers are ours, not the slides’" in shown


def test_goals_recap_terms_and_formulas_stand_once_before_the_sections(shown):
    start = shown[: shown.index("Section 1 ")]
    for part in ("After this lecture you can", "Recap", "Terms", "Formulas"):
        assert start.count(part) == 1
    for told in (
        "the relation of the loss and gradient descent",
        "5.7.1 (probabilistic supervised learning)",
        "Feed-forward network",
        "Stochastic gradient descent (SGD)θ ← θ − η · mean of ∂L/∂θ over a mini-batch",
        "σthe activation",
        "z = wᵀx + bthe logit",
        "θML = arg max ∏ p(x; θ)",
        "yk = exp(zk) / ∑j exp(zj)",
        "LSE = ½ ∑k (yk − tk)²",
        "LBCE = −∑k [tk log yk + (1 − tk) log(1 − yk)]",
        "LCE = −∑k tk log yk",
    ):
        assert shown.count(told) == 1, told


def test_the_slide_s_own_question_stands_below_ours(tmp_path):
    own = "Question: “less?” Answer: “yes, z_k is”."
    slides = (Slide(1, "first", ask, own), Slide(2, "second", ask))
    made = [SavedAnswer(slide, answer(), "2026-01-01T00:00:00+00:00", 1, {}) for slide in slides]
    html = render.page_html(tmp_path, (Chapter("All", slides),), made)
    assert html.count("On the slide: ") == 1
    ours, own = html.index("Is 1 &lt; 2?</h2>"), html.index("“yes, z<sub>k</sub> is”")
    assert ours < own < html.index("<svg ")


def test_names_with_underscores_are_no_indices(written):
    story = Answer("It is p_data.", (Claim("clipped_linear+bce of logit_k", "p_model", True),))
    html = written((ONE, story))
    assert "clipped_linear+bce" in html
    assert "p<sub>data</sub>" in html
    assert "p<sub>model</sub>" in html
