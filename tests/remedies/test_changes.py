"""Each remedy changes the program as its line of code says, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mlr.remedies import changes
from mlr.remedies.program import OwnProgram

generator = torch.Generator().manual_seed(0)
X = 5 + 3 * torch.randn(30, 2, generator=generator)
T = torch.arange(30) % 3
BATCHES = list(zip(X.split(10), T.split(10), strict=True))


def model():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(2, 4), nn.Sigmoid(), nn.Dropout(0.9), nn.Linear(4, 3), nn.Sigmoid()
    )


SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.5)


def program(make=model, optimizer=SGD, **more):
    def parts():
        made = make()
        return made, [optimizer(made.parameters())]

    return replace(OwnProgram(parts, F.cross_entropy, lambda: BATCHES, lambda: BATCHES), **more)


def parts(remedy, **more):
    """The model and the optimizer with a remedy."""
    made, (optimizer,) = remedy.apply(program(**more)).make()
    return made, optimizer


def group(remedy, **more):
    return parts(remedy, **more)[1].param_groups[0]


def test_rates_and_settings():
    sgd = torch.optim.SGD(model().parameters(), lr=0.1)
    assert changes.rate(10, sgd).code == "lr=1"
    assert group(changes.rate(10, sgd))["lr"] == pytest.approx(1.0)
    assert group(changes.setting("momentum=0", "momentum", 0.0))["momentum"] == 0
    adam = group(changes.setting("", "momentum", 0.9), optimizer=torch.optim.Adam)
    assert "momentum" not in adam
    up = partial(torch.optim.SGD, lr=0.2, maximize=True)
    assert group(changes.minimising(), optimizer=up)["maximize"] is False


def test_another_optimizer_has_the_same_parameters():
    made, optimizer = parts(changes.optimizer(torch.optim.Adam, 1e-3))
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.param_groups[0]["lr"] == 1e-3
    assert list(map(id, optimizer.param_groups[0]["params"])) == list(map(id, made.parameters()))


class Unregistered(nn.Module):
    """A layer in a plain list."""

    def __init__(self):
        super().__init__()
        self.layers, self.last = [nn.Linear(2, 4)], nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.layers[0](x))


def test_all_parameters_are_those_of_the_graph_too():
    made, optimizer = parts(changes.all_parameters(), make=Unregistered)
    owned = {id(own) for each in optimizer.param_groups for own in each["params"]}
    assert owned == {id(own) for own in (*made.layers[0].parameters(), *made.last.parameters())}


def test_frozen_layers_are_trained():
    def frozen():
        made = model()
        made[0].requires_grad_(False)
        return made

    def last(own):
        return torch.optim.SGD([one for one in own if one.requires_grad], lr=0.1)

    made, optimizer = parts(changes.unfrozen(), make=frozen, optimizer=last)
    owned = {id(own) for each in optimizer.param_groups for own in each["params"]}
    assert all(own.requires_grad and id(own) in owned for own in made.parameters())


def test_weights_are_drawn_again():
    def zeros():
        made = model()
        for own in made.parameters():
            nn.init.zeros_(own)
        return made

    drawn, _ = parts(changes.drawn_again(), make=zeros)
    assert 0.5 * 2**-0.5 < drawn[0].weight.abs().max() <= 2**-0.5  # uniform within 1 / √fan_in
    made, _ = parts(changes.kaiming(), make=lambda: nn.Sequential(nn.Linear(500, 400)))
    assert made[0].weight.std().item() == pytest.approx((2 / 500) ** 0.5, rel=0.02)
    assert not made[0].bias.any()


def test_activations():
    made, _ = parts(changes.relu_in_place())
    assert [type(part) for part in made] == [
        *(nn.Linear, nn.ReLU, nn.Dropout, nn.Linear),
        nn.Sigmoid,
    ]
    assert changes.has_bounded(model())
    assert not changes.has_bounded(made)

    def linear():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 3))

    first, last = linear()
    between, _ = parts(changes.relu_between(), make=linear)
    assert torch.equal(between(X), last(first(X).relu()))
    assert parts(changes.weak_dropout())[0][2].p == 0.2


def test_the_mode_and_the_loop():
    assert parts(changes.in_train_mode(), make=lambda: model().eval())[0].training
    assert changes.plain_loop().apply(program(step=print)).step is None


def test_class_numbers_get_an_output_each():
    one = changes.wide_head(3).apply(
        program(lambda: nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 1)))
    )
    made, (optimizer,) = one.make()
    assert made(X).shape == (30, 3)
    assert any(own is made[1].weight for each in optimizer.param_groups for own in each["params"])
    inputs, targets = next(iter(one.batches()))
    assert (targets.dtype, one.form) == (torch.int64, "ce")
    assert one.loss(made(inputs), targets) == F.cross_entropy(made(inputs), T[:10])


def test_the_activation_at_the_end_is_left_out():
    one = changes.without_end("sigmoid").apply(program(form="ce", singly=True))
    made, _ = one.make()
    made.eval()
    assert torch.equal(made(X), made.model[:-1](X))
    assert (one.form, one.singly) == ("ce", False)


def test_losses():
    z, t = torch.randn(4, 1), torch.tensor([0.0, 1, 1, 0])
    own = program(loss=F.mse_loss, form="broadcast+mse")
    same = changes.with_shape().apply(own)
    assert same.loss(z, t) == F.mse_loss(z, t[:, None])
    assert same.form == "mse"
    assert changes.negated().apply(own).loss(z, t[:, None]) == -F.mse_loss(z, t[:, None])
    both = changes.both("", changes.with_shape(), changes.negated())
    assert both.code == "loss = loss_function(outputs, targets.view_as(outputs)); loss = -loss"
    assert both.apply(own).loss(z, t) == -F.mse_loss(z, t[:, None])


def test_rare_classes_weigh_as_much_as_others():
    z, t = torch.randn(40, 2), (torch.arange(40) % 10 == 0).long()
    own = changes.weighted(torch.tensor([36.0, 4.0])).apply(program())
    each = F.cross_entropy(z, t, reduction="none")
    assert own.loss(z, t).item() == pytest.approx(
        float((each[t == 0].mean() + each[t == 1].mean()) / 2), rel=1e-5
    )
    positive = changes.positive_weight(0.1).apply(program())
    one = z[:, :1]
    costs = F.binary_cross_entropy_with_logits(one[:, 0], t.float(), reduction="none")
    wanted = (costs[t == 0].sum() + 9 * costs[t == 1].sum()) / 40
    assert positive.loss(one, t).item() == pytest.approx(float(wanted), rel=1e-5)
    assert "pos_weight=torch.tensor(9))" in changes.positive_weight(0.1).code


def test_inputs_and_targets_are_scaled_for_training_and_judging():
    mean, std = X.mean(0), X.std(0, unbiased=False)
    one = changes.standardised_inputs(mean.double(), std.double()).apply(program())
    for source in (one.batches, one.held):
        inputs = torch.cat([pair[0] for pair in source()])
        assert torch.allclose(inputs, (X - mean) / std, atol=1e-5)
        assert inputs.dtype == X.dtype
    scaled = changes.scaled_targets("", 1.0, 2.0).apply(program())
    for source in (scaled.batches, scaled.held):
        targets = torch.cat([pair[1] for pair in source()])
        assert torch.equal(targets, (T - 1) / 2)


def test_a_large_mean_is_taken_off_in_double_precision():
    large = torch.tensor([[3e9], [3e9 + 1024]])
    batch = [(large, T[:2])]
    one = changes.standardised_inputs(torch.tensor([3e9 + 512.0]).double(), torch.tensor([512.0]))
    ((inputs, _),) = one.apply(program(batches=lambda: batch, held=lambda: batch)).batches()
    assert inputs.flatten().tolist() == [-1, 1]


def test_examples_are_shuffled_and_keep_their_targets():
    one = changes.shuffled().apply(program())
    first, second = (list(one.batches()) for _ in range(2))
    assert [len(targets) for _, targets in first] == [10, 10, 10]
    for epoch in (first, second):
        inputs, targets = (torch.cat(list(some)) for some in zip(*epoch, strict=True))
        order = [int((row == X).all(1).nonzero()) for row in inputs]
        assert sorted(order) == list(range(30))
        assert torch.equal(T[order], targets)
    assert not torch.equal(first[0][0], second[0][0])
    assert one.held is not one.batches
    assert torch.equal(next(iter(one.held()))[0], X[:10])
