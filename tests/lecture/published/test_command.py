from __future__ import annotations

import pytest

from mlr.app.cli.main import exit_code_of
from mlr.core.checks import InputError
from mlr.lecture import command, published
from mlr.lecture.page.answer import Answer, Chapter, Claim, PublishedNumber, Slide


def measured(lab):
    """Is it twelve?

    Source: a table.
    """
    row = PublishedNumber("the <error>", 12.0, 13.97, 2, "a table", " %")
    words = PublishedNumber("plateaus", "worse", "39 %", 0, "a figure")
    return Answer("Nearly.", (), (), (row, words))


def absent(lab):
    """Is the file there?"""
    raise InputError("the curves are not there: name their folder.")


def wrong(lab):
    """Is it as claimed?"""
    return Answer("No.", (Claim("equal", "unequal", False),), (), ())


@pytest.fixture
def lecture(monkeypatch, tmp_path, capsys):
    """Runs the command over results of these functions, in an empty folder."""

    def run(*asks, names=()):
        slides = tuple(Slide(ask.__name__, ask.__name__, ask) for ask in asks)
        monkeypatch.setattr(published, "QUICK", slides)
        monkeypatch.setattr(published, "CHAPTER", Chapter("Published results", slides))
        monkeypatch.chdir(tmp_path)
        code = exit_code_of(lambda: command.main(["published", *names]))
        return code, *capsys.readouterr()

    return run


def test_ours_stands_next_to_theirs_with_the_difference(lecture, tmp_path):
    code, out, err = lecture(measured)
    assert (code, err) == (0, "")
    (line,) = [line.split() for line in out.splitlines() if "the <error>" in line]
    assert line[2:7] == ["12.00", "%", "13.97", "%", "+1.97"]
    assert "claims hold" not in out, "nothing was claimed"
    page = (tmp_path / "lecture" / "index.html").read_text(encoding="utf-8")
    assert "the &lt;error&gt;" in page
    assert "<td>12.00 %</td><td>13.97 %</td><td>+1.97</td>" in page
    assert "<td>worse</td><td>39 %</td><td></td>" in page
    assert "Published · measured" in page


def test_a_result_whose_files_lack_is_left_out_in_one_sentence(lecture):
    code, out, err = lecture(absent, measured)
    assert (code, err) == (0, "")
    assert "absent: left out, the curves are not there: name their folder." in out
    assert "the <error>" in out


def test_a_claim_of_a_result_can_fail(lecture):
    code, out, _ = lecture(wrong)
    assert code == 1
    assert "equal → unequal → does not hold" in out


def test_one_result_leaves_the_sections_of_others(lecture, tmp_path):
    lecture(measured, wrong)
    lecture(measured, wrong, names=["measured"])
    page = (tmp_path / "lecture" / "index.html").read_text(encoding="utf-8")
    assert 'id="measured"' in page
    assert 'id="wrong"' in page


def test_an_unknown_result_is_one_sentence(lecture):
    code, out, err = lecture(measured, wrong, names=["measure"])
    assert (code, out) == (2, "")
    told = "Unknown result measure. Did you mean measured? Choose from measured, wrong."
    assert err == f"mlr: {told}\n"


def test_an_unknown_result_names_all_there_are():
    with pytest.raises(InputError) as refused:
        published.select_results(["lecun"])
    told = str(refused.value)
    assert told.startswith("Unknown result lecun. Did you mean lecun_linear? Choose from nielsen_")
    assert told.endswith("nielsen_30, nielsen_100, noise.")
    assert len(told) <= 200


def test_the_slow_ones_are_asked_for_by_name():
    assert not {*published.select_results([])} & {*published.SLOW}
    assert published.select_results(["nielsen_100"]) == [published.SLOW[1]]


def test_curves_that_are_absent_are_refused_before_anything_is_trained(monkeypatch, tmp_path):
    monkeypatch.setenv("MLR_NIELSEN", str(tmp_path / "none"))
    with pytest.raises(InputError, match="in MLR_NIELSEN"):
        published.nielsen_curves(None)
