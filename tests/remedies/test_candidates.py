"""Findings lead to the remedies that undo them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mlr.analysis.explain.diagnose import PROGRAM_RULES
from mlr.remedies import candidates
from mlr.remedies.candidates import ProgramSeen, suggested, universal
from mlr.remedies.ends import end_of
from mlr.remedies.program import OwnProgram
from mlr.remedies.score import UNKNOWN, Task, task_of

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
T3, T2, N = torch.arange(40) % 3, (torch.arange(40) % 2).float()[:, None], X[:, :1]


def seen(*rules, end=None, targets=T3, outputs=3, form="", inputs=X, task=None, **more):
    model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, outputs))
    if end is not None:
        model.append(end)
    optimizer = more.pop("optimizer", torch.optim.SGD(model.parameters(), lr=0.1))
    batch, z = (inputs, targets), model(X).detach()
    task = task or task_of(z, targets, "classes_as_numbers" in rules)
    program = OwnProgram(lambda: (model, [optimizer]), F.mse_loss, None, None, form=form, **more)
    return ProgramSeen(
        program, model, [optimizer], batch, z, [batch], targets, end_of(model, X), task, rules
    )


def test_every_name_is_one_of_a_rule():
    names = {*candidates.RATES, *candidates.DRAWN, *candidates.OWNED, *candidates.SCALED}
    assert names <= {*PROGRAM_RULES}


SIGMOID, SOFTMAX = nn.Sigmoid(), nn.Softmax(1)
BINARY = {"targets": T2, "outputs": 1}
OFF = "remove the {} at the end of the model"
LOGITS = "loss = F.binary_cross_entropy_with_logits(outputs, targets.float().view_as(outputs))"


@pytest.mark.parametrize(
    ("rule", "about", "wanted"),
    [
        ("softmax_before_cross_entropy", {"end": SOFTMAX, "form": "ce"}, OFF.format("softmax")),
        (
            "sigmoid_before_bce_with_logits",
            {"end": SIGMOID, "form": "bce_logits", **BINARY},
            OFF.format("sigmoid"),
        ),
        ("relu_output", {"end": nn.ReLU(), "form": "ce"}, OFF.format("relu")),
        ("bounded_logits", {"end": nn.Tanh(), "form": "ce"}, OFF.format("tanh")),
        ("nll_without_log_softmax", {"form": "nll"}, "loss = F.cross_entropy(outputs, targets)"),
        ("probabilities_expected", BINARY, LOGITS),
        ("output_out_of_range", {"end": SIGMOID, "targets": N, "outputs": 1, "form": "mse"},
         OFF.format("sigmoid")),
        ("shapes_broadcast", {"targets": N, "outputs": 1},
         "loss = loss_function(outputs, targets.view_as(outputs))"),
        ("classes_as_numbers", {"targets": T3.float()[:, None], "outputs": 1},
         "nn.Linear(…, 3) at the end; loss = F.cross_entropy(outputs, targets.long())"),
        ("labels_out_of_range", {"targets": 2 * T2 - 1, "outputs": 1},
         "targets = (targets + 1) / 2"),
        ("targets_out_of_range", {"targets": 255 * X.abs(), "outputs": 3, "form": "bce_logits"},
         f"targets = targets / {float(255 * X.abs().max()):g}"),
        ("targets_unscaled", {"targets": 900 * N, "outputs": 1},
         "targets = (targets - mean) / std   # and predictions = outputs * std + mean"),
        ("parameters_missing", {},
         "optimizer = torch.optim.…(model.parameters())   # of every layer that takes part"),
        ("frozen", {}, "for parameter in model.parameters(): parameter.requires_grad_(True)"),
        ("inputs_unscaled", {}, "inputs = (inputs - mean) / std   # of the training examples"),
        ("zero_weights", {}, "layer.reset_parameters()   # of each layer: torch's own init"),
        ("no_activation", {}, "nn.ReLU() after each layer but the last"),
        ("dropout_too_strong", {}, "nn.Dropout(0.2)"),
        ("momentum_too_high", {}, "momentum=0.9"),
        ("decay_too_strong", {}, "weight_decay=1e-4"),
        ("rate_too_low", {}, "lr=10"),
        ("lr_too_high", {"inputs": T3[:, None]}, "lr=0.001"),
        ("loss_maximised", {}, "maximize=False, and a positive lr"),
        ("loss_maximised", {"form": "-ce"}, "loss = -loss"),
        ("sorted_data", {}, "DataLoader(dataset, batch_size=…, shuffle=True)"),
        ("imbalance", {"form": "ce"},
         "loss = F.cross_entropy(outputs, targets, weight=1 / counts)"),
        ("imbalance", {"form": "bce_logits", **BINARY},
         "loss = F.binary_cross_entropy_with_logits(outputs, targets, "
         "pos_weight=torch.tensor(1))"),
        ("step_missing", {"step": print},
         "optimizer.zero_grad(); loss.backward(); optimizer.step()   # of loss(model(inputs), "
         "targets), and nothing else"),
    ],
)  # fmt: skip
def test_the_first_remedy(rule, about, wanted):
    assert [one.code for one in suggested(seen(rule, **about))][:1] == [wanted]


def test_the_loss_can_be_changed_in_place_of_the_model():
    about = {"end": SIGMOID, "form": "bce_logits", **BINARY}
    codes = [one.code for one in suggested(seen("sigmoid_before_bce_with_logits", **about))]
    assert codes[1:] == ["loss = F.binary_cross_entropy(outputs, targets.float().view_as(outputs))"]
    codes = [one.code for one in suggested(seen("softmax_over_one_unit", end=SOFTMAX, **BINARY))]
    assert codes[-1] == f"{OFF.format('softmax')}; {LOGITS}"


def test_targets_are_scaled_into_the_range_of_the_output():
    about = {"end": nn.Tanh(), "targets": 100 * N.abs(), "outputs": 1, "form": "mse"}
    scaled = suggested(seen("output_out_of_range", **about))[1]
    batch = (X, about["targets"])
    program = OwnProgram(None, None, lambda: [batch], lambda: [batch])
    ((_, targets),) = scaled.apply(program).batches()
    assert (float(targets.min()), float(targets.max())) == pytest.approx((-1, 1))


def test_the_loss_of_an_unknown_task_is_not_changed():
    assert suggested(seen("bounded_logits", end=nn.Tanh(), task=Task(UNKNOWN))) == []
    assert suggested(seen("targets_unscaled", targets=N, task=Task(UNKNOWN))) == []


def test_some_are_worth_a_trial_in_any_program():
    codes = [one.code for one in universal(seen())]
    adam = "optimizer = torch.optim.Adam(model.parameters(), lr=0.001)"
    assert codes == ["lr=1", "lr=0.01", adam]
    near = [one.code for one in universal(seen(), near=True)]
    assert near == ["lr=0.3", "lr=0.0333", adam]
    scaled = "inputs = (inputs - mean) / std   # of the training examples"
    assert [one.code for one in universal(seen(inputs=300 * X))] == [*codes, scaled]
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).eval()
    far = torch.optim.Adam(model.parameters(), lr=1.0)
    own = seen(optimizer=far, step=print)
    object.__setattr__(own, "model", model)
    assert [one.code for one in universal(own)][1:] == [
        *("model.train()   # before the training", "lr=10", "lr=0.1", "lr=0.001")
    ]


def test_as_many_as_can_be_tried():
    assert len(suggested(seen(*PROGRAM_RULES))) == candidates.MOST


def test_inputs_are_standardised_by_column_or_channel():
    images = torch.randn(6, 2, 4, 4) * torch.tensor([1.0, 50.0])[:, None, None] + 7
    mean, std, size = candidates._inputs(seen(inputs=images))
    assert torch.allclose(mean.flatten(), images.mean((0, 2, 3)).double())
    assert torch.allclose(std.flatten(), images.std((0, 2, 3), unbiased=False).double())
    assert size == pytest.approx(float(images.square().mean().sqrt()))
    constant = torch.cat((X, torch.full((40, 1), 3.0)), 1)
    assert candidates._inputs(seen(inputs=constant))[1][-1] == 1
    assert candidates._inputs(seen(inputs=T3[:, None])) is None
