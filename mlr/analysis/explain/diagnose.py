"""Diagnose runs: apply the rules in their order, and join the findings of each seed group.

A remedy that other runs have tried in vain is not given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import isfinite, nan
from typing import Any

from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.in_code import in_code, rate_in_code
from mlr.analysis.explain.rules_data import (
    BALANCED,
    label_noise,
    overfitting,
    rare_class,
    unscaled,
)
from mlr.analysis.explain.rules_network import initial_loss, not_finite, starved, underfitting
from mlr.analysis.explain.rules_output import (
    clipped_dead,
    confident_right,
    dead_class,
    no_likelihood,
    saturated,
)
from mlr.analysis.explain.rules_rate import lr_too_high, lr_too_low
from mlr.analysis.grouping import SeedGroup, collected, seed_groups
from mlr.diagnosis import data_weights as data
from mlr.diagnosis import examples, refusals
from mlr.diagnosis import loop_order as loop
from mlr.diagnosis import loss_targets as targets
from mlr.diagnosis import output_loss as output
from mlr.diagnosis import preflight as ahead
from mlr.diagnosis import step_size as step
from mlr.diagnosis.findings import OR, Diagnosis, Finding, sentence
from mlr.records.identity import identity
from mlr.records.reading import Recorded
from mlr.records.settings import leaves, parse_value
from mlr.records.status import FINISHED

Rule = Callable[[Any], Finding | None]
"""Of the facts of a run, or of a program."""
RULES = {
    rule.__name__: rule
    for rule in (
        *(not_finite, unscaled, clipped_dead, no_likelihood, lr_too_high, dead_class, saturated),
        *(starved, confident_right, initial_loss, lr_too_low, underfitting),
        *(rare_class, label_noise, overfitting),
    )
}
"""Causes are listed before their effects: unscaled features make a learning rate too high, which
saturates outputs, which keep a class from being learned. A clipped unit without gradient stays
without it at any rate."""
PROGRAM_RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(refusals.devices_differ, refusals.inputs_of_wrong_type, refusals.inputs_of_wrong_shape),
        *(refusals.index_out_of_bounds, refusals.one_example, refusals.several_outputs),
        *(refusals.targets_of_wrong_type, refusals.targets_of_wrong_shape, refusals.class_axis),
        *(refusals.class_out_of_bounds, refusals.batches_differ, refusals.call_refused),
        *(refusals.loss_not_scalar, ahead.same_inputs),
        *(loop.loss_without_graph, loop.stale_outputs, loop.graph_cut, data.not_finite_values),
        *(loop.wrong_parameters, loop.unregistered_layers, loop.zero_grad_misplaced),
        *(loop.step_missing, loop.batches_thrown_away),
        *(output.softmax_over_one_unit, output.softmax_over_batch),
        *(output.softmax_over_wrong_axis, output.ctc_without_log_softmax),
        *(targets.shapes_broadcast, output.softmax_twice, output.softmax_before_cross_entropy),
        *(output.sigmoid_twice, output.sigmoid_before_bce_with_logits, output.relu_output),
        *(output.bounded_logits, output.nll_without_log_softmax, output.kl_without_log),
        *(targets.labels_out_of_range, targets.targets_out_of_range, targets.targets_not_shifted),
        targets.future_seen,
        *(output.probabilities_expected, output.exponential_twice, output.output_out_of_range),
        *(output.softmax_for_several_labels, targets.classes_as_numbers, output.clamped_output),
        *(loop.loss_maximised, step.momentum_too_high, loop.zero_grad_missing),
        *(loop.parameters_missing, loop.frozen, loop.wrong_loss, loop.eval_in_training),
        *(data.zero_weights, data.symmetric_weights, data.inputs_lose_precision),
        *(output.log_of_softmax, examples.inputs_scrambled, examples.sorted_data),
        examples.class_ignored,
        *(examples.class_missing, loop.train_in_evaluation, loop.statistics_not_tracked),
        *(loop.zero_gradient_function, data.lost_at_once, not_finite),
        *(step.gradients_clipped_away, step.loss_too_small, step.decay_too_strong),
        *(loop.dropout_too_strong, step.rate_decays_too_soon),
        *(data.inputs_constant, data.inputs_unscaled, data.targets_unscaled),
        *(data.start_too_large, loop.parts_unused, data.vanishing_gradient, step.rate_too_low),
        *(clipped_dead, lr_too_high, step.rate_too_high, data.dead_relus, loop.same_batch),
        *(saturated, starved, step.term_outweighs, examples.imbalance, step.too_few_updates),
        *(lr_too_low, data.no_activation, data.constant_outputs, examples.targets_shuffled),
        *(overfitting, output.wrong_head),
        *(ahead.step_too_large, ahead.saturated_at_start, ahead.features_constant),
        *(ahead.features_repeated, ahead.validation_in_training, ahead.gradients_left),
        ahead.batch_not_learned,
    )
}
"""Rules for a program of a user's own: what is certain comes first."""
PAGE = "mlr/docs/not_learning.md"
PAGE_OF_PROGRAMS = "mlr/docs/program_faults.md"
SECTIONS = {
    output.__name__: "outputs-that-do-not-fit-the-loss",
    targets.__name__: "outputs-that-do-not-fit-the-loss",
    loop.__name__: "the-loop-and-the-optimizer",
    step.__name__: "the-loop-and-the-optimizer",
    data.__name__: "inputs-targets-and-weights",
    examples.__name__: "inputs-targets-and-weights",
    refusals.__name__: "calls-that-torch-refuses",
    ahead.__name__: "one-batch-before-the-training",
}
"""Headings of that page by the module of a rule."""
EVERY_RULE = list(dict.fromkeys((*RULES, *PROGRAM_RULES)))
OF_DATA = ("rare_class", "label_noise", "overfitting")
"""Rules that may all be reported."""
Named = tuple[str, Finding]
CURED = 0.9
"""Largest share of errors, or of the loss if it is the same, that a helpful remedy leaves."""
ACCURACIES = ("accuracy/val", "accuracy/train")
LOSSES = ("loss/val", "loss/train")
"""In the order of preference: some runs have no validation."""
IRRELEVANT = ("probes.", "seed.", "device.")
"""Settings in which two runs to compare may differ."""
Refutes = Callable[[str], bool]


def page(rule: str) -> str:
    """Return the page that tells more of a rule for programs of a user's own."""
    section = SECTIONS.get(PROGRAM_RULES[rule].__module__) if rule in PROGRAM_RULES else None
    return f"{PAGE_OF_PROGRAMS}#{section}" if section else PAGE


def findings(run: Recorded) -> dict[str, Finding]:
    """Find the faults of a run, by rule, the most important first.

    Of faults in the training only the first is given: the others may be its effects, and labels
    and overfitting cannot be judged before it is repaired.
    """
    found = {}
    for name, one in _every(Facts(run)):
        found[name] = one
        if name not in OF_DATA:
            break
    return found


def _every(facts: Facts) -> Iterator[Named]:
    rules: Mapping[str, Rule] = PROGRAM_RULES if facts.own else RULES
    if facts.own and facts.program.evidence.preflight:
        rules = {**rules, **ahead.IN_ONE_BATCH}
    for name, rule in rules.items():
        of_training = name in RULES  # the others take the program
        one = rule(facts if of_training else facts.program)
        if one is not None:
            yield name, in_code(one) if facts.own and of_training else one


def explain(runs: Sequence[Recorded]) -> list[Diagnosis]:
    """Diagnose runs, the most important fault first; nothing for runs without a fault.

    Of one run everything is reported; of several, each seed group's runs are counted by their
    most important fault, and a remedy that some of them have tried in vain is not given again.
    """
    if len(runs) == 1:
        return _of_run(runs[0], findings(runs[0]))
    order, ended = EVERY_RULE, [run for run in runs if run.status in FINISHED]
    found = [one for group in seed_groups(ended) for one in _of_group(group, ended)]
    return sorted(found, key=lambda one: (-len(one.runs) / one.total, order.index(one.rule)))


def every_diagnosis(run: Recorded) -> list[Diagnosis]:
    """Diagnose a run by all rules, also by those whose finding may be an effect of another."""
    return _of_run(run, dict(_every(Facts(run))))


def _of_run(run: Recorded, found: Mapping[str, Finding]) -> list[Diagnosis]:
    return [
        Diagnosis(rule, one.sentence, one.evidence, one.remedy, (run.name,), findings=[one])
        for rule, one in found.items()
    ]


def _of_group(group: SeedGroup, every: Sequence[Recorded]) -> list[Diagnosis]:
    """Diagnose the runs of a seed group; runs that share a sentence are counted together."""
    runs, refutes = group.runs, refuted_by(every, group.runs)
    firsts = [(run.name, *one) for run in runs if (one := _first(Facts(run, runs[0]), refutes))]
    diagnoses = []
    for having in collected(firsts, lambda one: (one[1], one[2].kind, one[2].remedy)).values():
        names, (rule, *_), found = zip(*having, strict=True)
        evidence = f"{names[0]}: {found[0].evidence}" if len(names) > 1 else found[0].evidence
        about = (sentence(found), evidence, found[0].remedy, list(names))
        diagnoses.append(Diagnosis(rule, *about, group.name, len(runs), found))
    return diagnoses


def _first(facts: Facts, refutes: Refutes) -> Named | None:
    """Return the first finding that leaves something to try; else the first, without a remedy."""
    first = None
    for rule, one in _every(facts):
        left = [remedy for remedy in one.remedy.split(OR) if not refutes(remedy)]
        spare = (remedy for remedy in one.spare if not refutes(remedy))
        remedy = OR.join(left) or next(spare, "")
        if remedy or not one.remedy:
            return rule, replace(one, remedy=remedy)
        first = first or (rule, replace(one, remedy=""))
    return first


def refuted_by(runs: Sequence[Recorded], own: Sequence[Recorded]) -> Refutes:
    """Return a test for remedies of a seed group `own` that some of `runs` have tried in vain."""

    @cache
    def refutes(remedy: str) -> bool:
        if remedy == BALANCED:  # it finds a rare class at the price of accuracy
            return False
        others = tried(runs, own, remedy) if remedy else []
        return bool(others) and not helped(own, others)

    return refutes


def tried(runs: Sequence[Recorded], own: Sequence[Recorded], remedy: str) -> list[Recorded]:
    """Find the runs that differ from a seed group `own` by a remedy only.

    Of a loop of a user's own, a remedy is code, and only that of a rate can be compared.
    """
    if not own[0].own_loop:
        changes = dict(word.split("=", 1) for word in remedy.split())
    elif not (changes := rate_in_code(remedy)):
        return []
    head, _, loss = own[0].pair.partition("+")
    pair = f"{changes.get('head', head)}+{changes.get('loss', loss)}"
    near = [run for run in runs if run.pair == pair]
    near = [run for run in near if all(_has(run, *change) for change in changes.items())]
    wanted = _settings(own[0], changes) if near else {}
    return [run for run in near if _settings(run, changes) == wanted]


def _settings(run: Recorded, changes: Mapping[str, str]) -> dict[str, Any]:
    """Collect every setting by key but those that a change replaces, with the options of a part."""
    left_out = (*IRRELEVANT, *(f"{key}." for key in changes))
    every = run.typed.items() if run.own_loop else leaves(identity(run.config))
    return {key: value for key, value in every if not f"{key}.".startswith(left_out)}


def _has(run: Recorded, key: str, value: str) -> bool:
    found, wanted = run.setting(key), parse_value(value)
    if isinstance(found, (int, float)) and isinstance(wanted, (int, float)):
        return abs(found - wanted) <= 1e-6 * abs(wanted)
    return found == wanted


def helped(own: Sequence[Recorded], others: Sequence[Recorded]) -> bool:
    """Return True if other runs ended clearly better, or cannot be compared."""
    if all(run.status == "diverged" for run in others):
        return False
    # the values of different losses cannot be compared
    tags = ACCURACIES + (LOSSES if own[0].pair == others[0].pair else ())
    for tag in tags:
        mine, theirs = _mean(own, tag), _mean(others, tag)
        if isfinite(theirs):
            if tag in ACCURACIES:
                mine, theirs = 1 - mine, 1 - theirs
            return not isfinite(mine) or theirs <= CURED * mine
    return True


def _mean(runs: Sequence[Recorded], tag: str) -> float:
    known = [value for run in runs if isfinite(value := run.metrics.get(tag, nan))]
    return sum(known) / len(known) if known else nan
