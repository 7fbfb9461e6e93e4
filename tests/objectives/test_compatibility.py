"""Refused pairs and their sentences; checking them imports no torch."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from mlr.core.checks import InputError
from mlr.core.domains import Interval
from mlr.heads import HEADS, Head, Sigmoid
from mlr.heads.distributions.base import NumbersHead
from mlr.losses import LOSSES
from mlr.objectives import check_pair

NEEDS_SUM = "loss=ce needs predictions that are probabilities and sum to 1, but "
REFUSED = [
    (
        ("linear", "bce", None),
        "loss=bce needs predictions in [0, 1], but head=linear gives any real number. "
        "Use head=sigmoid, head=clipped_linear or loss=se.",
    ),
    (
        ("linear", "ce", None),
        NEEDS_SUM + "head=linear gives any real number. Use head=softmax or loss=se.",
    ),
    (
        ("linear", "ce", 1),
        NEEDS_SUM + "head=linear gives any real number. "
        "Use head=sigmoid, head=clipped_linear or loss=se.",
    ),
    (
        ("sigmoid", "ce", 10),
        NEEDS_SUM + "head=sigmoid gives 10 separate values in (0, 1). "
        "Use head=softmax, loss=bce or loss=se. objective.strict=false runs it.",
    ),
    (
        ("clipped_linear", "ce", 3),
        NEEDS_SUM + "head=clipped_linear gives 3 separate values in [0, 1]. "
        "Use head=softmax, loss=bce or loss=se. objective.strict=false runs it.",
    ),
    (
        ("linear", "nll", None),
        "loss=nll needs predictions that are the parameters of a density, but head=linear gives "
        "any real number. Use head=gaussian or loss=se.",
    ),
    (
        ("linear", "quantile_score", None),
        "loss=quantile_score needs predictions that are quantiles, but head=linear gives any real "
        "number. Use head=quantiles or loss=se.",
    ),
    (
        ("linear", "beta_nll", None),
        "loss=beta_nll needs predictions that are means and standard deviations, but head=linear "
        "gives any real number. Use head=gaussian or loss=se.",
    ),
    (
        ("poisson", "se", None),
        "loss=se needs one prediction for each target, but head=poisson gives the mean of a "
        "Poisson distribution. Use loss=nll or head=linear.",
    ),
    (
        ("poisson", "matching", None),
        "loss=matching needs one prediction for each target, but head=poisson gives the mean of a "
        "Poisson distribution. Use loss=nll or head=linear.",
    ),
    (
        ("laplace", "gaussian_nll", None),
        "loss=gaussian_nll needs predictions that are means and standard deviations, but "
        "head=laplace gives a median and a scale of a Laplace distribution. "
        "Use loss=nll or head=linear.",
    ),
    (
        ("quantiles", "nll", None),
        "loss=nll needs predictions that are the parameters of a density, but head=quantiles gives "
        "the quantiles of 0.1, 0.5, 0.9. Use loss=quantile_score.",
    ),
    (("mdn", "nll", 3), "head=mdn needs 9 outputs for each target, but there are 3."),
    (
        ("linear", "focal", 3),
        "loss=focal needs predictions that are probabilities and sum to 1, but "
        "head=linear gives any real number. Use head=softmax or loss=se.",
    ),
    (
        ("softmax", "ordinal_nll", 3),
        "loss=ordinal_nll needs predictions that are levels of ordered classes, probabilities that "
        "do not increase, but head=softmax gives probabilities that sum to 1. "
        "Use head=cumulative, head=corn or loss=ce.",
    ),
    (
        ("coral", "ordinal_nll", 3),
        "but head=coral gives values in (0, 1). Use head=cumulative, head=corn or loss=bce.",
    ),
    (
        ("corn", "ce", 3),
        NEEDS_SUM + "head=corn gives 3 separate levels of ordered classes. "
        "Use head=softmax or loss=ordinal_nll. objective.strict=false runs it.",
    ),
    (
        ("sigmoid", "arcface", 3),
        "loss=arcface needs predictions that are probabilities and sum to 1, but head=sigmoid "
        "gives values in (0, 1). Use head=softmax, loss=bce or loss=se.",
    ),
    (("linear", "cosface", 1), "but head=linear gives any real number. Use head=softmax or loss="),
    (
        ("softmax", "cosface", 1),
        "head=softmax with one output is the constant 1. Use one output for each class.",
    ),
    (
        ("softmax", "evidential_se", 3),
        "loss=evidential_se needs predictions that are means of a Dirichlet distribution, but "
        "head=softmax gives probabilities that sum to 1. "
        "Use head=evidential, loss=ce, loss=bce or loss=se.",
    ),
    (
        ("evidential", "matching", 3),
        "loss=matching needs a head with a potential, and head=evidential has none. "
        "Use loss=evidential_se.",
    ),
    (
        ("cumulative", "matching", None),
        "loss=matching needs a head with a potential, and head=cumulative has none. "
        "Use loss=ordinal_nll.",
    ),
    (
        ("linear", "tversky", 3),
        "loss=tversky needs predictions in [0, 1], but head=linear gives any real number. "
        "Use head=sigmoid, head=clipped_linear or loss=se.",
    ),
    (
        ("sigmoid", "poly1", 3),
        "loss=poly1 needs predictions that are probabilities and sum to 1, but head=sigmoid "
        "gives 3 separate values in (0, 1). Use head=softmax, loss=bce or loss=se.",
    ),
    (
        ("probit", "gce", 3),
        "head=probit gives 3 separate values in (0, 1). Use head=softmax, loss=bce or loss=se. "
        "objective.strict=false runs it.",
    ),
    (
        ("sparsemax", "smoothed_ce", 1),
        "head=sparsemax with one output is the constant 1. "
        "Use head=sigmoid or head=clipped_linear, or one output for each class.",
    ),
    *[
        (("softmax", loss, 1), "head=softmax with one output is the constant 1.")
        for loss in ("se", "gaussian_nll", "bce", "ce", "matching")
    ],
    *[
        (
            ("gaussian", loss, outputs),
            f"loss={loss} needs one prediction for each target, but head=gaussian gives a mean and "
            f"a standard deviation. Use {advice}.",
        )
        for advice, losses in [
            ("loss=gaussian_nll or head=linear", ("se", "matching")),
            ("loss=gaussian_nll", ("bce", "ce")),
        ]
        for loss in losses
        for outputs in (None, 2)
    ],
    (
        ("gaussian", "gaussian_nll", 3),
        "head=gaussian needs 2 outputs for each target, but there are 3.",
    ),
]


@pytest.mark.parametrize(("pair", "sentence"), REFUSED)
def test_refusals(pair, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        check_pair(*pair)


OF_NUMBERS = ("nll", "beta_nll", "quantile_score")
ALLOWED = {"gaussian": ["gaussian_nll", "nll", "beta_nll"], "quantiles": ["quantile_score"]}


@pytest.mark.parametrize("outputs", [None, 1, 2, 10])
def test_all_other_pairs_are_legal(outputs):
    of_choices = ("ce", "focal", "gce", "smoothed_ce", "symmetric_ce", "phuber_ce", "poly1")
    of_outputs = ("sigmoid", "clipped_linear", "hard_sigmoid", "probit", "cloglog", "coral")
    in_order = ("cumulative", "corn")
    of_one = ("softmax", "sparsemax", "entmax15", "evidential")
    refused = {
        *(("linear", loss) for loss in ("bce", "asymmetric", "tversky", *of_choices)),
        *((head, loss) for head in of_outputs for loss in of_choices if (outputs or 0) > 1),
        *((head, loss) for head in in_order for loss in of_choices if (outputs or 0) > 1),
        *((head, "matching") for head in in_order),
        *((head.name, "ordinal_nll") for head in HEADS if head.name not in in_order),
        *((h, loss.name) for h in of_one for loss in LOSSES if outputs == 1),
        ("evidential", "matching"),
        *((head.name, "evidential_se") for head in HEADS if head.name != "evidential"),
        *(
            (head.name, loss)
            for head in HEADS
            for loss in ("arcface", "cosface")
            if head.name not in of_one
        ),
        *(
            (head.name, loss.name)
            for head in HEADS
            for loss in LOSSES
            if issubclass(head, NumbersHead) != (loss.name in OF_NUMBERS)
            and (head.name, loss.name) != ("gaussian", "gaussian_nll")
        ),
        *(
            (head.name, loss)
            for head in HEADS
            for loss in ("gaussian_nll", *OF_NUMBERS)
            if issubclass(head, NumbersHead)
            and (
                loss not in ALLOWED.get(head.name, ["nll"])
                or (outputs or 0) % head.range.per_target
            )
        ),
    }
    for head in HEADS:
        for loss in LOSSES:
            if (head.name, loss.name) in refused:
                with pytest.raises(InputError):
                    check_pair(head(), loss(), outputs)
            else:
                check_pair(head(), loss(), outputs)


def test_not_strict_lets_the_senseless_run_and_the_undefined_not():
    check_pair("sigmoid", "ce", 3, strict=False)
    check_pair("clipped_linear", "ce", 3, strict=False)
    for pair in (("linear", "ce", 3), ("linear", "bce", 3), ("softmax", "ce", 1)):
        with pytest.raises(InputError):
            check_pair(*pair, strict=False)


@pytest.mark.parametrize(
    ("head", "loss", "sentence"),
    [
        ("softmax", "se", "head=softmax gives probabilities that sum to 1, but this data's "
         "targets are any real number. Use head=linear."),
        ("coral", "se", "head=coral gives levels of ordered classes, but this data's targets are "
         "any real number. Use head=linear."),
        ("sigmoid", "bce", "loss=bce needs targets in [0, 1], but this data's targets are any "
         "real number. Use loss=se."),
        ("sigmoid", "ce", "loss=ce needs targets that are probabilities"),
        ("gaussian", "se", "loss=se needs one prediction for each target, but head=gaussian gives "
         "a mean and a standard deviation. Use loss=gaussian_nll or head=linear."),
        ("softmax", "gaussian_nll", "head=softmax gives probabilities that sum to 1, but this"),
        ("linear", "hinge", "loss=hinge needs targets in [0, 1], but this data's targets are any "
         "real number. Use loss=se."),
        ("sparsemax", "mae", "head=sparsemax gives probabilities that sum to 1"),
        ("sigmoid", "matching", "loss=matching with head=sigmoid needs targets in [0, 1], but "
         "this data's targets are any real number. Use head=linear or loss=se."),
    ],
)  # fmt: skip
def test_regression_refusals(head, loss, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        check_pair(head, loss, None, regression=True)


@pytest.mark.parametrize(
    ("head", "loss"),
    [
        *[("linear", "se"), ("linear", "matching"), ("sigmoid", "se")],
        *[("linear", "gaussian_nll"), ("sigmoid", "gaussian_nll"), ("gaussian", "gaussian_nll")],
    ],
)
def test_regression_allows_what_takes_any_target(head, loss):
    check_pair(head, loss, 2, regression=True)


def test_a_density_is_for_no_classes():
    sentence = "needs targets that are real numbers, but these are classes. Use "
    for head, loss, advice in (
        ("linear", "gaussian_nll", "loss=se"),
        ("sigmoid", "gaussian_nll", "loss=bce"),
        ("gaussian", "gaussian_nll", "head=softmax loss=ce"),
        ("poisson", "nll", "head=softmax loss=ce"),
    ):
        with pytest.raises(InputError, match=f"^loss={loss} {sentence}{advice}.$"):
            check_pair(head, loss, 2, regression=False)


class Spread(Sigmoid):
    """A head of a user's own without a potential."""

    name, has_potential = "spread", False


def test_a_head_without_a_potential_is_advised_a_loss_that_takes_it():
    sentence = "loss=matching needs a head with a potential, and head=spread has none. Use "
    with pytest.raises(InputError, match=f"^{sentence}(.*)$") as refused:
        check_pair(Spread(), "matching", 3)
    assert str(refused.value).removeprefix(sentence) == (
        "head=sigmoid, head=clipped_linear, head=linear, loss=bce or loss=se."
    )
    check_pair(Spread(), "bce", 3)
    check_pair(Spread(), "se", 3)


def test_classes_are_allowed_what_takes_them():
    for head, loss in (
        ("sigmoid", "bce"),
        ("softmax", "ce"),
        ("linear", "hinge"),
        ("linear", "se"),
    ):
        check_pair(head, loss, 2, regression=False)


@pytest.mark.parametrize(
    ("head", "loss", "sentence"),
    [
        ("sigmod", "bce", "Unknown head=sigmod. Did you mean head=sigmoid?"),
        ("sigmoid", "bc", "Unknown loss=bc. Did you mean loss=bce?"),
    ],
)
def test_unknown_names(head, loss, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        check_pair(head, loss, 1)


class Scaled(Head):
    """A user's head, with values no loss but se and its own takes."""

    name = "scaled"
    range = Interval(0.5, 2.0)

    def __call__(self, logits):
        return logits.sigmoid() * 1.5 + 0.5

    def potential(self, logits):
        raise NotImplementedError

    def slope(self, logits):
        raise NotImplementedError


def test_a_users_head_gets_advice_too():
    sentence = (
        "loss=bce needs predictions in [0, 1], but head=scaled gives values in [0.5, 2]. "
        "Use head=sigmoid, head=clipped_linear or loss=se."
    )
    with pytest.raises(InputError, match=re.escape(sentence)):
        check_pair(Scaled(), "bce", 1)
    with pytest.raises(InputError, match=re.escape("in the closure of the head's range")):
        check_pair(Scaled(), "matching", 1)


def test_judging_a_pair_imports_no_torch():
    code = (
        "import sys\n"
        "from mlr.objectives.compatibility import check_pair\n"
        "import mlr.heads, mlr.losses, mlr.objectives\n"
        "check_pair('sigmoid', 'bce', 1)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_names_what_it_has():
    import mlr.objectives

    assert mlr.objectives.Objective.__name__ == "Objective"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = mlr.objectives.Nothing


SEVERAL = "this data's examples can have several labels at once. "


@pytest.mark.parametrize(
    ("head", "loss", "message"),
    [
        (
            "softmax",
            "ce",
            "head=softmax gives probabilities that sum to 1, but "
            f"{SEVERAL}Use head=sigmoid loss=bce.",
        ),
        (
            "sparsemax",
            "matching",
            f"head=sparsemax gives probabilities that sum to 1, but {SEVERAL}Use head=sigmoid "
            "loss=bce.",
        ),
        (
            "sigmoid",
            "ce",
            f"loss=ce takes one class for each example, but {SEVERAL}Use loss=bce.",
        ),
        (
            "sigmoid",
            "focal",
            f"loss=focal takes one class for each example, but {SEVERAL}Use loss=bce.",
        ),
        (
            "gaussian",
            "gaussian_nll",
            "head=gaussian loss=gaussian_nll needs targets that are real numbers, but these are "
            "labels of 0 and 1. Use head=sigmoid loss=bce.",
        ),
        *(
            (
                head,
                "bce",
                f"head={head} gives levels of ordered classes, but {SEVERAL}Use head=sigmoid "
                "loss=bce.",
            )
            for head in ("coral", "corn", "cumulative")
        ),
        (
            "sigmoid",
            "ordinal_nll",
            f"loss=ordinal_nll takes one class for each example, but {SEVERAL}Use loss=bce.",
        ),
    ],
)
@pytest.mark.parametrize("outputs", [None, 4])
@pytest.mark.parametrize("strict", [True, False])
def test_heads_and_losses_of_one_class_are_refused_for_several_labels(
    head, loss, message, outputs, strict
):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        check_pair(head, loss, outputs, strict, regression=False, multilabel=True)


def test_labels_are_no_numbers_of_a_density():
    """And no refused loss is advised."""
    for head, loss in (("poisson", "bce"), ("poisson", "nll"), ("sigmoid", "nll")):
        sentence = f"head={head} loss={loss} needs targets that are real numbers, but these are "
        sentence += "labels of 0 and 1. Use head=sigmoid loss=bce."
        with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
            check_pair(head, loss, 4, regression=False, multilabel=True)


@pytest.mark.parametrize("head", ["sigmoid", "clipped_linear", "hard_sigmoid", "probit", "cloglog"])
@pytest.mark.parametrize(
    "loss", ["bce", "se", "mae", "matching", "hinge", "huber", "asymmetric", "tversky"]
)
def test_heads_of_separate_outputs_take_several_labels(head, loss):
    check_pair(head, loss, 4, regression=False, multilabel=True)
