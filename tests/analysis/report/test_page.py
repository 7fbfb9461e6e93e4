"""The page's structure, and that nothing of it is taken for more than text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from mlr.analysis.explain import Diagnosis
from mlr.analysis.report import command, content, page
from mlr.app.cli.main import exit_code_of
from tests.analysis.report.making import add_run, metrics, small_sweep
from tests.records.written import write_run

HOSTILE = "</script><script>alert('1')</script><img src=x onerror=\"alert(2)\">&amp;\u2028"


class Elements(HTMLParser):
    """Every element, with its attributes and the text directly in it."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[tuple[str, dict, str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes), ""))

    def handle_endtag(self, tag):
        self.found.append(("", {}, ""))  # what follows is not in it

    def handle_data(self, text):
        if self.found:
            tag, attributes, before = self.found[-1]
            self.found[-1] = (tag, attributes, before + text)

    def all(self, tag: str) -> list[tuple[dict, str]]:
        return [(attributes, text) for name, attributes, text in self.found if name == tag]


def made(folder, diagnoses=()) -> str:
    return page.html(content.read(folder), diagnoses)


@pytest.fixture
def sweep(tmp_path):
    return small_sweep(tmp_path / "my sweep")


def data_of(html: str) -> dict:
    (text,) = [text for attributes, text in Elements(html).all("script") if "id" in attributes]
    return json.loads(text)


def test_every_question_has_its_section(sweep):
    found = Elements(made(sweep))
    names = [attributes["id"] for attributes, _ in found.all("section")]
    assert names == ["summary", "curves", "sensitivity", "theory", "ranking", "runs"]
    links = [attributes["href"] for attributes, _ in found.all("a")]
    assert links == [f"#{name}" for name in names[1:]]
    assert [text for _, text in found.all("h1")] == ["my sweep"]
    assert found.all("p")[0][1] == "Report of a sweep"
    assert "softmax + CE comes first" in found.all("p")[2][1]


def test_refused_pairs_say_why(sweep):
    html = made(sweep)
    captions = re.findall(r'panel( absent)?"[^>]*><figcaption>([^<]*)', html.replace("\n", ""))
    assert (" absent", "linear + BCE") in captions
    assert html.count("<p>loss=bce needs predictions in [0, 1]</p>") == 3  # both matrices, table


def test_charts_get_their_numbers(sweep):
    found = data_of(made(sweep))
    assert found["keys"] == [["optimizer.lr", "lr"]]
    assert found["pairs"] == ["linear + BCE", "sigmoid + SE", "sigmoid + BCE", "softmax + CE"]
    assert sum(group["best"] for group in found["groups"]) == 3
    lost = next(group for group in found["groups"] if group["diverged"])
    assert lost["values"] == {"optimizer.lr": 10.0}
    assert lost["finals"]["accuracy/test"] == pytest.approx([0.625, 0.621, 0.629], abs=2e-3)
    assert found["theory"]["pairs"]["1"]["points"][0][0] == [0.5, 0.5, 1.0]


def test_nothing_is_loaded_and_nothing_else_may_run(sweep):
    html = made(sweep)
    found = Elements(html)
    sources = [attributes.get("src") for _, attributes, _ in found.found]
    assert set(sources) == {None}
    assert {attributes["href"][0] for attributes, _ in found.all("link")} == {"d"}  # data:,
    (policy,) = [
        attributes["content"] for attributes, _ in found.all("meta") if "http-equiv" in attributes
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    script = next(text for attributes, text in found.all("script") if not attributes)
    style = found.all("style")[0][1]
    for rule, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert not [a for _, a, _ in found.found if any(name.startswith("on") for name in a)]
    assert not [a for _, a, _ in found.found if "style" in a]


def test_what_others_wrote_stays_text(tmp_path):
    place = tmp_path / "<b>sweep"
    place.mkdir()
    for seed in (0, 1):
        add_run(place, "sigmoid", "se", seed, 0.5, model__path=HOSTILE)
    add_run(place, "sigmoid", "se", 0, 0.5, model__path="harmless")
    write_run(
        place / "<i>name'\"",
        "<b>+</script>",
        0,
        ["head=<b>", "loss=</script>"],
        status="failed",
        reason=HOSTILE,
    )
    html = made(place)
    found = Elements(html)
    assert len(found.all("script")) == 2
    assert not found.all("img")
    assert not found.all("b")
    assert not found.all("i")
    told = [text for _, text in found.all("dd")]
    assert sum(HOSTILE in text for text in told) == 3  # two configurations, one reason
    assert {group["label"] for group in data_of(html)["groups"]} >= {f"path={HOSTILE}"}
    assert "\u2028" not in html.split('id="data">')[1].split("</script>")[0]


def test_diagnoses_are_on_top(sweep):
    class Diagnosis:
        sentence, evidence, remedy = "68 % are <stuck>.", "stuck/fraction = 0.68", "loss=bce"
        cell, runs, count, total = "sigmoid+se", ("a",), "1 of 2 runs", 2

    found = Elements(made(sweep, [Diagnosis()]))
    assert "68\u00a0% are <stuck>." in [text for _, text in found.all("strong")]
    assert "loss=bce" in [text for _, text in found.all("code")]
    assert "sigmoid+se, 1 of 2 runs" in [text for _, text in found.all("span")]


def test_six_diagnoses_are_open_and_the_others_folded(sweep):
    def diagnosis(number):
        return Diagnosis("rule", f"It is {number}.", "seen", "", ["a"], f"cell {number}", 1)

    for count, folded in ((6, []), (8, ["2 more"])):
        found = Elements(made(sweep, [diagnosis(number) for number in range(count)]))
        sentences = [f"It is {number}." for number in range(count)]
        assert [text for _, text in found.all("strong")] == sentences
        assert [text for _, text in found.all("summary") if text.endswith("more")] == folded
        assert "cell 0" in [text for _, text in found.all("span")]  # one run: no count


def test_a_refused_pair_says_so_in_its_panel_and_one_that_was_not_tried_too(sweep):
    html = made(sweep).replace("\n", "")
    panels = re.findall(r'<figure class="panel absent"><figcaption>(.*?)</figure>', html)
    said = dict(panel.split("</figcaption>") for panel in panels)
    assert said["softmax + SE"] == "not tried"
    assert said["linear + BCE"] == (
        '<p class="bad">refused</p><p>loss=bce needs predictions in [0, 1]</p>'
    )
    assert html.count('class="matrix" data-columns="3"') == 2


def test_what_the_curves_show_is_said(sweep, tmp_path):
    said = " ".join(made(sweep).split())
    assert (
        "Lines are means over seeds, bands hold 80 % of them (10 to 90 % quantile); each pair at "
        "the setting chosen on validation data. Grey: the other pairs. Drag over a chart"
    ) in said
    assert "Mean over seeds; bars hold 80 % of them." in said  # one setting, no others
    alone = " ".join(made(add_run(tmp_path / "one", "sigmoid", "se", 0, 0.5)).split())
    assert '<p class="small">Drag over a chart to magnify' in alone
    assert 'id="sensitivity"' not in alone


def test_of_several_settings_the_others_are_said_to_be_chosen(tmp_path):
    for lr in (0.1, 1.0):
        for width in (8, 16):
            add_run(tmp_path, "sigmoid", "se", 0, 0.5, optimizer__lr=lr, model__width=width)
    html = made(tmp_path)
    assert "Mean over seeds, other settings as chosen on validation data; bars hold" in html
    captions = [text for _, text in Elements(html).all("figcaption")]
    assert [text for text in captions if text.startswith("against ")] == [
        *("against lr", "against width")
    ]


def test_without_a_diagnosis_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "reassurance", lambda runs: f"All <{len(runs)}> are well.")
    found = Elements(made(add_run(tmp_path, "sigmoid", "bce", 0, 0.9)))
    assert "All <1> are well." in [text for _, text in found.all("p")]


def test_what_is_not_finite_is_null():
    text = page.embedded({"a": [float("nan"), float("inf"), 1.5], "b": ("</script>",)})
    assert json.loads(text) == {"a": [None, None, 1.5], "b": ["</script>"]}
    assert "<" not in text


@pytest.mark.parametrize("kind", ["one", "regression", "running", "failed", "no files"])
def test_runs_of_any_kind(tmp_path, kind):
    if kind == "one":
        place = add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    elif kind == "regression":
        numbers = {"loss/test": 0.1, "saturation/fraction": 0.0}
        place = write_run(tmp_path / "run", "linear+se", None, metrics=numbers)
    elif kind == "running":
        place = write_run(tmp_path / "run", status="running")
    elif kind == "failed":
        place = write_run(tmp_path / "run", status="failed", reason="OSError: full")
    else:
        place = write_run(tmp_path / "run", pair="", metrics=metrics(0.5) | {"loss/test": "nan"})
    found = Elements(made(place))
    sections = [attributes["id"] for attributes, _ in found.all("section")]
    assert sections[-1] == "runs"
    assert "ranking" not in sections
    links = [attributes["href"] for attributes, _ in found.all("a")]
    assert links == [f"#{name}" for name in sections[1:]]
    assert found.all("p")[0][1] == "Report of a run"
    assert len(found.all("details")) >= 2


def test_the_common_configuration_is_told_once(sweep):
    html = made(sweep)
    assert html.count("mlr.models.Linear") == 1
    assert html.count("<dt>optimizer.lr</dt>") == 13


def test_rows_know_what_they_are_sorted_by(sweep):
    values = [
        attributes.get("data-value")
        for attributes, text in Elements(made(sweep)).all("td")
        if text.endswith(" %") and "±" in text
    ]
    assert len(values) == 4 * 6
    assert all(0 < float(value) < 1 for value in values)


def test_the_licence_goes_with_the_code(sweep):
    html = made(sweep)
    assert "Copyright (c) 2022 Leon Sorokin" in html
    assert "uPlot (v1.6.32)" in html


@pytest.fixture
def report(capsys):
    def run(*arguments):
        code = exit_code_of(lambda: command.main(*arguments))
        return code, *capsys.readouterr()

    return run


def test_the_command_says_where_the_page_is(sweep, report):
    code, out, err = report(str(sweep))
    written = sweep / "report.html"
    assert (code, err) == (0, "")
    size = written.stat().st_size / 1e6
    assert out == f"report       {written} ({size:.1f} MB)\n"
    assert written.read_text(encoding="utf-8").startswith("<!doctype html>")
    again = written.read_bytes()
    report(str(sweep))
    assert written.read_bytes() == again  # the page itself is no run


def test_the_page_can_lie_elsewhere(sweep, report, tmp_path):
    assert report(str(sweep), str(tmp_path / "it.html"))[0] == 0
    assert (tmp_path / "it.html").exists()
    assert not (sweep / "report.html").exists()


def test_bad_places_are_one_sentence(sweep, report, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, text in (
        ((str(tmp_path / "no"),), "is not a folder"),
        ((str(tmp_path / "empty"),), "holds no run"),
        ((str(sweep), str(tmp_path / "no" / "it.html")), "cannot write"),
    ):
        code, out, err = report(*arguments)
        assert (code, out) == (74 if text == "cannot write" else 2, "")
        assert err.startswith("mlr: ")
        assert text in err
        assert err.count("\n") == 1
