from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from mlr.analysis.plots import pair_curves
from mlr.app.cli.main import exit_code_of
from mlr.app.figures import command, files
from mlr.app.figures.command import main, parse_sources
from mlr.app.figures.drawings import Drawings, objective_of_run
from mlr.app.figures.files import encoded
from mlr.core.checks import InputError
from mlr.core.durable import WriteError
from mlr.records.reading import read_runs
from tests.analysis.report.making import add_run, small_sweep
from tests.records.written import write_run

PAIRS = ["sigmoid+se", "sigmoid+bce"]
OF_RUN = {
    *("pair_curves", "loss_train", "loss_val", "accuracy_val", "wrong_gradients", "loss_curve"),
    *("course", "decision", "most_wrong", "confusion", "reliability"),
}


def listed(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_has_every_figure_that_suits_it(xor, capfd, monkeypatch):
    monkeypatch.chdir(xor.parent)
    assert main([str(xor)], formats="svg") == 0
    assert listed(xor / "figures") == {f"{name}.svg" for name in OF_RUN}
    out, err = capfd.readouterr()
    assert err == ""
    assert out.startswith("figures      xor/figures\n")
    assert "\n  decision.svg\n" in out
    assert "left out     fit: it needs a regression, or one feature and one output.\n" in out
    assert "left out     weights: it needs images of one channel.\n" in out
    assert "left out     output: it needs probes.prediction=true.\n" in out
    for path in (xor / "figures").iterdir():
        root = ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not root.findall(".//{*}text")  # paths look alike everywhere
        assert len(root.findall(".//{*}path")) > 10
    # the boundary and the points are no pixels
    assert len(ElementTree.parse(xor / "figures" / "decision.svg").findall(".//{*}use")) > 600


def test_a_sweep_has_what_compares_its_runs(tmp_path, capfd):
    sweep = small_sweep(tmp_path / "sweep")
    assert main([str(sweep)], formats="png") == 0
    names = {"pair_curves", "loss_train", "accuracy_val", "wrong_gradients", "matrix"}
    assert listed(sweep / "figures") == {f"{name}.png" for name in names}
    assert "left out     loss_val: no run has recorded loss/val.\n" in capfd.readouterr().out


def test_one_pair_has_no_matrix(tmp_path, capfd):
    for seed in (0, 1):
        add_run(tmp_path, "sigmoid", "se", seed, 0.5)
    main([str(tmp_path)], formats="svg")
    assert "left out     matrix: it needs runs of several pairs.\n" in capfd.readouterr().out


def test_pairs_are_drawn_where_one_is_or_in_the_folder_given(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(PAIRS) == 0
    assert listed(tmp_path / "figures") == {"pair_curves.svg", "pair_curves.png"}
    assert capfd.readouterr().out == "figures      figures\n  pair_curves.svg  pair_curves.png\n"
    main(PAIRS, to="a/b", formats=" PDF,pdf ")
    assert listed(tmp_path / "a" / "b") == {"pair_curves.pdf"}


def test_several_folders_are_drawn_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for loss in ("se", "bce"):
        add_run(tmp_path / loss, "sigmoid", loss, 0, 0.5)
    main(["se", "bce", "softmax+ce"], formats="svg")
    assert {"matrix.svg", "pair_curves.svg"} <= listed(tmp_path / "figures")


def test_pairs_folders_and_names_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "softmax+ce").mkdir()
    found = parse_sources(
        ["sigmoid+se", "softmax+ce", "runs", "allow_targets=[a, b.c]", "allow_targets=d"]
    )
    assert found == (["sigmoid+se"], ["softmax+ce", "runs"], ["a", "b.c", "d"])


def test_files_have_the_formats_of_their_names(tmp_path):
    main(PAIRS, to=str(tmp_path), formats="svg,pdf,png")
    pdf = (tmp_path / "pair_curves.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-1.")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 1
    assert b"/Type3" not in pdf  # which journals refuse
    box = [float(one) for one in re.search(rb"/MediaBox \[ (.+?) \]", pdf)[1].split()]
    image = Image.open(BytesIO((tmp_path / "pair_curves.png").read_bytes()))
    assert image.size == tuple(pytest.approx(300 / 72 * one, abs=1) for one in box[2:])
    svg = ElementTree.parse(tmp_path / "pair_curves.svg").getroot()
    assert svg.get("viewBox") == f"0 0 {box[2]:g} {box[3]:g}"


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(xor):
    for name in ("decision", "loss_train"):
        for kind in ("svg", "pdf", "png"):
            first, second = (
                encoded(Drawings(read_runs(xor), [], []).stills[name](), name, kind)
                for _ in range(2)
            )
            assert first == second
            assert set(first) == {f"{name}.{kind}"}


@pytest.mark.slow
def test_own_files_are_replaced_and_those_of_others_never(tmp_path):
    line = {"to": str(tmp_path), "formats": "svg,pdf,png"}
    main(PAIRS, **line)
    first = {path: path.read_bytes() for path in sorted(tmp_path.iterdir())}
    main(["softmax+ce"], **line)
    assert len(first) == 3
    for path, content in first.items():
        assert path.read_bytes() != content
    for path in first:
        mine = path.read_bytes()
        path.write_bytes(b"theirs")
        with pytest.raises(InputError, match=f"{path} was not written by mlr figures; move it"):
            main(PAIRS, to=str(tmp_path), formats=path.suffix[1:])
        assert path.read_bytes() == b"theirs"
        path.write_bytes(mine)
    assert sorted(tmp_path.iterdir()) == list(first)


@pytest.mark.parametrize(
    ("words", "options", "told"),
    [
        (["nowhere"], {}, "nowhere is not a folder"),
        (["sigmoyd+se"], {}, "Unknown head=sigmoyd"),
        (["linear+ce"], {}, "loss=ce needs predictions"),
        (
            ["sigmoid+se"],
            {"formats": "jpg"},
            "Unknown --format=jpg. Did you mean --format=png? Choose from ",
        ),
        (["sigmoid+se"], {"formats": ", "}, "--format=,  names no format"),
        (
            ["sigmoid+se"],
            {"formats": "gif"},
            "There is nothing to draw: An animation is of one run",
        ),
        (["allow_targets=[a]"], {}, "There is nothing to draw: name a folder or a pair"),
    ],
)
def test_mistakes_are_refused_and_nothing_is_written(tmp_path, monkeypatch, words, options, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(told)):
        main(words, **options)
    assert not listed(tmp_path)


def test_pgf_needs_latex(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="--format=pgf needs LaTeX"):
        main(PAIRS, to=str(tmp_path), formats="svg,pgf")
    assert not listed(tmp_path)


@pytest.mark.skipif(files._latex() is None, reason="neither xelatex nor lualatex is installed")
@pytest.mark.slow
def test_pgf_is_read_by_latex(xor, tmp_path):
    import subprocess

    for _ in range(2):  # its images are known again too
        assert main([str(xor)], to=str(tmp_path), formats="pgf") == 0
    assert "decision-img0.png" in listed(tmp_path)
    text = (
        r"\documentclass{article}\usepackage{pgf}\begin{document}\input{decision.pgf}\end{document}"
    )
    (tmp_path / "it.tex").write_text(text)
    line = [files._latex(), "-interaction=batchmode", "it.tex"]
    assert subprocess.run(line, cwd=tmp_path, capture_output=True).returncode == 0
    assert (tmp_path / "it.pdf").read_bytes().startswith(b"%PDF")


def test_an_interruption_leaves_no_half_of_the_files(tmp_path, monkeypatch):
    sweep, calls = small_sweep(tmp_path / "sweep"), []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return files.encoded(*arguments)

    monkeypatch.setattr(command, "encoded", interrupted)
    assert exit_code_of(lambda: main([str(sweep)])) == 130
    assert not (sweep / "figures").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot write "):
        main(PAIRS, to=str(tmp_path / "file" / "figures"))


def test_a_run_that_cannot_be_restored_still_has_its_curves(tmp_path, capfd):
    run = add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    assert main([str(run)], formats="svg") == 0
    assert listed(run / "figures") == {
        *(
            f"{name}.svg"
            for name in ("pair_curves", "loss_train", "accuracy_val", "wrong_gradients")
        )
    }
    out = capfd.readouterr().out
    assert re.search(r"left out     loss_curve, course, decision, .*, output: .* is missing", out)


def test_pair_curves_of_runs_are_those_of_their_own_losses(made):
    run = made("focal", "experiment=xor", "loss=focal", "loss.gamma=0", "steps=2")
    objective = objective_of_run(*read_runs(run), [])
    assert objective.loss.gamma == 0
    first, second = (
        pair_curves([one]).axes[0].lines[0].get_ydata() for one in (objective, "sigmoid+bce")
    )
    assert first == pytest.approx(second)


def test_pairs_that_cannot_be_drawn_are_named(tmp_path, capfd):
    add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    add_run(tmp_path, "their.Head", "se", 0, 0.5)
    write_run(tmp_path / "loop", pair="", series={"loss/train": [1.0, 0.5]})
    assert main([str(tmp_path)], formats="svg") == 0
    out = capfd.readouterr().out
    assert "\n  pair_curves.svg\n" in out
    assert "left out     their.Head+se in pair_curves: head._target_=their.Head is none of" in out
    assert "left out     loop in pair_curves: loop does not name its head and loss.\n" in out


def test_damaged_runs_are_left_out(tmp_path, capfd):
    for seed in (0, 1):
        run = add_run(tmp_path, "sigmoid", "se", seed, 0.5)
    (run / "metrics.csv").write_bytes(b"other")
    assert main([str(tmp_path)], formats="svg") == 0
    assert "1 of 2 runs is left out" in capfd.readouterr().err


def test_a_png_is_known_by_its_mark():
    content = BytesIO()
    Image.new("RGB", (2, 2)).save(content, "png")
    assert files.MARK.encode() not in content.getvalue()
