"""Outputs that do not fit the loss are named from one batch, and their look-alikes are not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import mlr
from mlr.core.checks import InputError
from mlr.diagnosis.output_loss import bounded_logits, clamped_output
from mlr.diagnosis.program import ProgramCourse, WatchedProgram
from mlr.records.evidence import Evidence, Look

torch.manual_seed(0)
B = 24
X = torch.randn(B, 4)
CLASSES = torch.arange(B) % 3
HOT = F.one_hot(CLASSES, 3).float()
SEVERAL = torch.tensor([[1.0, 1, 0], [0, 1, 1], [1, 1, 1]]).repeat(8, 1)
BITS = (torch.arange(B) % 2).float()
NUMBERS = 3 * torch.randn(B, 1)
PARTS = torch.rand(B, 1)
COUNTS = torch.poisson(torch.full((B, 1), 2.0))
ODD = BITS == 1
SHARES = torch.rand(B, 3).softmax(1)
CE, BCE, LOGITS, MSE, NLL = (
    *(F.cross_entropy, F.binary_cross_entropy, F.binary_cross_entropy_with_logits),
    *(F.mse_loss, F.nll_loss),
)


class ThenSoftmax(nn.Module):
    """Softmax twice as models have it: once in the body, once at the end."""

    def forward(self, z):
        return F.softmax(F.softmax(z, dim=1), dim=1)


class Cosines(nn.Module):
    """Cosines of features and class vectors, times a scale."""

    def __init__(self, scale, before=False):
        super().__init__()
        self.weight, self.scale = nn.Parameter(torch.randn(3, 6)), scale
        self.before = before  # the product

    def forward(self, h):
        if self.before:
            return self.scale * F.normalize(h) @ F.normalize(self.weight).T
        return F.linear(F.normalize(h), F.normalize(self.weight)) * self.scale


class Gate(nn.Module):
    """Shares of the inputs by a softmax."""

    def __init__(self, axis):
        super().__init__()
        self.scores, self.axis = nn.Linear(4, 4), axis

    def forward(self, x):
        return self.scores(x).softmax(self.axis) * x


class Text(nn.Module):
    """Outputs without a tensor."""

    def forward(self, x):
        return "text"


def network(outputs, *after):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs), *after)


def lifted(model):
    nn.init.constant_(model[2].bias, 2.0)  # away from 0, where a ReLU has no gradient
    return model


def named(model, loss, targets):
    return [one.rule for one in mlr.check(model, loss, (X, targets))]


def nll_of_log(p, t):
    return F.nll_loss(torch.log(p), t)


def by_hand(p, t):
    return -(t * torch.log(p + 1e-8) + (1 - t) * torch.log(1 - p + 1e-8)).mean()


def hinge(y, t):
    return (1 - t * y).clamp(min=0).mean()


def by_relu(y, t):
    return F.relu(1 - t * y).square().mean()


def by_halves(y, t):
    return (t * F.relu(1 - y) + (1 - t) * F.relu(1 + y)).mean()


def penalised(loss):
    return lambda y, t: loss(y, t) + 0.01


def cosine(y, t):
    return F.cosine_similarity(y, t).mean()


def root(y, t):
    return ((y - t) ** 2).mean().sqrt()


def likelihood(y, t):
    return (0.1 + ((t - y) / 1.1).square()).mean()


def pairwise(y, t):
    return (1 - (y - y.T) * (t - t[:, None]).sign()).clamp(min=0).mean()


def dice(y, t):
    both = (y * t).sum(1)
    return 1 - (2 * both / (y.sum(1) + t.sum(1) + 1)).mean()


def logistic(y, t):
    return F.softplus(-t * y).mean()


def jaccard(y, t):
    both = (y * t).sum()
    return 1 - both / (y.sum() + t.sum() - both)


def chosen(p, t):
    return -torch.log(p.gather(1, t[:, None]) + 1e-8).mean()


def of_words(y, t):
    return F.nll_loss(y.flatten(0, 1), t.flatten())


def ctc(y, t):
    lengths = torch.full((len(t),), y.shape[1]), torch.full((len(t),), 1)
    return F.ctc_loss(y.transpose(0, 1), t, *lengths)


class Exp(nn.Module):
    def forward(self, z):
        return z.exp()


def kl(y, t):
    return F.kl_div(y, t, reduction="batchmean")


SOFTMAX, SIGMOID, RELU, TANH = nn.Softmax(dim=1), nn.Sigmoid(), nn.ReLU(), nn.Tanh()
COLUMN = BITS[:, None]
WORDS, PIXELS = nn.Unflatten(1, (4, 3)), nn.Unflatten(1, (3, 2, 2))
OF_WORDS, OF_PIXELS = CLASSES[:, None].repeat(1, 4), CLASSES[:, None, None].repeat(1, 2, 2)
SPELLED = 1 + (torch.arange(B) % 2)[:, None]


@pytest.mark.parametrize(
    ("rule", "model", "loss", "targets"),
    [
        ("softmax_over_one_unit", network(1, SOFTMAX), BCE, COLUMN),
        ("softmax_over_one_unit", network(1), CE, COLUMN),
        ("softmax_over_batch", network(3, nn.Softmax(dim=0)), MSE, HOT),
        ("softmax_over_batch", network(3, nn.LogSoftmax(dim=0)), NLL, CLASSES),
        ("softmax_over_batch", network(1, nn.Flatten(0), nn.Softmax(dim=0)), BCE, BITS),
        ("softmax_before_cross_entropy", network(3, SOFTMAX), CE, CLASSES),
        ("softmax_before_cross_entropy", network(3, SOFTMAX), CE, HOT),
        ("softmax_twice", network(3, ThenSoftmax()), MSE, HOT),
        ("sigmoid_before_bce_with_logits", network(1, SIGMOID), LOGITS, COLUMN),
        ("sigmoid_twice", network(1, SIGMOID, SIGMOID), BCE, COLUMN),
        ("relu_output", network(3, RELU), CE, CLASSES),
        ("relu_output", network(1, RELU), LOGITS, COLUMN),
        ("relu_output", network(1, RELU), MSE, NUMBERS),
        ("bounded_logits", network(3, TANH), CE, CLASSES),
        ("bounded_logits", network(1, TANH), LOGITS, COLUMN),
        ("bounded_logits", network(3, SIGMOID), CE, CLASSES),
        ("output_out_of_range", network(1, SIGMOID), MSE, NUMBERS),
        ("output_out_of_range", network(1, TANH), F.l1_loss, NUMBERS),
        ("nll_without_log_softmax", network(3), NLL, CLASSES),
        ("nll_without_log_softmax", network(3, SOFTMAX), NLL, CLASSES),
        ("kl_without_log", network(3, SOFTMAX), kl, SHARES),
        ("probabilities_expected", network(1), by_hand, COLUMN),
        ("labels_out_of_range", network(1), LOGITS, 2 * COLUMN - 1),
        ("labels_out_of_range", network(1), LOGITS, COLUMN + 1),
        ("targets_out_of_range", network(1), LOGITS, 255 * PARTS),
        ("shapes_broadcast", network(1), MSE, NUMBERS[:, 0]),
        ("shapes_broadcast", network(1), lambda y, t: ((y - t) ** 2).mean(), NUMBERS[:, 0]),
        ("softmax_for_several_labels", network(3, SOFTMAX), BCE, SEVERAL),
        ("softmax_for_several_labels", network(3), CE, SEVERAL),
        ("classes_as_numbers", network(1), MSE, CLASSES[:, None].float()),
        ("labels_out_of_range", network(1), F.soft_margin_loss, COLUMN),
        ("bounded_logits", nn.Sequential(network(6), Cosines(1.0)), CE, CLASSES),
        ("labels_out_of_range", network(1), hinge, COLUMN),
        ("labels_out_of_range", network(1), penalised(hinge), COLUMN),
        ("labels_out_of_range", network(1), penalised(by_relu), COLUMN),
        ("exponential_twice", network(1, Exp()), F.poisson_nll_loss, COUNTS),
        ("exponential_twice", network(1, nn.Softplus()), F.poisson_nll_loss, COUNTS),
        ("softmax_over_wrong_axis", network(12, WORDS, nn.LogSoftmax(1)), of_words, OF_WORDS),
        ("ctc_without_log_softmax", network(12, WORDS), ctc, SPELLED),
        ("softmax_before_cross_entropy", network(3, nn.LogSoftmax(1), Exp()), CE, CLASSES),
        ("output_out_of_range", network(1, nn.Softplus()), MSE, NUMBERS),
        ("output_out_of_range", network(3, nn.LogSoftmax(1)), MSE, HOT),
        ("bounded_logits", network(3, nn.LogSoftmax(1)), LOGITS, SEVERAL),
        ("softmax_for_several_labels", network(3, SOFTMAX), MSE, SEVERAL),
        ("probabilities_expected", network(3), chosen, CLASSES),
        ("nll_without_log_softmax", network(12, PIXELS), NLL, OF_PIXELS),
        ("shapes_broadcast", network(1), root, NUMBERS[:, 0]),
        ("shapes_broadcast", network(1), likelihood, NUMBERS[:, 0]),
        ("nll_without_log_softmax", network(3), lambda z, t: NLL(z[:20], t[:20]), CLASSES),
        ("nll_without_log_softmax", network(3), lambda z, t: NLL(z[ODD], t[ODD]), CLASSES),
        ("bounded_logits", nn.Sequential(network(6), Cosines(1.0, before=True)), CE, CLASSES),
        ("probabilities_expected", network(3), dice, SEVERAL),
        ("probabilities_expected", network(3), jaccard, SEVERAL),
        ("softmax_over_batch", nn.Sequential(Gate(0), network(3)), CE, CLASSES),
        ("shapes_broadcast", network(1), logistic, 2 * BITS - 1),
        ("class_ignored", network(3), lambda z, t: CE(z, t, ignore_index=1), CLASSES),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_mismatch_is_the_first_finding(rule, model, loss, targets):
    assert named(model, loss, targets)[:1] == [rule]


@pytest.mark.parametrize(
    ("model", "loss", "targets"),
    [
        (network(3), CE, CLASSES),
        (network(3), CE, SHARES),
        (network(3, nn.LogSoftmax(dim=1)), CE, CLASSES),  # log-softmax twice is once
        (network(3, nn.LogSoftmax(dim=1)), NLL, CLASSES),
        (network(3, SOFTMAX), nll_of_log, CLASSES),
        (network(3, SOFTMAX), MSE, HOT),
        (network(3, SOFTMAX), BCE, HOT),
        (network(3), lambda z, t: CE(z, t, label_smoothing=0.1), CLASSES),
        (network(3), lambda z, t: CE(z, t, weight=torch.tensor([1.0, 2, 3])), CLASSES),
        (network(3), lambda z, t: NLL((1 - z.softmax(1)) ** 2 * z.log_softmax(1), t), CLASSES),
        (network(3), lambda z, t: CE(10 * z.tanh(), t), CLASSES),
        (network(3), LOGITS, SEVERAL),
        (network(12, nn.Unflatten(1, (2, 2, 3))), CE, BITS.long()[:, None, None].expand(B, 2, 3)),
        (network(1), LOGITS, COLUMN),
        (network(1, SIGMOID), BCE, COLUMN),
        (network(1, SIGMOID), by_hand, COLUMN),
        (network(1), MSE, COLUMN),
        (network(1), MSE, NUMBERS),
        (network(1, nn.Flatten(0)), MSE, NUMBERS[:, 0]),
        (network(1, SIGMOID), MSE, PARTS),
        (network(1, TANH), MSE, 2 * COLUMN - 1),
        (lifted(network(1, RELU)), MSE, PARTS),
        (network(1), F.poisson_nll_loss, COUNTS),
        (network(1), MSE, COUNTS),
        (network(3, nn.LogSoftmax(dim=1)), kl, SHARES),
        (network(1), lambda z, t: F.gaussian_nll_loss(z, t, z.exp()), NUMBERS),
        (network(1), lambda z, t: F.soft_margin_loss(z, t), 2 * COLUMN - 1),
        (network(1), hinge, 2 * COLUMN - 1),
        (nn.Sequential(network(6), Cosines(16.0)), CE, CLASSES),
        (nn.Sequential(network(6), Cosines(1.0)), lambda z, t: CE(16 * z, t), CLASSES),
        (nn.Sequential(network(6), Cosines(nn.Parameter(torch.ones(())))), CE, CLASSES),
        (network(1), penalised(hinge), 2 * COLUMN - 1),
        (network(1), penalised(lambda y, t: hinge(y, 2 * t - 1)), COLUMN),
        (network(1), penalised(by_halves), COLUMN),
        (network(3), lambda y, t: -cosine(y, t), SHARES - 0.3),
        (network(3), lambda y, t: 1 - cosine(y, t), SHARES - 0.3),
        (network(3), F.multilabel_soft_margin_loss, SEVERAL),
        (network(1, Exp()), lambda y, t: F.poisson_nll_loss(y, t, log_input=False), COUNTS),
        (network(12, WORDS, nn.LogSoftmax(2)), of_words, OF_WORDS),
        (network(12, WORDS, nn.LogSoftmax(2)), ctc, SPELLED),
        (network(12, PIXELS, nn.LogSoftmax(1)), NLL, OF_PIXELS),
        (network(1, nn.Softplus()), MSE, COUNTS),
        (network(3, SOFTMAX), chosen, CLASSES),
        (network(1), root, NUMBERS),
        (network(1), likelihood, NUMBERS),
        (network(1), pairwise, NUMBERS[:, 0]),
        (network(3, nn.LogSoftmax(1)), lambda z, t: NLL(z[ODD], t[ODD]), CLASSES),
        (nn.Sequential(network(6), Cosines(16.0, before=True)), CE, CLASSES),
        (network(3, SIGMOID), dice, SEVERAL),
        (network(3, SIGMOID), jaccard, SEVERAL),
        (nn.Sequential(Gate(1), network(3)), CE, CLASSES),
        (network(1), logistic, 2 * COLUMN - 1),
        (network(3), lambda z, t: CE(z, t, ignore_index=3), CLASSES),
        (network(12, PIXELS), lambda z, t: CE(z, t, ignore_index=0), OF_PIXELS),  # the background
    ],
)
def test_a_look_alike_has_none(model, loss, targets):
    assert named(model, loss, targets) == []


def test_the_sentence_has_the_numbers_of_torch():
    model = network(3, SOFTMAX)
    (one,) = mlr.check(model, CE, (X, CLASSES))
    # one output 1 and both others 0
    most = torch.tensor([1.0, 0, 0]).softmax(0)[0]
    assert f"no class can get more than {100 * most:.0f} %" in one.sentence
    assert one.evidence.endswith(f"loss {F.cross_entropy(model(X), CLASSES):.3g}")
    assert one.certain
    assert not mlr.check(network(1), MSE, (X, CLASSES[:, None].float()))[0].certain


def test_a_compiled_model_hides_its_operations():
    torch._dynamo.reset()

    def part(model):
        return nn.Sequential(torch.compile(model, backend="aot_eager"))

    assert named(part(network(3, SOFTMAX)), CE, CLASSES) == ["softmax_before_cross_entropy"]
    assert named(part(network(3)), CE, CLASSES) == []
    hidden = part(network(1, SIGMOID))
    assert named(hidden, LOGITS, COLUMN) == ["sigmoid_before_bce_with_logits"]
    assert named(hidden, BCE, COLUMN) == []


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(InputError, match="pair of inputs and targets"):
        mlr.check(network(3), CE, X)
    with pytest.raises(InputError, match="The loss must be a tensor, and is float"):
        mlr.check(network(3), lambda z, t: 1.0, (X, CLASSES))
    with pytest.raises(InputError, match="The output must be a tensor, and is str"):
        mlr.check(Text(), lambda z, t: torch.zeros(()), (X, CLASSES))


def test_the_least_loss_of_cosines_is_that_of_torch():
    (one,) = mlr.check(nn.Sequential(network(6), Cosines(1.0)), CE, (X, CLASSES))
    best = F.cross_entropy(torch.tensor([[1.0, -1, -1]]), torch.tensor([0]))
    assert f"cannot fall below {best:.2g}" in one.sentence


def logits(spread, count=4):
    """Looks at a classification of three classes whose logits lie within ±spread."""
    return [
        Look(
            **{"known": True, "loss": 1.0, "forms": ["ce:mean"], "target_integer": True},
            **{"output_shape": [24, 3], "target_shape": [24]},
            **{"output_low": -spread, "output_high": spread},
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("spread", "loss", "found"),
    [
        (1.0, 0.4, True),
        # of log 3 = 1.099 and log(1 + 2e⁻²) = 0.240 the sixth tenth is 0.755
        (1.0, 0.74, True),
        (1.0, 0.77, False),
        (1.1, 0.4, False),
        (0.4, 0.4, False),
    ],
)
def test_logits_that_hold_up_a_loss(spread, loss, found):
    course = ProgramCourse(losses=[1.2] + [loss] * 4)
    program = WatchedProgram(Evidence(updates=100, looks=logits(spread)), course)
    assert (bounded_logits(program) is not None) == found


class Attention(nn.MultiheadAttention):
    """An attention to itself, whose weights are a softmax's."""

    def __init__(self):
        super().__init__(4, 1, batch_first=True)

    def forward(self, h):
        return super().forward(h, h, h)


class Language(nn.Module):
    """A language model of one attention, or of what else comes between."""

    def __init__(self, between=None, causal=True):
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 9)
        self.between, self.causal = between, causal

    def forward(self, words):
        h = self.embed(words)
        if self.between is not None:
            return self.head(self.between(h)[0])
        h = h[:, None]  # one head
        return self.head(F.scaled_dot_product_attention(h, h, h, is_causal=self.causal)[:, 0])


def test_targets_are_the_next_words():
    torch.manual_seed(0)
    model, words = Language(), torch.randint(9, (8, 6))

    def same(z, t):
        return CE(z.flatten(0, 1), t.flatten())

    def shifted(z, t):  # as models that take labels do
        return CE(z[:, :-1].flatten(0, 1), t[:, 1:].flatten())

    def found(loss, targets):
        return [one.rule for one in mlr.check(model, loss, (words, targets))]

    assert found(same, words) == ["targets_not_shifted"]
    assert found(same, words.roll(-1, 1)) == []
    assert found(shifted, words) == []


def of_each_word(z, t):
    return CE(z.flatten(0, 1), t.flatten())


@pytest.mark.parametrize(
    ("model", "same", "later"),
    [
        (Language(), "targets_not_shifted", None),
        (Language(nn.GRU(4, 4, batch_first=True)), "targets_not_shifted", None),
        (Language(causal=False), None, "future_seen"),  # as of an autoencoder
        (Language(nn.GRU(4, 2, batch_first=True, bidirectional=True)), None, "future_seen"),
        (Language(Attention()), None, "future_seen"),
    ],
)
def test_a_model_that_reads_what_it_is_to_tell(model, same, later):
    text = torch.randint(9, (8, 7), generator=torch.Generator().manual_seed(0))
    words, following = text[:, :-1], text[:, 1:]
    found = [one.rule for one in mlr.check(model, of_each_word, (words, words))]
    assert found == ([same] if same else [])
    found = [one.rule for one in mlr.check(model, of_each_word, (words, following))]
    assert found == ([later] if later else [])


@pytest.mark.parametrize(
    ("pairs", "edge", "found"),
    [
        (["layer>clamp", "clamp>bce"], 0.6, True),
        (["mul>clamp", "clamp>bce"], 0.6, True),
        (["mul>clamp", "clamp>bce"], 0.4, False),
        (["sigmoid>clamp", "clamp>bce"], 0.6, False),
    ],
)
def test_outputs_at_the_bounds_of_a_clamp(pairs, edge, found):
    look = Look(known=True, pairs=pairs, output_edge=edge)
    assert (clamped_output(WatchedProgram(Evidence(looks=[look]))) is not None) == found
