"""Every bad input: one sentence on standard error, exit code 1, nothing written."""

from __future__ import annotations

import gzip
import shlex
import struct
import subprocess
import sys

import pytest

from mlr.app.config.arguments import read_arguments
from mlr.core.checks import InputError
from tests.records.reading import accumulate

REFUSED = {
    "head=sigmod": "Unknown head=sigmod. Did you mean head=sigmoid",
    "loss=see": "Unknown loss=see. Did you mean loss=se? Choose from arcface, asymmetric, bce, "
    "beta_nll, ce, cosface, evidential_se, expectile, … poly1, quantile_score, se, smoothed_ce, ",
    "loss=nll": "loss=nll needs targets that are real numbers, but these are classes. Use loss=ce",
    "loss=gaussian_nll": "loss=gaussian_nll needs targets that are real numbers, but these are "
    "classes. Use loss=ce",
    "data=csv data.path=nowhere.csv loss=gaussian_nll": "but these are classes. Use loss=ce",
    "head=sigmoid loss=gaussian_nll data=moons": "but these are classes. Use loss=bce",
    "data=mnits": "Did you mean data=mnist",
    "model=mpl": "Did you mean model=mlp",
    "optimizer=sdg": "Did you mean optimizer=sgd",
    "schedule=exp": "Unknown schedule=exp",
    "experiment=nope": "Unknown experiment=nope. Choose from cement, clipped, line, mnist_cnn",
    "head=linear loss=bce": "loss=bce needs predictions in [0, 1], but head=linear gives any",
    "head=sigmoid loss=ce": "loss=bce or loss=se. objective.strict=false runs it",
    "data=line": "Use head=linear",
    "data=line head=coral": "levels of ordered classes, but this data's targets are any",
    "head=coral loss=ordinal_nll": "Use head=cumulative, head=corn or loss=bce",
    "head=corn loss=matching": "head=corn has none. Use loss=ordinal_nll",
    "head=gaussian": "head=gaussian predicts numbers, but the data have 10 classes. Use head=softm",
    "head=gaussian loss=se data=line": "loss=se needs one prediction for each target, but head=ga",
    "head=gaussian loss=bce data=line": "a mean and a standard deviation. Use loss=gaussian_nll",
    "head=gaussian loss=matching data=line": "Use loss=gaussian_nll or head=linear",
    "data=line head=linear loss=hinge": "loss=hinge needs targets",
    "loss=focal loss.gamma=-1": "loss.gamma=-1 must be a finite number, 0 or above",
    "loss=gce loss.q=1.5": "loss.q=1.5 must lie in (0, 1]",
    "loss=gce loss.q=0": "loss.q=0 must be a finite number above 0",
    "loss=smoothed_ce loss.epsilon=1": "loss.epsilon=1 must lie in [0, 1)",
    "loss=phuber_ce loss.tau=0.5": "loss.tau=0.5 must be above 1",
    "loss=asymmetric loss.margin=1": "loss.margin=1 must lie in [0, 1)",
    "loss=arcface": "loss=arcface needs logits that are cosines, s cos θ, and model=linear gives "
    "others. Use model=cosine or loss=ce",
    "loss=cosface model=cosine model.scale=16": "loss.scale=64 must be model.scale=16; add "
    "loss.scale=16",
    "loss=arcface model=cosine head=sigmoid": "Use head=softmax, loss=bce or loss=se",
    "loss=evidential_se": "Use head=evidential, loss=ce, loss=bce or loss=se",
    "head=evidential loss=matching": "head=evidential has none. Use loss=evidential_se",
    "model=cosine model.init=zeros": "model.init=zeros gives weights without a direction",
    "loss=ce loss.gamma=1": "Unknown option loss.gamma. Did you mean loss=focal, which",
    "optimizer.lr=0": "optimizer.lr=0 must be a finite number above 0",
    "optimizer.lr=nan": "optimizer.lr=nan must be a finite number above 0",
    "optimizer.lr=abc": "optimizer.lr=abc must be a finite number above 0",
    "optimizer.momentum=1": "optimizer.momentum=1 must lie in [0, 1)",
    "optimizer.nesterov=true": "needs momentum",
    "batch_size=0": "batch_size=0 must be a whole number of at least 1",
    "batch_size=2.5": "batch_size=2.5 must be a whole number",
    "batch_size=100000": "batch_size=100000 is more than the 1258 training examples of data=digits",
    "epochs=0": "epochs=0 must be a whole number of at least 1",
    "seed=-1": "seed=-1 must be a whole number of at least 0",
    "seed=1.5": "seed=1.5 must be a whole number",
    "patience=0": "patience=0 must be",
    "max_grad_norm=-1": "max_grad_norm=-1.0 must be a finite number above 0",
    "dtype=float16": "Unknown dtype=float16. Did you mean dtype=float64? Choose from float32",
    "device=gpu": "Unknown device=gpu. Did you mean device=cuda",
    "probes.points=-1": "probes.points=-1 must be",
    "probes.points=every(10)": "probes.points=every(10) cannot be read",
    "probes.classes=daily": "probes.classes=daily must be a schedule: 200 (about so many points)",
    "schedule.warmup_steps=-1": "schedule.warmup_steps=-1 must be",
    "model=mlp model.widths=[]": "model.widths=[] must list",
    "model=mlp model.widths=[1000000000000]": "does not fit into memory",
    "model=mlp model.activation=gelu": "Unknown model.activation=gelu",
    "model=cnn data=blobs": "model=cnn needs images",
    "model=custom": "model._target_=??? must name a class",
    "model._target_=os.system": "none of mlr's own parts and not in torch.nn",
    "model._target_=mlr.models.Nope": "Unknown model._target_=mlr.models.Nope",
    "head._target_=mlr.losses.CrossEntropy": "is not a",
    "learning_rate=1": "Unknown option learning_rate. Did you mean optimizer.lr",
    "batchsize=8": "Did you mean batch_size",
    "optimizer.rl=1": "Unknown option optimizer.rl. Choose from lr, momentum, ",
    "data=idx": "data.root",
    "data=idx data.root=nowhere": "nowhere",
    "data=csv data.path=nowhere.csv": "nowhere.csv",
    "data=npz data.path=nowhere.npz": "nowhere.npz",
    "data=mnist data.root=nowhere": "nowhere",
    "+learning_rate=5": "Unknown option learning_rate. Did you mean optimizer.lr",
    "model.weight=abc": "model.weight=abc must be a finite number",
    "schedule=step schedule.factor=1e200": "schedule.factor=1e+200 must lie in",
    "hydra.job.chdir=true": "hydra.job.chdir=true is not supported",
    "head=linear loss=ce data=line": "are any real number. Use loss=se",
    "seed=0,1": "needs -m",
    "data=csv data.path=/x/ü.csv": "/x/ü.csv cannot be read; options are key=value without spaces, "
    "and special characters need quotes",
    "steps=${nope}": "nope",
    "=1": "spaces around = ",
}


def assert_refused(finished, message, code=2):
    assert finished.code == code
    assert finished.out == ""
    lines = finished.err.strip().splitlines()
    assert len(lines) == 1, finished.err
    assert message in lines[0]
    assert len(lines[0]) <= 200
    assert "Traceback" not in finished.err


@pytest.mark.parametrize(("line", "message"), REFUSED.items(), ids=REFUSED)
def test_bad_values_are_refused_and_nothing_is_written(train, line, message):
    finished = train(*line.split())
    assert_refused(finished, message)
    assert list(finished.folder.iterdir()) == []


TYPED = {
    "sigmoid": "options are key=value: head=sigmoid?",
    "train": "train is not an option; options are key=value, as in head=sigmoid; a list has commas",
    "--help head": "head has no value: write head=….",
    "''": "'' is not an option; options are key=value",
    "head=hinge": "Unknown head=hinge. Did you mean loss=hinge? Choose from beta, clipped_",
    "--epochs 3": "--epochs is not a flag; options have no hyphens: write epochs=3.",
    "--lr=0.1": "--lr=0.1 is not a flag; options have no hyphens: write optimizer.lr=0.1.",
    "--multi-run seed=0,1": "Unknown flag --multi-run. Did you mean --multirun?",
    "-M seed=0,1": "Unknown flag -M. Did you mean -m?",
    "–m seed=0,1": "Unknown flag –m. Did you mean -m?",
    "-v": "Unknown flag -v. Options are key=value, without hyphens; see --help.",
    "head = sigmoid": "spaces around = and commas are not allowed: write head=sigmoid.",
    "head =sigmoid": "are not allowed: write head=sigmoid.",
    "head= sigmoid": "are not allowed: write head=sigmoid.",
    "'head = sigmoid'": "'head = sigmoid' is not written as options are: write head=sigmoid.",
    "head=sigmoid, softmax": "are not allowed: write -m head=sigmoid,softmax.",
    "model=mlp model.widths=32 16": "without spaces: write 'model.widths=[32,16]'.",
    "model=mlp model.widths=[32, 16]": "are not allowed: write 'model.widths=[32,16]'.",
    "-lr 0.1 seed 0 1": "write -m optimizer.lr=0.1 seed=0,1.",
    "head=sigmoid, loss=bce": "are not allowed: write head=sigmoid.",
    "head: sigmoid": "head: stands alone; options are key=value, without spaces: write head=sigm",
    "optimizer.lr=0,1": "in -m optimizer.lr=0,1; for one number write optimizer.lr=0.1.",
    "data=csv data.path=my file.csv": "file.csv is not an option; options are key=value",
    "-m loss=se bce": "bce stands alone; options are key=value, without spaces: write -m loss",
    "data=foo.csv": "data=foo.csv is a file: write data=csv data.path=foo.csv.",
    "epochs=null": "epochs=null is not possible; leave it out for the usual value.",
    "objective=null": "objective=null is not possible",
    "allow_targets=null": "allow_targets=null is not possible",
    "optimizer.lr=null": "optimizer.lr=null must be a finite number above 0.",
    "optimizer.nesterov=null": "optimizer.nesterov=null must be true or false.",
    "data=csv data.path=x data.delimiter=null": "data.delimiter=null must be one character",
    "allow=[null]": "allow=[null]: Invalid type assigned: NoneType is not a subclass of str",
    "model=mlp model.widths=[-3]": "model.widths=[-3] must list whole numbers of at least 1, as in",
    "model=mlp model.widths=-3": "model.widths=-3 must list whole numbers of at least 1, as in",
    "model=mlp model.widths=32,16": "model.widths=32,16 is a list: write 'model.widths=[32,16]'.",
    "optimizer=SGD": "Unknown optimizer=SGD. Did you mean optimizer=sgd? Choose from adam, adamw, ",
    "data=FashionMNIST": "Did you mean data=fashion_mnist?",
    "loss=cross-entropy": "Unknown loss=cross-entropy. Did you mean loss=ce?",
    "experiment=neuron.yaml": "Did you mean experiment=neuron? Choose from cement, clipped, line",
    "model.activation=relu": "Unknown option model.activation. Did you mean "
    "model=cosine|mlp|ordinal, which has it? Choose from bias, init, init_scale, weight.",
    "activation=relu": "Unknown option activation. Did you mean model.activation? Choose from all",
    "lr=0.1": "Unknown option lr. Did you mean optimizer.lr? Choose from allow, allow_targets, bat",
    "Head=sigmoid": "Unknown option Head. Did you mean head? Choose from allow, allow_targets, bat",
    "model.lr=0.1": "Unknown option model.lr. Did you mean optimizer.lr? Choose from bias",
    "head.name=x": "Unknown option head.name.",
    "head=": "Unknown head=. Choose from beta, clipped_linear, ",
    "head": "head has no value: write head=….",
    "seed=": "seed= must be a whole number.",
    "epochs 3": "epochs stands alone; options are key=value, without spaces: write epochs=3.",
    "epochs=1e3": "epochs=1000.0 must be a whole number.",
    "epochs=ten": "epochs=ten must be a whole number.",
    "epochs=99999999999": "e+12 updates are more than 1e+08; choose fewer epochs or steps.",
    "seed=[0,1,2]": "seed=[0, 1, 2] must be a whole number.",
    "seed=range(0,3)": "needs -m, as in -m 'seed=range(0,3)'.",
    "seed=0,1": "seed=0,1 lists values to try, which needs -m, as in -m seed=0,1.",
    "head=[sigmoid,softmax]": "is a list; to try several values, write -m head=sigmoid,softmax.",
    "optimizer.lr=0.1f": "optimizer.lr=0.1f must be a finite number above 0.",
    "'head=sigmoid loss=se'": "not written as options are: write head=sigmoid loss=se.",
    "head=“sigmoid”": "is not written as options are: write head=sigmoid.",
    "+head=sigmoid": "every run has a head: write head=…, without +.",
    "~loss": "every run has a loss: write loss=…, without ~.",
    "objective=strict": "objective is a group of options, which are set one by one, as in object",
    "objective.strict=maybe": "objective.strict=maybe must be true or false.",
    "objective_metric=acc": "Did you mean objective_metric=accuracy/test? Choose from accuracy",
    "-m head=sigmoid,softmax loss=bce,xx": "Unknown loss=xx. Choose from arcface, asymmetric, bce",
    "-m seed=1,abc": "seed=abc must be a whole number.",
}
"""As a student types them, words of a shell."""


@pytest.mark.parametrize(("line", "message"), TYPED.items(), ids=TYPED)
def test_what_is_typed_wrongly_is_told_how_to_write_it(train, line, message):
    finished = train(*shlex.split(line))
    assert_refused(finished, message)
    assert list(finished.folder.iterdir()) == []


def test_what_hydra_can_read_is_not_refused(train):
    """Quotes, groups of an own folder, numbers below 0, names that begin as a flag does."""
    for line in (
        ["hydra.run.dir='a, b = c'", "--cfg", "job"],
        ["--multir", "seed=0,1", "--cfg=job"],
        ["+experiment=neuron", "--cfg", "job"],
        ["model.weight=-1", "-c", "job"],
        ["~experiment", "--cfg", "job"],
        ["data=custom", "data._target_=my.Source", "+data.path='x;y=z'", "--cfg", "job"],
    ):
        read_arguments(line)
    with pytest.raises(InputError):
        read_arguments(["head=own"])
    read_arguments(["head=own", "--config-dir", "conf"])
    read_arguments(["head=own", "hydra.searchpath=[file://conf]"])


LIGHT = {
    "optimizer.rl=1": 2,
    "head=hinge": 2,
    "epochs=0": 2,
    "optimizer.lr=0": 2,
    "head=x": 2,
    "head=linear loss=bce": 2,
    "-m head=linear loss=bce,ce": 2,
    "-m objective_metric=f1 seed=0,1": 2,
    "--cfg job": 0,
    "--help": 0,
}
"""Command lines that train nothing, and their exit codes."""


UNUSED = (
    *("sklearn", "scipy", "pandas", "sympy", "requests", "pooch", "fsspec", "absl", "jax"),
    *("matplotlib", "PIL", "torch._dynamo", "torch._inductor", "torch.utils.tensorboard"),
    *("torch.onnx", "tensorboard.compat.tensorflow_stub", "tensorboard.util.tensor_util"),
    *("numpy.testing", "numpy.f2py", "rich.progress", "lightning"),
)
"""Modules that take long to import, and that the first command of the README does without."""


@pytest.mark.slow
def test_what_trains_nothing_imports_no_torch_and_what_trains_only_what_it_uses(tmp_path):
    code = f"""
import sys
from mlr.app.cli.command import main
for line, expected in {LIGHT}.items():
    sys.argv = ["train.py", *line.split()]
    try:
        code = main() or 0
    except SystemExit as ended:
        code = ended.code or 0
    heavy = {{"torch", "numpy", "tensorboard", "rich.progress"}} & set(sys.modules)
    assert (code, heavy) == (expected, set()), line
sys.argv = ["train.py", "head=sigmoid", "loss=se", "epochs=1", "hydra.run.dir=it"]
assert main() == 0 and "torch" in sys.modules
unused = {{*{UNUSED}}} & set(sys.modules)
assert not unused, unused
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert "Choose from accuracy/test, accuracy/train" in shown.stdout
    # the figures were drawn nevertheless, by another process
    assert "figure/confusion" in accumulate(tmp_path / "it").Tags()["images"]


def idx(magic: int, shape: tuple[int, ...], content: bytes) -> bytes:
    return struct.pack(">I", magic) + struct.pack(f">{len(shape)}I", *shape) + content


GOOD = {
    "train-images-idx3-ubyte": idx(0x803, (20, 2, 2), bytes(range(80))),
    "train-labels-idx1-ubyte": idx(0x801, (20,), bytes([0, 1] * 10)),
    "t10k-images-idx3-ubyte": idx(0x803, (4, 2, 2), bytes(range(1, 17))),
    "t10k-labels-idx1-ubyte": idx(0x801, (4,), bytes([0, 1] * 2)),
}
DAMAGED = {
    "missing": ("train-labels-idx1-ubyte", None),
    "truncated": ("train-images-idx3-ubyte", GOOD["train-images-idx3-ubyte"][:-7]),
    "wrong magic": ("train-images-idx3-ubyte", idx(0x1234, (20, 2, 2), bytes(80))),
    "other count": ("train-labels-idx1-ubyte", idx(0x801, (19,), bytes([0, 1] * 9 + [0]))),
    "label gap": ("train-labels-idx1-ubyte", idx(0x801, (20,), bytes([0, 5] * 10))),
    "not an idx file": ("train-images-idx3-ubyte", b"<html>404</html>"),
    "damaged gzip": ("train-images-idx3-ubyte.gz", gzip.compress(bytes(100))[:-9]),
}


@pytest.mark.parametrize(("name", "content"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_idx_files_are_refused_by_name(train, tmp_path, name, content):
    folder = tmp_path / "images"
    folder.mkdir()
    for good, data in GOOD.items():
        if good != name.removesuffix(".gz"):
            (folder / good).write_bytes(data)
    if content is not None:
        (folder / name).write_bytes(content)
    finished = train("data=idx", f"data.root={folder}", "batch_size=4")
    assert_refused(finished, name.removesuffix(".gz"), code=3)
    assert len(finished.err.strip()) <= 200
    assert list(finished.folder.iterdir()) == [folder]


def test_good_idx_files_are_trained_on(train, tmp_path):
    for name, data in GOOD.items():
        (tmp_path / name).write_bytes(data)
    finished = train("data=idx", f"data.root={tmp_path}", "batch_size=4", "epochs=1")
    assert finished.code == 0, finished.err


@pytest.mark.parametrize(
    ("rows", "message", "code"),
    [
        ("x,label\n1,0\nnan,1\n2,0\n", "x", 3),
        ("x,label\n1,0\n2\n", "line 3", 3),
        ("x,y\n1,0\n", "label", 2),
    ],
)
def test_damaged_csv_files_are_refused(train, tmp_path, rows, message, code):
    path = tmp_path / "table.csv"
    path.write_text(rows)
    finished = train("data=csv", f"data.path={path}", "data.label=label", "batch_size=1")
    assert_refused(finished, message, code)


def test_an_existing_run_is_never_overwritten(train, tmp_path):
    line = ("epochs=1", f"hydra.run.dir={tmp_path}/mine")
    assert train(*line).code == 0
    before = (tmp_path / "mine" / "status.json").read_bytes()
    assert_refused(train(*line), "mine")
    assert (tmp_path / "mine" / "status.json").read_bytes() == before
