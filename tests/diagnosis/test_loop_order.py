"""Faults of the loop in real trainings of a second; sound trainings have none."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.analysis.explain import explain
from mlr.analysis.explain.command import reassurance
from mlr.diagnosis.loop_order import frozen, parts_unused
from mlr.diagnosis.program import ProgramCourse, WatchedProgram
from mlr.records.evidence import Evidence, Look, Untrained
from mlr.records.reading import read_runs


def clouds(count=256):
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(count) % 3
    centres = 2 * torch.randn(3, 5, generator=generator)
    return centres[classes] + torch.randn(count, 5, generator=generator), classes


def network(*after):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3), *after)


class Loop:
    """A training of a classifier whose parts a test replaces."""

    def __init__(self, **changes):
        self.model = network()
        self.rate, self.options, self.steps, self.data = 0.2, {}, 24, clouds()
        self.loss = F.cross_entropy
        self.prepare = lambda loop: None
        self.between = lambda loop, step: None  # backward and step
        self.zero = self.step = True
        self.factor = 1.0
        self.differentiated = lambda loop, loss: loss
        self.shown = lambda z: z
        self.late = self.again = False
        self.call = None
        vars(self).update(changes)

    def explained(self, folder):
        x, t = self.data
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=self.rate, **self.options)
        self.prepare(self)
        order = torch.Generator().manual_seed(0)
        with GradientProbe(self.model, self.optimizer, folder) as probe:
            for step in range(self.steps):
                some = torch.randperm(len(x), generator=order)[:32]
                some = torch.arange(min(32, len(x))) if self.again else some
                if self.zero:
                    self.optimizer.zero_grad()
                z = (self.call or self.model)(x[some])
                targets = t[some]
                loss = self.loss(z, targets)
                if not self.late:
                    probe.watch(self.shown(z), targets, loss)
                (self.factor * self.differentiated(self, loss)).backward()
                if self.late:
                    probe.watch(z, targets, loss)
                self.between(self, step)
                if self.step:
                    self.optimizer.step()
        self.runs = read_runs(folder)
        return explain(self.runs)


def cleared(loop, step):
    loop.optimizer.zero_grad()


def clipped(loop, step):
    nn.utils.clip_grad_norm_(loop.model.parameters(), 1e-6)


def decayed(loop, step):
    loop.optimizer.param_groups[0]["lr"] = 1e-3 * 0.1**step


def replaced(loop):
    loop.model = copy.deepcopy(loop.model)


def evaluated(loop, step):
    loop.model.eval()


def unregistered(loop):
    hidden = nn.Linear(5, 5)
    loop.call = lambda x: loop.model(hidden(x))


def detached(loop):
    loop.call = lambda x: loop.model[2](loop.model[:2](x).detach())


def cut(z, t):
    return F.cross_entropy(z.detach().requires_grad_(), t)


def made_new(z, t):
    return torch.tensor(F.cross_entropy(z, t).item(), requires_grad=True)


def penalty(loop, loss):
    return 1e-2 * sum(own.square().sum() for own in loop.model.parameters())


def seldom(loop, step):
    loop.step = step % 6 == 5


def minus(z, t):
    return -F.cross_entropy(z, t)


@pytest.mark.parametrize(
    ("rule", "changes", "certain"),
    [
        ("zero_grad_misplaced", {"between": cleared}, True),
        ("zero_grad_missing", {"zero": False}, True),
        ("step_missing", {"step": False}, True),
        ("wrong_parameters", {"prepare": replaced}, True),
        ("unregistered_layers", {"prepare": unregistered}, True),
        ("graph_cut", {"prepare": detached}, False),
        ("graph_cut", {"loss": cut}, True),
        ("loss_without_graph", {"loss": made_new}, True),
        ("loss_maximised", {"options": {"maximize": True}}, True),
        ("loss_maximised", {"loss": minus}, True),
        ("momentum_too_high", {"options": {"momentum": 1.1}, "rate": 1e-3}, True),
        ("eval_in_training", {"model": network(nn.Dropout(0.1)), "between": evaluated}, True),
        ("gradients_clipped_away", {"between": clipped}, False),
        ("zero_gradient_function", {"loss": lambda z, t: F.cross_entropy(z.round(), t)}, True),
        ("dropout_too_strong", {"model": network(nn.Dropout(0.95)), "steps": 40}, False),
        ("decay_too_strong", {"options": {"weight_decay": 5.0}, "steps": 60}, False),
        ("loss_too_small", {"factor": 1e-5}, False),
        ("rate_decays_too_soon", {"between": decayed}, False),
        ("rate_too_low", {"rate": 1e-6}, False),
        ("rate_too_low", {"rate": 0.0}, True),
        ("wrong_loss", {"differentiated": penalty}, True),
        ("batches_thrown_away", {"between": seldom}, True),
        ("eval_in_training", {"model": network(nn.BatchNorm1d(3)).eval()}, False),
        ("loss_too_small", {"loss": lambda z, t: 1e-5 * F.cross_entropy(z, t)}, False),
        ("same_batch", {"again": True}, False),
        ("rate_too_low", {"rate": 1e-4, "steps": 240}, False),
    ],
)
@pytest.mark.filterwarnings("ignore:Nothing is recorded")
def test_the_fault_is_the_first_finding(tmp_path, rule, changes, certain):
    (first, *_) = Loop(**changes).explained(tmp_path / "it")
    assert (first.rule, first.certain) == (rule, certain)
    assert "optimizer." not in first.remedy.split("=")[0] or first.remedy.startswith("optimizer")


def frozen_backbone(loop):
    nn.init.normal_(loop.model[0].weight)
    loop.model[0].requires_grad_(False)


def sparse_steps(loop, step):
    loop.zero = loop.step = step % 3 == 2


def head_alone(loop):
    nn.init.normal_(loop.model[0].weight)  # as one that was trained
    loop.optimizer = torch.optim.SGD(loop.model[2].parameters(), lr=0.2)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prepare": frozen_backbone, "steps": 60},
        {"prepare": head_alone, "steps": 60},
        {"between": lambda loop, step: nn.utils.clip_grad_norm_(loop.model.parameters(), 1.0)},
        {"model": network(nn.Dropout(0.1)).eval(), "steps": 40},
        {"options": {"weight_decay": 1e-2}},
        {"factor": 0.02, "rate": 10.0},  # a small loss, and a large rate
        {"loss": lambda z, t: F.cross_entropy(z + (z.round() - z).detach(), t)},
        {"model": network(nn.Dropout(0.5)), "steps": 60},
        {"loss": lambda z, t: F.cross_entropy(z, t, label_smoothing=0.2)},
        {"options": {"maximize": True}, "loss": minus},
        {"late": True},
        {"shown": lambda z: z.view_as(z)},  # another view than that of the loss
        {"differentiated": lambda loop, loss: loss + penalty(loop, loss)},
        {"between": sparse_steps, "steps": 120},
        {"again": True, "data": clouds(31), "steps": 40},  # a whole data set, as from one loader
        {"again": True, "data": clouds(4), "steps": 40},  # as that of XOR
    ],
)
@pytest.mark.filterwarnings("ignore:Nothing is recorded")
def test_a_look_alike_has_none(tmp_path, changes):
    assert Loop(**changes).explained(tmp_path / "it") == []


def test_a_sound_loop_is_told_its_course(tmp_path):
    loop = Loop(steps=40)
    assert loop.explained(tmp_path / "it") == []
    said = reassurance(loop.runs)
    x, t = loop.data
    first = F.cross_entropy(network()(x), t).item()
    assert said.startswith("No fault found: loss from ")
    assert float(said.split()[5]) == pytest.approx(first, rel=0.5)
    # the entropy of three classes that are as frequent
    assert "(of the best constant 1.1)" in said
    right = float((loop.model(x).argmax(1) == t).float().mean())
    share = float(said.partition("), ")[2].split()[0]) / 100
    assert share == pytest.approx(right, abs=0.15)
    assert said.endswith("5 of 40 batches were looked at.")


def test_a_wrong_head_is_found(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 1), nn.Sigmoid())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    x, classes = clouds()
    for head, rules in ((None, []), ("sigmoid", ["wrong_head"])):
        folder = tmp_path / str(head)
        with GradientProbe(model, optimizer, folder, head=head) as probe:
            for _ in range(30):
                y, t = model(x), (classes == 0).float()[:, None]
                loss = F.binary_cross_entropy(y, t)
                probe.watch(y, t, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        assert [one.rule for one in explain(read_runs(folder))] == rules


@pytest.mark.parametrize("steps", [(0,), (1,), (0, 1)])
def test_each_of_several_optimizers_makes_steps(tmp_path, steps):
    model, (x, t) = network(), clouds()
    optimizers = [torch.optim.SGD(model[part].parameters(), lr=0.2) for part in (0, 2)]
    with GradientProbe(model, optimizers, tmp_path) as probe:
        for _ in range(24):
            z = model(x)
            loss = F.cross_entropy(z, t)
            probe.watch(z, t, loss)
            for one in optimizers:
                one.zero_grad()
            loss.backward()
            for step in steps:
                optimizers[step].step()
    found = [one.rule for one in explain(read_runs(tmp_path))]
    assert found[:1] == ([] if len(steps) == 2 else ["step_missing"])


class Rounded(nn.Module):
    def __init__(self, straight):
        super().__init__()
        self.straight = straight

    def forward(self, h):
        return h + (h.sign() - h).detach() if self.straight else h.sign()


@pytest.mark.parametrize("straight", [False, True])
def test_layers_below_a_step_function_are_not_trained(tmp_path, straight):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), Rounded(straight), nn.Linear(8, 3))
    found = [one.rule for one in Loop(model=model, steps=60).explained(tmp_path)]
    assert found[:1] == ([] if straight else ["zero_gradient_function"])


@pytest.mark.parametrize(
    ("momentum", "mean", "found"),
    [
        (0.0, 0.0, ["statistics_not_tracked"]),
        (0.001, 0.0, ["statistics_not_tracked"]),  # 0.999⁶⁰ = 0.94
        (0.02, 0.0, []),  # 0.98⁶⁰ = 0.3
        (0.1, 0.0, []),
        (0.0, 0.5, []),
        (0.001, 0.5, []),
    ],
)
def test_statistics_that_are_never_learned(tmp_path, momentum, mean, found):
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(8, momentum=momentum)
    norm.running_mean.fill_(mean)  # as one that was loaded
    model = nn.Sequential(nn.Linear(5, 8), norm, nn.ReLU(), nn.Linear(8, 3))
    assert [one.rule for one in Loop(model=model, steps=60).explained(tmp_path)] == found


@pytest.mark.parametrize("sign", [1, -1])
def test_a_similarity_without_its_minus(tmp_path, sign):
    x, _ = clouds()

    def loss(z, t):
        return sign * F.cosine_similarity(z, t).mean()

    expected = [("loss_maximised", False)] if sign > 0 else []
    found = Loop(loss=loss, data=(x, x[:, :3]), steps=60).explained(tmp_path)
    assert [(one.rule, one.certain) for one in found[:1]] == expected


def overwritten(z, t):
    for place in range(z.shape[1]):
        loss = F.cross_entropy(z[:, place], t[:, place])
    return loss


def summed(z, t):
    return sum(F.cross_entropy(z[:, place], t[:, place]) for place in range(z.shape[1]))


def of_answers(z, t):
    return F.cross_entropy(z.flatten(0, 1), t.flatten(), ignore_index=-100)


@pytest.mark.parametrize(
    ("loss", "ignored", "found"),
    [(overwritten, False, ["wrong_loss"]), (summed, False, []), (of_answers, True, [])],
)
def test_a_loss_of_the_last_word_alone(tmp_path, loss, ignored, found):
    x, t = clouds()
    words, targets = x.unflatten(0, (64, 4)), t.unflatten(0, (64, 4)).clone()
    if ignored:
        targets[:, :-1] = -100
    loop = Loop(loss=loss, data=(words, targets), steps=60)
    assert [one.rule for one in loop.explained(tmp_path)][:1] == found


@pytest.mark.parametrize(
    ("missing", "end", "found"),
    [
        ({"unreached": Untrained(count=1, names=["place"])}, 1.08, "No gradient reaches place"),
        ({"frozen": Untrained(count=1, names=["embed"])}, 1.08, "Layers are frozen"),
        ({"unreached": Untrained(count=1, names=["place"])}, 0.5, ""),  # log 3 = 1.099
        ({}, 1.08, ""),
    ],
)
def test_parts_that_take_no_part_where_nothing_is_learned(missing, end, found):
    looks = [
        Look(
            **{"known": True, "loss": loss, "forms": ["ce:mean"], "target_integer": True},
            **{"output_shape": [24, 3], "target_shape": [24]},
        )
        for loss in (1.2, end)
    ]
    seen = Evidence(updates=100, class_counts=[80] * 3, looks=looks, **missing)
    one = parts_unused(WatchedProgram(seen))
    assert (one.sentence if one else "").startswith(found)
    assert bool(one) == bool(found)


@pytest.mark.parametrize(("label", "found"), [(0.0, ["labels_out_of_range"]), (-1.0, [])])
def test_labels_of_a_ranking(tmp_path, label, found):
    x, _ = clouds()
    labels = torch.full((len(x),), label)

    def loss(z, t):
        return F.margin_ranking_loss(z, z.roll(1), t, margin=0.5)

    model = nn.Sequential(nn.Linear(5, 1), nn.Flatten(0))
    loop = Loop(model=model, loss=loss, data=(x, labels), steps=40)
    assert [one.rule for one in loop.explained(tmp_path)][:1] == found


@pytest.mark.parametrize(("end", "found"), [(0.5, False), (0.6, True)])
def test_random_features_that_are_enough(end, found):
    looks = [
        Look(
            **{"known": True, "loss": loss, "forms": ["ce:mean"], "target_integer": True},
            **{"output_shape": [24, 3], "target_shape": [24]},
        )
        for loss in (1.2, end)  # half of log 3 is 0.549
    ]
    still = Untrained(count=2, names=["0.weight", "0.bias"], fresh=True)
    seen = Evidence(updates=100, class_counts=[80] * 3, looks=looks, frozen=still)
    course = ProgramCourse(losses=[1.2, end, end, end])
    assert (frozen(WatchedProgram(seen, course)) is not None) == found


def overlap(y, t):
    return ((y * t).sum(1) / (y.sum(1) + t.sum(1))).mean()


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (overlap, ["loss_maximised"]),
        (lambda y, t: -overlap(y, t), []),
        (lambda y, t: 1 - 2 * overlap(y, t), []),
        (lambda y, t: overlap(y, t) * -1, []),
        (lambda y, t: -overlap(y, t).log(), []),
    ],
)
def test_an_overlap_that_is_made_small(tmp_path, loss, found):
    x, t = clouds()
    masks = torch.stack([t != 0, t != 1, t != 2], 1).float()
    loop = Loop(model=network(nn.Sigmoid()), loss=loss, data=(x, masks))
    assert [one.rule for one in loop.explained(tmp_path)][:1] == found
