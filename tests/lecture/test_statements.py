"""Statements of the lecture, compared with numbers from elsewhere."""

from __future__ import annotations

import re
from math import exp, log, sqrt

import numpy as np
import pytest
import torch
import yaml
from mpmath import mp, mpf

from mlr.lecture.lab import Lab
from mlr.lecture.slides import (
    SLIDES,
    clipped,
    cross_entropy,
    distributions,
    divergence,
    small_steps,
    softmax,
)
from mlr.lecture.slides.one_logit import crossing
from mlr.lecture.slides.xor import _one_update
from tests.data.support import REPO
from tests.lecture.test_slides import assert_holds

BY_NUMBER = {slide.number: slide for slide in SLIDES}


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Asks a slide, once in this module."""
    answers = {}

    def ask(number):
        if number not in answers:
            answers[number] = BY_NUMBER[number].ask(Lab(tmp_path_factory.mktemp("slide")))
            assert_holds(answers[number])
        return answers[number]

    return ask


def claim(answer, start):
    (found,) = [one for one in answer.claims if one.text.startswith(start)]
    return found


def numbers(text):
    """Decimal numbers of a text."""
    return [float(one.replace("−", "-")) for one in re.findall(r"−?\d+\.\d+", text)]


# --- the first sections: probability


def test_1_an_update_of_sgd_is_that_of_its_definition(tmp_path):
    assert _one_update(Lab(tmp_path)).holds


def test_3_independence_gives_the_product_and_identity_the_one_p(ask):
    shown = ask(3).sentence
    assert "independence makes the joint probability the product of the marginals" in shown
    assert "identical distribution makes the marginals one and the same p" in shown
    assert f"KL = {0.8 * log(1.6) + 0.2 * log(0.4):.4f}" in shown
    assert claim(ask(3), "but no single p").measured == "p(1, 1) = 0.4, not 0.64"


def test_5_the_maximum_is_the_mean_not_a_point_of_the_grid(ask):
    (shown,) = numbers(ask(5).sentence)
    # torch.randn(20) in float64 by seed 0, plus 1.5
    samples = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert shown == pytest.approx(float(samples.numpy().mean()) + 1.5, abs=5e-5)


def test_7_zero_times_log_zero_is_answered_with_zero(ask):
    assert claim(ask(7), "0·log 0 = 0").measured == "0"
    assert claim(ask(7), "so KL([0, 1] ‖ [½, ½])").measured.startswith("0.6931472")


def test_9_the_figure_shows_the_entropy_that_is_answered(monkeypatch, tmp_path):
    drawn = {}
    true = divergence.curves

    def curves(title, lines, *runs, **settings):
        drawn.update({style["label"]: (x, y) for x, y, style in lines})
        return true(title, lines, *runs, **settings)

    monkeypatch.setattr(divergence, "curves", curves)
    answer = BY_NUMBER[9].ask(Lab(tmp_path))
    entropy = -sum(p * log(p) for p in (0.7, 0.2, 0.1))
    (label,) = [label for label in drawn if "difference" in label]
    assert np.abs(drawn[label][1].numpy() - entropy).max() < 1e-14
    assert numbers(label) == [round(entropy, 4)]
    assert f"−{entropy:.4f}" in answer.sentence
    share, ce = drawn["cross-entropy H(p̂, q)"]
    assert float(share[ce.argmin()]) == pytest.approx(0.7, abs=1e-12)
    assert float(ce.min()) == pytest.approx(entropy, abs=1e-14)


def test_12_the_minimum_is_the_logit_of_the_share(ask):
    exact = f"{float(mp.log(mpf(7) / 3)):.4f}"
    assert exact == "0.8473"
    assert f"z = ln(7/3) = {exact}" in ask(12).sentence
    assert "the model does not depend on H(p_data), nor H(p_data) on the model" in ask(12).sentence


def test_14_a_loss_of_test_examples_states_its_tolerance(ask):
    of_noise = claim(ask(14), "its test loss is the entropy of the noise")
    # NLL of the truth has a standard deviation of √½, SE one of σ²/√2; 200 test examples
    assert f"(σ of a mean over 200 test examples: {sqrt(0.5 / 200):.2f})" in of_noise.text
    assert of_noise.text.endswith("to within 0.1")
    of_squares = claim(ask(14), "the test loss of a line")
    assert f": {0.25 / sqrt(2 * 200):.4f})" in of_squares.text
    assert of_squares.text.endswith("to within 0.025")


def test_14_the_constant_is_of_all_outputs():
    assert 1.5 * log(2 * np.pi) == pytest.approx(2.75681559961401823, abs=1e-15)
    found = distributions._of_three_outputs()
    assert found.holds
    assert found.measured.startswith("2.756816")


def test_the_slip_of_maximum_likelihood_is_where_it_belongs():
    slip = "“maximize maximum likelihood”"
    assert [slide.number for slide in SLIDES if any(slip in note for note in slide.notes)] == [15]


# --- clipped units


def test_20_another_example_moves_one_without_gradient():
    w, alone = 1.5, 1.5
    for _ in range(200):
        slope = sum(wx * x for x in (1.0, 0.5) if 0 <= (wx := w * x) <= 1)
        w -= 0.15 * slope
        assert not 0 <= alone <= 1
    assert clipped._shared((1.0, 0.5))[-1] == pytest.approx(w, abs=1e-12)
    assert w < 1e-3
    assert clipped._shared((1.0,))[-1] == 1.5


def test_20_never_is_said_of_the_example_alone(ask):
    assert "another example that shares its weights can move it" in ask(20).sentence
    assert "never comes back" not in ask(20).sentence


class Start:
    """A stand-in for a run: a share of stuck examples at the start, and the accuracy at the end."""

    def __init__(self, stuck, accuracy):
        self.series = {"stuck/fraction": (np.zeros(1), np.array([stuck]))}
        self.metrics = {"accuracy/train": accuracy}


def test_21_starts_that_get_free_are_counted():
    runs = [Start(0.3, 1.0), Start(0.3, 0.9), Start(0.0, 1.0), Start(0.1, 1.0), Start(0.0, 0.9)]
    assert clipped._freed(runs) == (3, 2)


# --- the sigmoid


def test_28_one_half_is_approached_and_never_reached(ask):
    for z in (-10, -40):
        with mp.workdps(40):
            y = 1 / (1 + mp.exp(-mpf(z)))
            missing = mpf(1) / 2 - (1 - y) ** 2 / 2
            assert missing > 0
        measured = claim(ask(28), f"½ − L at z = −{-z}").measured
        assert f"{float(missing):.6e}".partition("e")[0] in measured
    assert "without ever reaching it" in ask(28).sentence
    assert "½ is all it ever gets to" not in ask(28).sentence


def simulated(loss, rate, updates, start=(2.0, 2.0)):
    """Outputs of Nielsen's neuron, x = 1 and t = 0, after each update."""
    w, b = start
    outputs = []
    for _ in range(updates + 1):
        y = 1 / (1 + exp(-(w + b)))
        outputs.append(y)
        slope = y * y * (1 - y) if loss == "se" else y
        w, b = w - rate * slope, b - rate * slope
    return outputs


def test_30_the_neuron_is_trained_at_both_published_rates(tmp_path):
    neurons = small_steps._train_neurons(Lab(tmp_path))
    expected = {"SE": ("se", 0.15), "BCE": ("bce", 0.15), "slow BCE": ("bce", 0.005)}
    for name, (loss, rate) in expected.items():
        outputs = simulated(loss, rate, 300)
        # the last point is that of the trained neuron
        assert neurons[name].outputs[:300] == pytest.approx(outputs[:300], abs=1e-12), name
        assert f"η = {rate:g}" in neurons[name].style["label"]
    assert set(neurons["clipped"].outputs) == {1.0}
    assert all(
        one.holds
        for one in small_steps._of_neurons(
            {name: one.outputs[150] for name, one in neurons.items()}
        )
    )


def test_30_the_configuration_names_both_rates_and_their_outcomes():
    path = REPO / "configs" / "experiment" / "neuron.yaml"
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["optimizer"]["lr"] == 0.15
    head = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    assert "Nielsen's figures use 0.15 with squared error and 0.005 with cross-entropy" in head
    slow = simulated("bce", 0.005, 300)
    assert f"output {slow[50]:.4f} after 50 updates, {slow[300]:.4f} after 300" in head
    se, bce = simulated("se", 0.15, 300), simulated("bce", 0.15, 300)
    shown = set(numbers(head))
    assert {round(value, 4) for value in (se[50], bce[50], se[300], bce[300])} <= shown


# --- cross-entropy, and its consequences


def test_32_the_answer_says_why(ask):
    shown = ask(32).sentence
    assert "one of t and 1 − t is 0: t = 1 leaves −log y, t = 0 leaves −log(1 − y)" in shown


def test_36_the_larger_mean_of_the_clipped_unit_is_given_with_its_zeros(monkeypatch, tmp_path):
    # few nodes: the numbers are those of the published table, held by its claims
    monkeypatch.setattr(
        cross_entropy,
        "expected_size",
        lambda head, loss, s, nodes=20: dict(
            zip(cross_entropy.DEVIATIONS, cross_entropy.SIZES[head, loss], strict=True)
        ).get(s, 0.1),
    )
    answer = BY_NUMBER[36].ask(Lab(tmp_path))
    assert answer.holds
    shown = numbers(answer.sentence)
    assert {0.1033, 0.0196, 0.1844, 0.0199, 65.9} <= set(shown)
    # P(z < 0 or z > 1) of a standard normal
    inside = float(mp.ncdf(1)) - 0.5
    assert 100 * (1 - inside) == pytest.approx(65.9, abs=0.05)


def test_37_the_sign_changes_at_ln_2_not_at_a_point_of_a_grid(ask):
    assert numbers(ask(37).sentence) == [-0.6931]
    turn = claim(ask(37), "SE: it changes its sign")
    assert turn.holds
    assert turn.measured.startswith("−0.6931472")


def test_a_crossing_is_found_to_the_last_bit():
    assert crossing(lambda z: z[:, 0] ** 3 - 2, 0, 2) == pytest.approx(2 ** (1 / 3), abs=3e-16)
    assert crossing(lambda z: z[:, 0], -1, 3) == pytest.approx(0, abs=1e-300)


# --- softmax


@pytest.mark.parametrize(("dtype", "bits", "first"), [(np.float64, 53, 39), (np.float32, 24, 19)])
def test_42_a_prediction_rounded_once_is_1_later_than_the_sum(ask, dtype, bits, first):
    @mp.workdps(60)
    def rounded_to_1(gap):
        rest = 1 - 1 / (1 + 2 * mp.exp(-mpf(gap)))
        return rest <= mpf(2) ** -(bits + 1)  # half the distance to the float below 1

    assert next(gap for gap in range(60) if rounded_to_1(gap)) == first
    name = np.dtype(dtype).name
    start = "float64: y, correctly rounded" if name == "float64" else "float32: from 19 on"
    assert claim(ask(42), start).measured == str(first)


@pytest.mark.parametrize(("dtype", "first"), [(np.float64, 37), (np.float32, 17)])
def test_42_the_sum_is_1_earlier(dtype, first):
    def total(gap):
        small = np.exp(dtype(-gap))
        return dtype(dtype(dtype(1) + small) + small)

    assert next(gap for gap in range(60) if total(gap) == 1) == first
    torch_type = {np.float64: "float64", np.float32: "float32"}[dtype]
    (named,) = [one for one in softmax.DTYPES if str(one).endswith(torch_type)]
    assert softmax._first_one(named) == first


def test_42_the_note_names_the_gaps_from_which_a_rounded_prediction_is_1():
    (note,) = [note for note in BY_NUMBER[42].notes if "Correctly rounded" in note]
    assert f"55 ln 2 = {55 * log(2):.2f}" in note
    assert f"26 ln 2 = {26 * log(2):.2f}" in note
    # 2 exp(−gap) is half the distance from 1 to the float below: 2⁻⁵⁴ and 2⁻²⁵
    assert 2 * exp(-55 * log(2)) == pytest.approx(2.0**-54)
    assert 2 * exp(-26 * log(2)) == pytest.approx(2.0**-25)


def test_42_one_is_rounding_and_arg_max_a_one_hot_vector(ask):
    shown = ask(42).sentence
    assert "one-hot vector of arg max" in shown
    assert "only in the limit" in shown
    assert "is rounding of the sum (from 39 on, if y itself is correctly rounded)" in shown


# --- all of them


def test_every_slide_has_the_lecture_s_words_or_is_none():
    for slide in SLIDES:
        nowhere = any("not on a slide" in note for note in slide.notes)
        assert bool(slide.original) != nowhere, slide.number
    assert BY_NUMBER[4].original == "Question: “multiplying small values?” Answer: “goes to 0”."
    assert BY_NUMBER[20].original == "Question: “gradients outside [0, 1]?” Answer: “none”."


def test_our_numbers_are_not_given_as_the_slides_own():
    texts = [text for slide in SLIDES for text in (slide.question, *slide.notes)]
    assert [text for text in texts if re.search(r"lecture slides? \d", text)] == []
