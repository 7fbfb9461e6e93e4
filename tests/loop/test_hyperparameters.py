"""Hyper-parameters are read off a program as a person would write them down."""

from __future__ import annotations

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.core.checks import InputError
from mlr.loop import hyperparameters
from mlr.records.reading import read_runs
from tests.loop.loops import module, train


def of(make):
    return hyperparameters.of_optimizers([make(nn.Linear(2, 1).parameters())])


def test_an_optimizer_is_told_by_its_class_its_rate_and_what_is_not_the_default():
    sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
    assert of(lambda p: sgd(p, lr=0.1)) == {"optimizer": "SGD", "optimizer.lr": 0.1}
    assert of(lambda p: sgd(p, lr=0.1, momentum=0.9, nesterov=True, foreach=True)) == {
        **{"optimizer": "SGD", "optimizer.lr": 0.1},
        **{"optimizer.momentum": 0.9, "optimizer.nesterov": True},
    }
    assert of(adam) == {"optimizer": "Adam", "optimizer.lr": 0.001}
    assert of(lambda p: adam(p, betas=(0.5, 0.9), weight_decay=0.01)) == {
        **{"optimizer": "Adam", "optimizer.lr": 0.001},
        **{"optimizer.betas": "[0.5,0.9]", "optimizer.weight_decay": 0.01},
    }
    assert of(lambda p: adamw(p, lr=torch.tensor(0.25), weight_decay=0.01)) == {
        **{"optimizer": "AdamW", "optimizer.lr": 0.25}
    }


def test_a_schedule_hides_no_rate():
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.5)
    assert not hyperparameters.scheduled([optimizer])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / 10)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
    assert hyperparameters.of_optimizers([optimizer])["optimizer.lr"] == 0.5
    assert hyperparameters.scheduled([optimizer])


def test_groups_that_differ_are_listed_and_further_optimizers_numbered():
    one, other = nn.Linear(2, 1), nn.Linear(2, 1)
    groups = [{"params": one.parameters()}, {"params": other.parameters(), "weight_decay": 0.5}]
    first = torch.optim.SGD(groups, lr=0.1)
    second = torch.optim.Adam(other.parameters(), lr=0.2)
    assert hyperparameters.of_optimizers([first, second]) == {
        **{"optimizer": "SGD", "optimizer.lr": 0.1, "optimizer.weight_decay": "[0,0.5]"},
        **{"optimizer2": "Adam", "optimizer2.lr": 0.2},
    }


class Own(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))


def layers(*parts):
    return hyperparameters.of_model(nn.Sequential(*parts))["model.layers"]


def test_a_model_is_told_by_its_layers():
    small = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    assert hyperparameters.of_model(small) == {
        "model": "Sequential",
        "model.layers": "Linear 8, ReLU(), Linear 3",
    }
    assert hyperparameters.of_model(torch.compile(small, backend="eager"))["model"] == "Sequential"
    assert hyperparameters.parameters(small.requires_grad_(True)) == 4 * 8 + 8 + 8 * 3 + 3
    small[0].requires_grad_(False)
    assert hyperparameters.parameters(small) == 8 * 3 + 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: [nn.Linear(2, 2), nn.ReLU()], lambda: [nn.Linear(2, 2), nn.Tanh()]),
        (lambda: [nn.Linear(2, 2), nn.Dropout(0.1)], lambda: [nn.Linear(2, 2), nn.Dropout(0.2)]),
        (
            lambda: [*[nn.Linear(2, 2) for _ in range(30)], nn.Dropout(0.1)],
            lambda: [*[nn.Linear(2, 2) for _ in range(30)], nn.Dropout(0.2)],
        ),
        (lambda: [Own(2), Own(3)], lambda: [Own(3), Own(2)]),
    ],
)
def test_models_that_differ_are_told_apart(one, other):
    assert layers(*one()) == layers(*one())
    assert layers(*one()) != layers(*other())
    assert len(layers(*one())) <= 80


def half_squares(z, t):
    return 0.5 * (z.sigmoid() - t).square().mean()


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (F.cross_entropy, "ce"),
        (lambda z, t: F.nll_loss(z.log_softmax(1), t), "ce"),
        (lambda z, t: F.cross_entropy(z, t, label_smoothing=0.1), None),
        (lambda z, t: F.mse_loss(z, F.one_hot(t, 3).float()), "mse"),
        (lambda z, t: F.mse_loss(z.softmax(1), F.one_hot(t, 3).float()), "mse"),
        (lambda z, t: F.binary_cross_entropy_with_logits(z, F.one_hot(t, 3).float()), "bce"),
        (lambda z, t: F.binary_cross_entropy(z.sigmoid(), F.one_hot(t, 3).float()), "bce"),
        (lambda z, t: F.l1_loss(z, F.one_hot(t, 3).float()), "l1"),
        (lambda z, t: F.poisson_nll_loss(z, F.one_hot(t, 3).float()), "poisson"),
        (F.nll_loss, "nll"),
        (lambda z, t: half_squares(z, F.one_hot(t, 3)), None),
        (lambda z, t: F.cross_entropy(z, t, weight=torch.tensor([1.0, 2.0, 5.0])), None),
    ],
)
def test_a_loss_is_named_where_its_value_tells(tmp_path, loss, name):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "run", head="softmax") as probe:
        train(model, optimizer, probe, loss)
    (run,) = read_runs(tmp_path)
    assert run.setting("loss") == (name or "")
    assert run.pair == ("softmax" if name is None else f"softmax+{name}")
    assert run.setting("batch_size") == 16


def test_what_is_given_counts_before_what_is_seen(tmp_path):
    torch.manual_seed(5)
    model = module(seed=5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given = {"loss": "focal", "seed": 3, "data": "cifar10", "lr": 7, "widths": [4, 2], "bn": True}
    with GradientProbe(model, optimizer, tmp_path / "run", hyperparameters=given) as probe:
        train(model, optimizer, probe)
    (run,) = read_runs(tmp_path)
    assert (run.pair, run.seed) == ("unknown+focal", 3)
    keys = ("loss", "data", "optimizer.lr", "widths", "bn", "model")
    assert [run.setting(key) for key in keys] == [
        *("focal", "cifar10", 7, "[4,2]", True, "Sequential")
    ]


def test_the_seed_is_torchs(tmp_path):
    assert torch.Generator().initial_seed() == hyperparameters.UNSEEDED
    torch.manual_seed(11)
    assert hyperparameters.torch_seed() == 11
    torch.manual_seed(hyperparameters.UNSEEDED)
    assert hyperparameters.torch_seed() is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"head": "softmax"}, "the head is given by head="),
        ({"it": {"nested": 1}}, "must hold numbers, text, or lists"),
        ({3: 1}, "must hold numbers, text, or lists"),
        ({"seed": "three"}, "must be a whole number"),
    ],
)
def test_what_cannot_be_recorded_is_refused(tmp_path, given, message):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InputError, match=message):
        GradientProbe(model, optimizer, tmp_path / "run", hyperparameters=given)
    with pytest.raises(InputError, match="with writer=, call its add_hparams"):
        GradientProbe(model, optimizer, writer=object(), hyperparameters={"a": 1})
    assert not (tmp_path / "run").exists()


def test_a_divergence_is_named(tmp_path):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = [(torch.randn(16, 5), torch.rand(16, 3).softmax(1)) for _ in range(3)]
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        loss_of = lambda z, t: F.kl_div(z.log_softmax(1), t, reduction="batchmean")  # noqa: E731
        train(model, optimizer, probe, loss_of, data)
    assert read_runs(tmp_path)[0].setting("loss") == "kl"


def test_the_hparams_page_has_them_as_columns(tmp_path):
    torch.manual_seed(4)
    model = module(seed=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.125)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    given = {"data": "mine"}
    with GradientProbe(model, optimizer, tmp_path / "run", hyperparameters=given) as probe:
        train(model, optimizer, probe)
        schedule.step()
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    found = [
        HParamsPluginData.FromString(content)
        for content in events.PluginTagToContent("hparams").values()
    ]
    (start,) = [one.session_start_info for one in found if one.HasField("session_start_info")]
    values = {
        name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()
    }
    assert values.pop("seed").strip() == "4"
    assert values == {
        **{"head": "unknown", "loss": "ce", "lr": 0.125, "optimizer": "SGD", "schedule": "yes"},
        **{"model": "Sequential", "model.layers": "Linear 8, ReLU(), Dropout(p=0.0, inplace=False)"
           ", Linear 3", "model.parameters": 5 * 8 + 8 + 8 * 3 + 3, "batch_size": 16},
        **{"optimizer.momentum": 0, "optimizer.weight_decay": 0, "optimizer.betas": "none"},
        "data": "mine",
    }  # fmt: skip
