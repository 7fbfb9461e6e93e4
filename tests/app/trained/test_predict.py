"""Predictions of trained runs against the runs' own final numbers, and numpy."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from scipy.special import softmax
from scipy.stats import norm, poisson

from mlr.app.trained.export import exported
from mlr.app.trained.export import main as export
from mlr.app.trained.loading import load_trained
from mlr.app.trained.predict import main
from mlr.core.checks import DataError, InputError
from mlr.records.run_folder import read_status

COLUMNS = ["a", "colour", "b", "kind"]


def flowers(folder: Path, count=60) -> Path:
    """A table whose classes follow a and colour; b is on another scale; one a is missing."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, count)
    rows = [
        [f"{kind + 0.3 * rng.normal():.4f}", "red" if kind == 2 else "blue", f"{1e4 * x:.1f}", kind]
        for kind, x in zip(kinds, rng.normal(size=count), strict=True)
    ]
    rows[5][0] = ""
    path = folder / "flowers.csv"
    names = ["ape", "bee", "cat"]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *([*row[:3], names[row[3]]] for row in rows)])
    return path


@pytest.fixture
def run(trained_before, tmp_path) -> Path:
    path = tmp_path / "flowers.csv"
    if not path.exists():
        flowers(tmp_path)
    return trained_before(
        "run", "data=csv", f"data.path={path}", "data.label=kind", "data.categorical=[colour]",
        "data.missing=median", "data.split=given", "head=softmax", "loss=ce", "epochs=4",
    )  # fmt: skip


def rents(folder: Path) -> Path:
    """A table of sizes, and rents of about 500 in another unit."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=80)
    rows = [[f"{a:.5f}", f"{500 + 40 * a + 20 * rng.normal():.3f}"] for a in x]
    return write(folder / "rent.csv", [["size", "rent"], *rows])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_a_table_is_predicted_as_by_numpy(run, tmp_path, capfd):
    table = rows_of(tmp_path / "flowers.csv")
    assert main(str(run), str(tmp_path / "flowers.csv"), output=str(tmp_path / "p.csv")) == 0
    out = capfd.readouterr().out
    found = rows_of(tmp_path / "p.csv")
    trained = table[:36]
    fill = np.median([float(row["a"]) for row in trained if row["a"]])
    x = np.array(
        [
            [float(row["a"] or fill), row["colour"] == "blue", row["colour"] == "red", row["b"]]
            for row in table
        ],
        float,
    )
    mean, std = x[:36].mean(0), x[:36].std(0)
    mean[1:3], std[1:3] = 0, 1
    tensors = load_file(run / "checkpoint.safetensors")
    z = (x - mean) / std @ tensors["model.output.weight"].T + tensors["model.output.bias"]
    p = softmax(z, 1)
    names = ["ape", "bee", "cat"]
    for k, name in enumerate(names):
        numbers = [float(row[f"probability_{name}"]) for row in found]
        np.testing.assert_allclose(numbers, p[:, k], rtol=1e-4, atol=1e-6)
    assert [row["prediction"] for row in found] == [names[k] for k in p.argmax(1)]
    assert [row["line"] for row in found] == [str(line) for line in range(2, 62)]
    right = np.mean(
        [row["prediction"] == one["kind"] for row, one in zip(found, table, strict=True)]
    )
    assert f"accuracy     {right:.4g}\n" in out


def test_test_examples_have_the_final_numbers(run, tmp_path, capfd):
    lines = (tmp_path / "flowers.csv").read_text().splitlines()
    (tmp_path / "test.csv").write_text("\n".join([lines[0], *lines[-12:]]))
    assert main(str(run), str(tmp_path / "test.csv"), output=str(tmp_path / "p.csv")) == 0
    out = capfd.readouterr().out
    status = read_status(run)
    assert f"loss         {status['metrics']['loss/test']:.4g}\n" in out
    assert f"accuracy     {status['metrics']['accuracy/test']:.4g}\n" in out
    for name in ("ece", "brier", "nll"):
        assert f"{name:12} {status['calibration']['test'][name]:.4g}\n" in out


def test_columns_are_found_by_name_and_targets_may_be_missing(run, tmp_path, capfd):
    path = write(tmp_path / "new.csv", [["b", "other", "a", "colour"], ["5", "x", "1.5", "green"]])
    assert main(str(run), str(path), output="-") == 0
    shown = capfd.readouterr()
    assert shown.out.startswith("line,prediction,probability_ape,probability_bee,probability_cat\n")
    assert "column 'colour' has 'green', which the training data lack" in shown.err
    same = write(tmp_path / "same.csv", [["a", "colour", "b"], ["1.5", "green", "5"]])
    assert main(str(run), str(same), output="-") == 0
    assert capfd.readouterr().out == shown.out


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([["a", "colour"], ["1", "red"]], "has no column 'b', on which run was trained; it has"),
        ([["a", "colour", "b"], ["x", "red", "1"]], "line 2, column a: 'x' is not a number"),
        ([["a", "colour", "b", "kind"], ["1", "red", "1", "dog"]], "'dog' is no class of run"),
        ([["a", "colour", "b"]], "has no lines of data"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(run, tmp_path, rows, told):
    path = write(tmp_path / "new.csv", rows)
    with pytest.raises(DataError, match=told):
        main(str(run), str(path), output=str(tmp_path / "p.csv"))
    assert not (tmp_path / "p.csv").exists()


def test_other_files_are_refused(run, tmp_path):
    flowers_csv = str(tmp_path / "flowers.csv")
    with pytest.raises(InputError, match="is not there; give a CSV file"):
        main(str(run), str(tmp_path / "none.csv"))
    with pytest.raises(InputError, match="is the file that is read"):
        main(str(run), flowers_csv, output=flowers_csv)
    with pytest.raises(InputError, match=r"only allow_targets=\[NAME\] is"):
        main(str(run), flowers_csv, ["x=1"])
    (tmp_path / "a.pdf").touch()
    with pytest.raises(InputError, match="is of no kind that can be read"):
        main(str(run), str(tmp_path / "a.pdf"))
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"has features \(2, 3\), but run was trained on \(N, 4\)"):
        main(str(run), str(tmp_path / "x.npz"))
    np.savez(tmp_path / "z.npz", z=np.zeros((2, 4)))
    with pytest.raises(DataError, match="has no array 'x'; it has z"):
        main(str(run), str(tmp_path / "z.npz"))
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="is no array file or damaged"):
        main(str(run), str(tmp_path / "bad.npz"))


def test_runs_that_cannot_be_used_are_refused(run, tmp_path):
    path = str(tmp_path / "flowers.csv")
    inputs = (run / "inputs.json").read_bytes()
    (run / "inputs.json").write_bytes(inputs.replace(b"ape", b"ant"))
    with pytest.raises(DataError, match="SHA-256"):
        main(str(run), path)
    (run / "inputs.json").unlink()
    with pytest.raises(InputError, match=r"has no inputs\.json"):
        main(str(run), path)
    (run / "inputs.json").write_bytes(inputs)
    (run / "checkpoint.safetensors").unlink()
    with pytest.raises(InputError, match="has no checkpoint"):
        main(str(run), path)


def test_a_regression_is_told_in_its_unit_with_its_deviation(trained_before, tmp_path, capfd):
    path = rents(tmp_path)
    rows = [line.split(",") for line in path.read_text().split()[1:]]
    run = trained_before(
        "rent", "data=csv", f"data.path={path}", "data.label=rent", "data.task=regression",
        "data.split=given", "head=gaussian", "loss=gaussian_nll", "optimizer.lr=0.05", "epochs=20",
    )  # fmt: skip
    last = write(tmp_path / "last.csv", [["rent", "size"], *(row[::-1] for row in rows[-16:])])
    assert main(str(run), str(last), output=str(tmp_path / "p.csv")) == 0
    out, found = capfd.readouterr().out, rows_of(tmp_path / "p.csv")
    metrics = read_status(run)["metrics"]
    assert f"rmse         {metrics['rmse/test']:.4g}\n" in out
    assert f"loss         {metrics['loss/test']:.4g}\n" in out
    assert list(found[0])[1:] == [
        *("prediction", "std", "quantile_0.05", "quantile_0.5", "quantile_0.95"),
    ]
    stds = [float(row["std"]) for row in found]
    for row in found:
        low, high = norm(float(row["prediction"]), float(row["std"])).interval(0.9)
        assert float(row["quantile_0.05"]) == pytest.approx(low, rel=1e-5)
        assert float(row["quantile_0.95"]) == pytest.approx(high, rel=1e-5)
    assert np.mean(stds) == pytest.approx(metrics["predicted_std/test"], rel=1e-4)
    errors = [
        float(row["prediction"]) - float(one[1]) for row, one in zip(found, rows[-16:], strict=True)
    ]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(metrics["rmse/test"], rel=1e-4)
    # one column is a table too
    sizes = write(tmp_path / "sizes.csv", [["size"], *([row[0]] for row in rows[-16:])])
    assert main(str(run), str(sizes), output=str(tmp_path / "q.csv")) == 0
    assert [row["std"] for row in rows_of(tmp_path / "q.csv")] == [row["std"] for row in found]


def tensors_of(run: Path) -> tuple[np.ndarray, np.ndarray]:
    tensors = load_file(run / "checkpoint.safetensors")
    return tensors["model.output.weight"], tensors["model.output.bias"]


def test_a_mixture_is_told_by_its_mean_deviation_and_quantiles(trained_before, tmp_path, capfd):
    """Against numpy and scipy, in the unit of the file, in which the loss is not."""
    path = rents(tmp_path)
    run = trained_before(
        "mixed", "data=csv", f"data.path={path}", "data.label=rent", "data.task=regression",
        "data.split=given", "head=mdn", "head.components=2", "loss=nll", "optimizer.lr=0.05",
        "epochs=5",
    )  # fmt: skip
    assert main(str(run), str(path), output=str(tmp_path / "p.csv")) == 0
    table = np.array([[float(one) for one in row.values()] for row in rows_of(path)])
    x, t = table[:, :1], table[:, 1]
    x, mean, std = (x - x[:48].mean()) / x[:48].std(), t[:48].mean(), t[:48].std()
    weight, bias = tensors_of(run)
    z = (x @ weight.T + bias).astype(float)
    w, m, s = softmax(z[:, :2], 1), mean + std * z[:, 2:4], std * np.exp(z[:, 4:])
    expected = (w * m).sum(1)
    deviation = np.sqrt((w * (s**2 + (m - expected[:, None]) ** 2)).sum(1))
    found = rows_of(tmp_path / "p.csv")
    column = {name: np.array([float(row[name]) for row in found]) for name in list(found[0])[1:]}
    np.testing.assert_allclose(column["prediction"], expected, rtol=1e-5)
    np.testing.assert_allclose(column["std"], deviation, rtol=1e-4)
    for level in (0.05, 0.5, 0.95):
        below = (w * norm.cdf(column[f"quantile_{level}"][:, None], m, s)).sum(1)
        np.testing.assert_allclose(below, level, atol=1e-5)
    rmse = np.sqrt(np.mean((expected - t) ** 2))
    assert f"rmse         {rmse:.4g}\n" in capfd.readouterr().out


def test_counts_and_quantiles_have_their_columns(trained_before, tmp_path, capfd):
    x, counts = np.linspace(-1, 1, 40), np.arange(40) % 7
    rows = [[f"{a:.5f}", str(n)] for a, n in zip(x, counts, strict=True)]
    path = write(tmp_path / "counts.csv", [["x", "n"], *rows])
    line = ("data=csv", f"data.path={path}", "data.label=n", "data.task=regression", "epochs=2",
            "data.split=given", "batch_size=8")  # fmt: skip
    run = trained_before("poisson", *line, "head=poisson", "loss=nll")
    assert main(str(run), str(path), output=str(tmp_path / "p.csv")) == 0
    weight, bias = tensors_of(run)
    scaled = (x - x[:24].mean()) / x[:24].std()
    for row, one in zip(rows_of(tmp_path / "p.csv"), scaled, strict=True):
        rate = np.exp(weight[0, 0] * one + bias[0])
        assert float(row["prediction"]) == pytest.approx(rate, rel=1e-4)
        assert float(row["std"]) == pytest.approx(np.sqrt(rate), rel=1e-4)
        for level in (0.05, 0.5, 0.95):
            assert float(row[f"quantile_{level}"]) == poisson.ppf(level, rate)
    last = write(tmp_path / "last.csv", [["x", "n"], *rows[-8:]])
    capfd.readouterr()
    assert main(str(run), str(last), output=str(tmp_path / "q.csv")) == 0
    out = capfd.readouterr().out
    for name in ("loss", "rmse"):
        assert f"{name:12} {read_status(run)['metrics'][f'{name}/test']:.4g}\n" in out
    levels = trained_before("levels", *line, "head=quantiles", "head.levels=[0.2,0.7]")
    assert main(str(levels), str(path), output="-") == 0
    assert capfd.readouterr().out.startswith("line,prediction,quantile_0.2,quantile_0.7\n")


def test_ordered_classes_have_a_probability_each(trained_before, tmp_path, capfd):
    """Differences of the levels P(class ≥ k) that numpy computes of the checkpoint."""
    path = flowers(tmp_path)
    run = trained_before(
        "ordered", "data=csv", f"data.path={path}", "data.label=kind", "data.features=[b]",
        "data.split=given", "head=corn", "loss=ordinal_nll", "model.weight=1", "epochs=1",
    )  # fmt: skip
    assert main(str(run), str(path), output=str(tmp_path / "p.csv")) == 0
    out = capfd.readouterr().out
    b = np.array([float(row["b"]) for row in rows_of(path)])
    kinds = np.array([["ape", "bee", "cat"].index(row["kind"]) for row in rows_of(path)])
    weight, bias = tensors_of(run)
    z = ((b - b[:36].mean()) / b[:36].std())[:, None] @ weight.T + bias
    levels = np.cumprod(1 / (1 + np.exp(-z.astype(float))), 1)
    shares = np.stack([1 - levels[:, 0], levels[:, 0] - levels[:, 1], levels[:, 1]], 1)
    names = ["ape", "bee", "cat"]
    with (tmp_path / "p.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["line", "prediction", *(f"probability_{name}" for name in names)]
    found = np.array([[float(one) for one in row[2:]] for row in rows])
    np.testing.assert_allclose(found, shares, rtol=1e-4, atol=1e-6)
    classes = (levels >= 0.5).sum(1)
    assert [row[1] for row in rows] == [names[k] for k in classes]
    assert len({*classes}) > 1
    brier = np.square(shares - np.eye(3)[kinds]).sum(1).mean()
    nll = -np.log(shares[np.arange(60), kinds]).mean()
    for name, value in (("brier", brier), ("nll", nll), ("accuracy", (classes == kinds).mean())):
        assert f"{name:12} {value:.4g}\n" in out
    y = load_trained(run).predictor(torch.from_numpy(b[:, None])).detach()
    np.testing.assert_allclose(y, levels, rtol=1e-4, atol=1e-6)  # as they are exported


def test_labels_of_arrays_are_checked_as_those_of_training(trained_before, tmp_path, capfd):
    """Whole numbers may be floats; others, and those of no class, are refused."""
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(60, 2)), np.arange(60) % 3
    np.savez(tmp_path / "data.npz", x=x, y=y)
    line = ("data=npz", f"data.path={tmp_path / 'data.npz'}", "epochs=1")
    run = trained_before("classes", *line, "head=softmax", "loss=ce")
    np.savez(tmp_path / "floats.npz", x=x, y=y.astype(np.float32))
    printed = []
    for name in ("data", "floats"):
        assert main(str(run), str(tmp_path / f"{name}.npz"), output=str(tmp_path / "p.csv")) == 0
        printed.append(capfd.readouterr().out)
    assert printed[0] == printed[1]
    assert "accuracy" in printed[0]
    for labels, told in (
        (y + 0.5, r"has label 0\.5 at index 0"),
        (y + 1, "has label 3 at index 2"),
        (y[:59], "has 60 examples but 59 labels"),
    ):
        np.savez(tmp_path / "bad.npz", x=x, y=labels)
        with pytest.raises(DataError, match=told):
            main(str(run), str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "data.npz", x=x, y=np.stack([y > 0, y > 1], 1).astype(float))
    several = trained_before(
        "several", *line, "data.task=multilabel", "head=sigmoid", "loss=bce", "data.split_seed=1"
    )
    np.savez(tmp_path / "bad.npz", x=x, y=np.stack([y, y], 1).astype(float))
    with pytest.raises(DataError, match="has label 2 in row 2"):
        main(str(several), str(tmp_path / "bad.npz"))


def test_losses_of_weighted_classes_are_the_final_ones(trained_before, tmp_path, capfd):
    path = flowers(tmp_path)
    run = trained_before(
        "weighted", "data=csv", f"data.path={path}", "data.label=kind", "data.missing=drop",
        "data.categorical=[colour]", "data.split=given", "head=softmax", "loss=ce", "epochs=2",
        "loss.weight=balanced",
    )  # fmt: skip
    lines = path.read_text().splitlines()
    (tmp_path / "test.csv").write_text("\n".join([lines[0], *lines[-12:]]))
    assert main(str(run), str(tmp_path / "test.csv"), output=str(tmp_path / "p.csv")) == 0
    out, metrics = capfd.readouterr().out, read_status(run)["metrics"]
    assert f"loss         {metrics['loss/test']:.4g}\n" in out
    assert f"accuracy     {metrics['accuracy/test']:.4g}\n" in out


def test_images_and_arrays_are_scaled_as_in_training(trained_before, tmp_path, capfd):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (60, 1, 5, 4), dtype=np.uint8)
    y = np.arange(60) % 3
    np.savez(tmp_path / "data.npz", x=x, y=y)
    run = trained_before(
        "images", "data=npz", f"data.path={tmp_path / 'data.npz'}", "data.scale=standardize",
        "head=sigmoid", "loss=bce", "epochs=2", "model=mlp", "model.widths=[6]",
    )  # fmt: skip
    folder = tmp_path / "pictures"
    folder.mkdir()
    for at in (3, 1):
        Image.fromarray(x[at, 0]).save(folder / f"{at}.png")
    assert main(str(run), str(folder), output=str(tmp_path / "p.csv")) == 0
    pictures = rows_of(tmp_path / "p.csv")
    assert main(str(run), str(tmp_path / "data.npz"), output=str(tmp_path / "q.csv")) == 0
    assert "accuracy" in capfd.readouterr().out
    arrays = rows_of(tmp_path / "q.csv")
    assert [row.pop("file") for row in pictures] == ["1.png", "3.png"]
    assert [row.pop("row") for row in arrays] == [str(at) for at in range(60)]
    assert pictures == [arrays[1], arrays[3]]
    np.savez(tmp_path / "scaled.npz", x=x / 255)
    with pytest.raises(DataError, match="has numbers from 0 to 1, but the run was trained on"):
        main(str(run), str(tmp_path / "scaled.npz"))
    Image.fromarray(x[0, 0, :3]).save(folder / "0.png")
    with pytest.raises(DataError, match="has 4 × 3 pixels, but images was trained on 4 × 5"):
        main(str(run), str(folder))
    (folder / "0.png").write_text("no image")
    with pytest.raises(DataError, match="is no image or damaged"):
        main(str(run), str(folder))


def test_an_exported_program_computes_the_same(run, tmp_path, capfd):
    trained = load_trained(run)
    values = np.random.default_rng(4).normal(size=(7, 4)) * [1, 1, 1, 1e4]
    expected = trained.predictor.predictions(trained.logits(values)).detach()
    assert export(str(run)) == 0
    assert "input        (N, 4) float64, unscaled, as in a file\n" in capfd.readouterr().out
    assert {path.name for path in (run / "export").iterdir()} == {"model.pt2", "inputs.json"}
    program = torch.export.load(run / "export" / "model.pt2").module()
    for rows in (1, 2, 7):
        found = program(torch.from_numpy(values[:rows]))
        torch.testing.assert_close(found, expected[:rows], rtol=1e-6, atol=1e-7)
    assert (run / "export" / "inputs.json").read_bytes() == (run / "inputs.json").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("head", ["gaussian", "student_t", "mdn", "quantiles"])
def test_a_regression_is_exported_in_its_unit(trained_before, tmp_path, head):
    path = rents(tmp_path)
    run = trained_before(
        head, "data=csv", f"data.path={path}", "data.label=rent", "data.task=regression",
        f"head={head}", f"loss={'quantile_score' if head == 'quantiles' else 'nll'}",
        "optimizer.lr=0.01", "epochs=2",
    )  # fmt: skip
    trained = load_trained(run)
    values = np.linspace(-1, 1, 5)[:, None]
    found = exported(trained).module()(torch.from_numpy(values))
    expected = trained.predictor.predictions(trained.logits(values)).detach()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_onnx_needs_its_packages(run, monkeypatch):
    monkeypatch.setattr("mlr.app.trained.export.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'mlr-lab\[onnx\]'"):
        export(str(run), onnx=True)


@pytest.mark.slow
def test_onnx_computes_the_same(run, tmp_path):
    pytest.importorskip("onnxscript")
    reference = pytest.importorskip("onnx.reference")
    assert export(str(run), to=str(tmp_path / "to"), onnx=True) == 0
    trained = load_trained(run)
    values = np.random.default_rng(4).normal(size=(7, 4))
    session = reference.ReferenceEvaluator(str(tmp_path / "to" / "model.onnx"))
    (found,) = session.run(None, {session.input_names[0]: values})
    expected = trained.predictor.predictions(trained.logits(values)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
