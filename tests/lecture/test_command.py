from __future__ import annotations

import pytest

from mlr.app.cli.main import exit_code_of
from mlr.core.checks import InputError
from mlr.lecture import command
from mlr.lecture.page.answer import Answer, Chapter, Claim, Slide, close


def good(lab):
    """Does it hold?"""
    return Answer("Yes.", (close("one is one", 1, 1, 0),))


def bad(lab):
    """Does it fail?"""
    return Answer("No.", (Claim("two is one", "2", False),))


def interrupted(lab):
    """Does it end?"""
    raise KeyboardInterrupt


def refused(lab):
    """Is it allowed?"""
    return lab.run("head=linear", "loss=bce")


@pytest.fixture
def lecture(monkeypatch, tmp_path, capsys):
    """Runs the command over slides of these functions, in an empty folder."""

    def run(*asks, names=()):
        slides = tuple(Slide(number, ask.__name__, ask) for number, ask in enumerate(asks, start=1))
        monkeypatch.setattr(command, "SLIDES", slides)
        monkeypatch.setattr(command, "CHAPTERS", (Chapter("all", slides),))
        monkeypatch.chdir(tmp_path)
        code = exit_code_of(lambda: command.main(names))
        return code, *capsys.readouterr()

    return run


def page(folder) -> str:
    return (folder / "lecture" / "index.html").read_text(encoding="utf-8")


def test_every_claim_is_printed_and_counted(lecture, tmp_path):
    code, out, err = lecture(good, good)
    assert (code, err) == (0, "")
    assert "one is one → 1 → holds" in out
    assert "2 of 2 claims hold" in out
    assert "lecture/index.html" in out
    assert "2 of 2 claims hold" in page(tmp_path)


def test_a_claim_that_fails_is_the_exit_code(lecture):
    code, out, _ = lecture(good, bad)
    assert code == 1
    assert "two is one → 2 → does not hold" in out
    assert "1 of 2 claims hold" in out


def test_one_slide_leaves_the_sections_of_others(lecture, tmp_path):
    lecture(good, bad)
    code, out, _ = lecture(good, good, names=["2"])
    assert code == 0
    assert "1 of 1 claims hold" in out
    assert "2 of 2 claims hold" in page(tmp_path)


def test_an_unknown_slide_is_one_sentence(lecture):
    code, out, err = lecture(good, good, names=["3"])
    assert (code, out) == (2, "")
    assert err == "mlr: Unknown slide 3: slides are 1–2.\n"


SPACES = "; write several with spaces, as in 1 2 3."


@pytest.mark.parametrize(
    ("typed", "rest"),
    [
        ("46", "."),
        ("0", "."),
        ("200", "."),
        ("-3", "."),
        ("softmax", "."),
        ("", "."),
        ("1-5", SPACES),
        ("1–5", SPACES),
        ("1,2", SPACES),
        ("publish", ". Did you mean published?"),
        ("nielsen_curve", ". Did you mean published nielsen_curves?"),
    ],
)
def test_slides_that_are_not_there_are_answered_by_those_that_are(typed, rest):
    with pytest.raises(InputError) as refused:
        command.select_slides([typed])
    name = typed or "''"
    assert str(refused.value) == f"Unknown slide {name}: slides are 1–45{rest}"


def test_a_long_word_does_not_make_a_long_sentence():
    with pytest.raises(InputError) as refused:
        command.select_slides(["x" * 500])
    assert len(str(refused.value)) < 80


def test_slides_come_in_the_order_of_the_lecture():
    assert [slide.number for slide in command.select_slides(["20", "4"])] == [4, 20]


def test_an_interruption_saves_the_answers_so_far(lecture, tmp_path):
    code, _, err = lecture(good, interrupted, good)
    assert code == 130
    told = "interrupted; the slides answered so far are in lecture/index.html."
    assert err == f"mlr: {told}\n"
    assert "1 of 1 claims hold" in page(tmp_path)


def test_a_slide_asked_again_and_interrupted_keeps_no_old_answer(lecture, tmp_path):
    lecture(good, good)
    lecture(good, interrupted, names=["2"])
    assert "1 of 1 claims hold" in page(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_sentence(lecture, tmp_path):
    (tmp_path / "lecture").write_text("in the way")
    code, _, err = lecture(good)
    assert code == 74
    assert err.startswith("mlr: cannot write ")
    assert err.count("\n") == 1


def test_an_answer_that_cannot_be_replaced_is_one_sentence(lecture, tmp_path):
    (tmp_path / "lecture" / "1" / "answer.json").mkdir(parents=True)
    code, _, err = lecture(good)
    assert code == 74
    assert err.startswith("mlr: cannot write lecture/1/answer.json: ")


def test_a_page_that_cannot_be_written_is_one_sentence(lecture, tmp_path):
    (tmp_path / "lecture" / "index.html").mkdir(parents=True)
    code, _, err = lecture(good)
    assert code == 74
    assert err.startswith("mlr: cannot write lecture/index.html: ")


def test_the_page_of_somebody_else_is_left_alone(lecture, tmp_path):
    (tmp_path / "lecture").mkdir()
    (tmp_path / "lecture" / "index.html").write_text("<h1>My lecture</h1>")
    code, out, err = lecture(good)
    assert (code, out) == (2, "")
    assert err.startswith("mlr: lecture/index.html was not written by mlr; move it, or ")
    assert page(tmp_path) == "<h1>My lecture</h1>"


def test_runs_of_the_lecture_are_not_among_the_users_runs(lecture, tmp_path):
    def trained(lab):
        """Is it trained?"""
        lab.run("data=blobs", "epochs=1")
        return good(lab)

    (tmp_path / "runs").mkdir()
    assert lecture(trained)[0] == 0
    assert [path.name for path in tmp_path.rglob("status.json")] == ["status.json"]
    assert list((tmp_path / "runs").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lecture", "runs"]


def test_a_refused_run_is_one_sentence(lecture):
    code, _, err = lecture(refused)
    assert code == 2
    assert "did not train to its end: loss=bce needs predictions in [0, 1]" in err
    assert err.count("\n") == 1


def test_the_script_passes_on_what_it_is_given(script, tmp_path):
    done = script("lecture.py", "no-slide", folder=tmp_path)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("mlr: Unknown slide no-slide: slides are 1–45.")
    assert "Traceback" not in done.err
