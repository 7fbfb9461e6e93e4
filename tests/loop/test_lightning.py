"""The callback in a real Trainer; `make test-extras` installs Lightning."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from mlr import GradientProbe
from mlr.analysis.explain.diagnose import findings
from mlr.core.checks import InputError
from mlr.records.reading import read_runs
from tests.loop.loops import batches, module, table

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
RATE = 0.1


@pytest.fixture(params=PACKAGES)
def pl(request, monkeypatch):
    """Lightning by either name, with the callback made of it."""
    import sys

    package = pytest.importorskip(request.param)
    for name in (*PACKAGES, "mlr.loop.lightning"):
        if name != request.param:
            monkeypatch.delitem(sys.modules, name, raising=False)
    logging.getLogger(request.param).setLevel(logging.ERROR)
    return package


def callback(*arguments, **more):
    from mlr.loop.lightning import GradientProbeCallback

    return GradientProbeCallback(*arguments, **more)


def lit(pl, broken=False):
    class Lit(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = module()

        def forward(self, inputs):
            return self.net(inputs)

        def training_step(self, batch, index):
            if broken and index == 3:
                raise ZeroDivisionError("on purpose")
            inputs, targets = batch
            return F.cross_entropy(self(inputs), targets)

        def validation_step(self, batch, index):
            inputs, targets = batch
            self.log("val_loss", F.cross_entropy(self(inputs), targets))
            self.log("val/acc", (self(inputs).argmax(1) == targets).float().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=RATE)

    return Lit()


def loader():
    inputs, targets = map(torch.cat, zip(*batches(6), strict=True))
    return DataLoader(TensorDataset(inputs, targets), batch_size=16)


def trainer(pl, folder, own, **more):
    more = {"max_epochs": 1, "logger": False, "enable_checkpointing": False, **more}
    return pl.Trainer(
        **more, accelerator="cpu", default_root_dir=folder, callbacks=[own],
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def by_hand(folder, accumulate=1, clip=None, **more):
    """The same by a plain loop."""
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    with GradientProbe(
        model, optimizer, folder, head="softmax", settings="full", accumulate=accumulate, **more
    ) as probe:
        for number, (inputs, targets) in enumerate(loader()):
            logits = model(inputs)
            loss = F.cross_entropy(logits, targets)
            probe.watch(logits, targets, loss)
            (loss / accumulate).backward()
            if (number + 1) % accumulate == 0:
                if clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                optimizer.zero_grad()
    return table(folder)


def learnable(count=1280):
    inputs = torch.randn(count, 5, generator=torch.Generator().manual_seed(3))
    return DataLoader(TensorDataset(inputs, inputs[:, :3].argmax(1)), batch_size=16)


def planted(pl, fault="", manual=False):
    """Module with one fault in its steps or its optimizer."""

    class Planted(type(lit(pl))):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = not manual
            if fault == "frozen":
                self.net[0].requires_grad_(False)

        def loss(self, inputs, targets):
            if fault == "softmax":
                return F.cross_entropy(self(inputs).softmax(-1), targets)
            if fault == "cut":
                self(inputs)
                return self.net[0].weight.square().sum()
            if fault == "item":
                return torch.tensor(F.cross_entropy(self(inputs), targets).item()).requires_grad_()
            return F.cross_entropy(self(inputs), targets)

        def training_step(self, batch, index):
            loss = self.loss(*batch)
            if not manual:
                return loss
            optimizer = self.optimizers()
            if fault not in ("kept", "misplaced"):
                optimizer.zero_grad()
            self.manual_backward(loss)
            if fault == "misplaced":
                optimizer.zero_grad()
            if fault != "no step":
                optimizer.step()
            return None

        def on_train_batch_start(self, batch, index):
            if fault == "eval" and index == 3:
                self.net.eval()

        def configure_optimizers(self):
            owned = module() if fault == "strangers" else self.net
            own = [one for one in owned.parameters() if one.requires_grad]
            return torch.optim.SGD(own, lr=0.0 if fault == "rate" else RATE)

    made = Planted()
    if fault == "eval":
        made.net = module(dropout=0.5)
    return made


@pytest.mark.parametrize(
    ("fault", "rule", "options"),
    [
        ("", None, {}),
        ("", None, {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5, "max_epochs": 6}),
        ("", None, {"precision": "bf16-mixed"}),
        ("", None, {"manual": True}),
        ("softmax", "softmax_before_cross_entropy", {}),
        ("softmax", "softmax_before_cross_entropy", {"precision": "bf16-mixed"}),
        ("softmax", "softmax_before_cross_entropy", {"accumulate_grad_batches": 2}),
        ("softmax", "softmax_before_cross_entropy", {"manual": True}),
        ("cut", "wrong_loss", {}),
        ("item", "graph_cut", {}),
        ("frozen", "frozen", {}),
        ("strangers", "wrong_parameters", {}),
        ("rate", "rate_too_low", {}),
        ("clip", "gradients_clipped_away", {"gradient_clip_val": 1e-7}),
        ("eval", "eval_in_training", {}),
        ("kept", "zero_grad_missing", {"manual": True}),
        ("misplaced", "zero_grad_misplaced", {"manual": True}),
        ("no step", "step_missing", {"manual": True}),
    ],
    ids=str,
)
def test_a_planted_fault_is_named(tmp_path, fault, rule, options):
    pl = pytest.importorskip("lightning.pytorch")
    options, manual = dict(options), options.get("manual", False)
    options.pop("manual", None)
    own = callback(tmp_path / "own", module="net")
    trainer(pl, tmp_path, own, **options).fit(planted(pl, fault, manual), learnable())
    (run,) = read_runs(tmp_path / "own")
    assert next(iter(findings(run)), None) == rule


def test_numbers_of_the_validation_are_recorded(pl, tmp_path):
    own = callback(tmp_path / "own")
    fitting = trainer(pl, tmp_path, own, max_epochs=2)
    fitting.fit(lit(pl), loader(), loader())
    (run,) = read_runs(tmp_path / "own")
    rows = [row["loss/val"] for row in table(tmp_path / "own") if row["loss/val"] > 0]
    assert len(rows) == 2
    assert run.metrics["loss/val"] == pytest.approx(float(fitting.callback_metrics["val_loss"]))
    right = float(fitting.callback_metrics["val/acc"])
    assert run.metrics["accuracy/val"] == pytest.approx(right)
    assert 0 < right < 1


@pytest.mark.parametrize(
    ("accumulate", "clip"),
    [(1, None), (2, None), (1, 0.1)],
    ids=["plain", "accumulated", "clipped"],
)
def test_a_trainer_records_what_a_plain_loop_does(pl, tmp_path, accumulate, clip):
    own = callback(tmp_path / "own", head="softmax", settings="full", module="net")
    options = {"accumulate_grad_batches": accumulate, "gradient_clip_val": clip}
    fitted = lit(pl)
    trainer(pl, tmp_path, own, **options).fit(fitted, loader(), loader())
    *rows, validation = table(tmp_path / "own")
    assert validation["loss/val"] > 0
    expected = by_hand(tmp_path / "hand", accumulate, clip, total_steps=6 // accumulate)
    assert len(rows) == 6 // accumulate
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, rel=1e-5, nan_ok=True)
    assert read_runs(tmp_path / "own")[0].status == "done"
    assert not any(part._forward_hooks for part in fitted.modules())


def test_it_writes_to_the_trainers_own_board(pl, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    loggers = pytest.importorskip(f"{pl.__name__}.loggers")
    board = loggers.TensorBoardLogger(tmp_path, name="board", version="0")
    trainer(pl, tmp_path, callback(head="softmax"), logger=board).fit(lit(pl), loader())
    events = EventAccumulator(str(tmp_path / "board" / "0"))
    events.Reload()
    assert [scalar.step for scalar in events.Scalars("logit_grad/wrong")] == list(range(6))
    assert "grad_norm/net/0" in events.Tags()["scalars"]


def test_bfloat16(pl, tmp_path):
    own = callback(tmp_path / "own", head="softmax", settings="full")
    trainer(pl, tmp_path, own, precision="bf16-mixed").fit(lit(pl), loader())
    for row in table(tmp_path / "own"):
        assert 0 < row["grad_norm/total"] <= row["sample_grad/mean"]


def test_an_error_in_a_step_makes_the_run_failed(pl, tmp_path):
    own = callback(tmp_path / "own", head="softmax")
    with pytest.raises(ZeroDivisionError):
        trainer(pl, tmp_path, own).fit(lit(pl, broken=True), loader())
    (run,) = read_runs(tmp_path / "own")
    assert (run.status, run.entries["reason"]) == ("failed", "ZeroDivisionError: on purpose")
    assert len(table(tmp_path / "own")) == 3


def test_what_it_cannot_find_is_said(pl, tmp_path):
    with pytest.raises(InputError, match="has nowhere to write: give it a folder"):
        trainer(pl, tmp_path, callback()).fit(lit(pl), loader())
    lost = callback(tmp_path / "a", module="net.0", targets=lambda batch: batch[1])
    with pytest.warns(match=r"by InputError: .* do not fit logits of shape .*; the last axis"):
        trainer(pl, tmp_path, lost).fit(lit(pl), DataLoader(TensorDataset(*odd()), batch_size=4))
    unnamed = callback(tmp_path / "b")
    with pytest.raises(InputError, match=r"has no targets at \[1\]; say where"):
        trainer(pl, tmp_path, unnamed).fit(
            nameless(pl), DataLoader(TensorDataset(odd()[0]), batch_size=4)
        )


def odd():
    return torch.randn(8, 5), torch.randn(8, 3)


def nameless(pl):
    model = lit(pl)
    model.training_step = lambda batch: model(batch[0]).square().mean()
    return model
