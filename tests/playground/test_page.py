"""The page, its command, and what it refuses."""

import json
import re
import sys

import pytest

from mlr.app.cli.main import start
from mlr.core.checks import InputError
from mlr.data import Digits
from mlr.lecture.lab import Lab
from mlr.objectives.compatibility import check_pair
from mlr.playground.material import OFFERED_HEADS, OFFERED_LOSSES, material
from mlr.playground.page import page_html
from mlr.playground.settings import Opening, opening_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of runs by name, each of one update."""
    lab = Lab(tmp_path_factory.mktemp("runs"))
    quick = ("steps=1", "data.n=100")
    trained = {
        "xor": lab.run("experiment=xor", "model.widths=[4,3]", "data.label_noise=0.1", *quick),
        "adam": lab.run("data=moons", "optimizer=adam", "head=sigmoid", *quick),
        "wide": lab.run("data=moons", "model=mlp", "head=sigmoid", *quick),
        "digits": lab.run("data=digits", "head=softmax", "steps=1"),
        "squared": lab.run("data=xor", "head=clipped_linear", "loss=se", *quick),
        "five": lab.run("data=blobs", "data.classes=5", "head=softmax", *quick),
        "focal": lab.run("data=xor", "head=sigmoid", "loss=focal", "loss.gamma=1", *quick),
        "line": lab.run("data=line", "head=linear", *quick),
        "weighted": lab.run("data=xor", "head=sigmoid", "loss.weight=[1,2]", *quick),
    }
    return {name: one.folder for name, one in trained.items()}


def handed(html: str):
    return json.loads(re.search(r'id="material">(.*?)</script>', html, re.DOTALL)[1])


def test_page_is_one_small_file_that_loads_nothing():
    html = page_html(Opening({}))
    assert len(html.encode()) < 1 << 20
    assert "default-src 'none'" in html
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)|url\(|@import|fetch\(|XMLHttp", html)
    assert html.count("</script>") == html.count("<script") == 5


def test_texts_of_the_material_end_no_script():
    start = {"data": "</script><b>"}
    html = page_html(Opening(start))
    assert html.count("</script>") == 5
    assert handed(html)["start"] == start


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_pairs_that_python_refuses_are_refused_in_its_words(classes):
    found = material()["refused"][str(classes)]
    for head in OFFERED_HEADS:
        for loss in OFFERED_LOSSES:
            outputs = 1 if classes == 2 and head not in ("softmax", "sparsemax") else classes
            said = found.get(head, {}).get(loss)
            if said is None:
                check_pair(head, loss, outputs, regression=False)
                continue
            with pytest.raises(InputError, match=re.escape(said)):
                check_pair(head, loss, outputs, regression=False)
    assert ("ce" in found.get("sigmoid", {})) == (classes > 2)
    assert "bce" in found["linear"]


def test_run_opens_with_its_setting_and_examples(runs):
    opening = opening_of(runs["xor"])
    expected = {"widths": "4,3", "activation": "relu", "init": "he", "lr": 0.5, "momentum": 0.0}
    assert opening.state.items() >= expected.items()
    assert [opening.state[f"{kind}{side}"] for side in "ab" for kind in ("head", "loss")] == [
        *("sigmoid", "bce", "sigmoid", "se")
    ]
    assert opening.data["overrides"] == ["data=xor", "data.n=100", "data.label_noise=0.1", SEED]
    html = page_html(opening)
    assert handed(html)["data"]["run"]["classes"] == 2
    assert len(handed(html)["data"]["run"]["labels"]) == 80  # 60 bytes


SEED = "data.seed=0"


def test_run_with_squared_error_is_set_against_the_matching_loss(runs):
    state = opening_of(runs["squared"]).state
    assert (state["lossa"], state["headb"], state["lossb"]) == ("se", "clipped_linear", "matching")


def test_run_of_five_classes_has_its_own_refusals(runs):
    page = handed(page_html(opening_of(runs["five"])))
    assert page["data"]["run"]["classes"] == 5
    assert page["outputs"]["5"]["softmax"] == 5
    assert "sum to 1" in page["refused"]["5"]["sigmoid"]["ce"]


def test_sweep_of_two_losses_opens_both(tmp_path):
    Lab(tmp_path).sweep("data=xor", "head=sigmoid", "loss=ce,gce", "steps=1", "seed=33")
    opening = opening_of(tmp_path)
    assert {opening.state["lossa"], opening.state["lossb"]} == {"ce", "gce"}
    assert opening.seed == opening.state["seed"] == 33
    assert "33" in handed(page_html(opening))["keys"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("adam", "optimizer=adam"),
        ("wide", "model.widths=[128]"),
        ("digits", "1258 training examples; the playground draws up to 600"),
        ("focal", "options of loss=focal"),
        ("line", "targets that are no classes"),
        ("weighted", "loss.weight"),
    ],
)
def test_what_the_playground_lacks_is_named(runs, name, said):
    with pytest.raises(InputError, match=re.escape(said)):
        opening_of(runs[name])


def test_runs_that_differ_in_more_than_their_pair(tmp_path):
    Lab(tmp_path).sweep(
        "data=xor", "head=sigmoid", "loss=se,bce", "optimizer.lr=0.1,0.2", "steps=1"
    )
    # of each pair the first run: both of one rate
    assert opening_of(tmp_path).state["lr"] == 0.1
    Lab(tmp_path / "more").sweep("data=xor", "head=sigmoid", "loss=se,bce,mae", "steps=1")
    with pytest.raises(InputError, match="runs of 3 pairs"):
        opening_of(tmp_path / "more")


def test_command_writes_the_page_and_keeps_those_of_others(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mlr", "--no-browser"])
    assert start("play") == 0
    assert "page         playground.html" in capsys.readouterr().out
    assert start("play") == 0  # again, over its own
    (tmp_path / "playground.html").write_text("mine")
    assert start("play") == 2
    assert "was not written by mlr" in capsys.readouterr().err
    assert (tmp_path / "playground.html").read_text() == "mine"


def test_command_refuses_a_missing_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mlr", "nowhere", "--no-browser"])
    assert start("play") == 2
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "playground.html").exists()


def test_digits_of_the_page_are_those_of_its_command():
    data = material()["data"]["digits"]
    split = Digits(val_fraction=0.1, test_fraction=0.8).load(0).train
    assert data["overrides"] == ("data=digits", "data.val_fraction=0.1", "data.test_fraction=0.8")
    assert len(split.targets) == 179
    assert data["title"].startswith("179 ")
    assert data["columns"] == 64
