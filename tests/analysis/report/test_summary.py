from __future__ import annotations

from mlr.analysis.report import content, page
from tests.analysis.report.making import add_run, small_sweep
from tests.records.written import write_run


def test_a_sweep_in_sentences(tmp_path):
    """Two seeds each: nothing is called best."""
    found = content.read(small_sweep(tmp_path / "sweep"))
    assert page.verdicts(found) == [
        "softmax + CE comes first with test accuracy 92.50 ± 0.71 %, sigmoid + SE last with "
        "60.50 ± 0.71 %. Fewer than 3 common seeds: add 'seed=range(0,5)' to see what is chance. "
        "Each is ranked at its learning rate of the best validation accuracy."
    ]
    assert page.counts(found) == (
        "13 runs of 3 pairs of head and loss, 3 seeds: 12 done, 1 diverged. 1 job refused."
    )
    assert page.spread(found) == (
        "Means over seeds range from 60.50 % to 92.50 % over 6 configurations."
    )
    assert page.apart(found) == ""


def test_a_lead_that_could_be_chance_is_a_tie(tmp_path):
    for seed, (one, other) in enumerate(((0.8, 0.7), (0.7, 0.8), (0.81, 0.7))):
        add_run(tmp_path, "sigmoid", "bce", seed, one)
        add_run(tmp_path, "softmax", "ce", seed, other)
    (text,) = page.verdicts(content.read(tmp_path))
    assert text == (
        "sigmoid + BCE and softmax + CE tie: test accuracy 77.0 ± 6.1 % and 73.3 ± 5.8 %, "
        "no significant difference (p = 0.65, 3 seeds)."
    )


def test_each_data_set_has_its_own_sentence(tmp_path):
    add_run(tmp_path, "sigmoid", "bce", 0, 0.99, data="neuron")
    add_run(tmp_path, "sigmoid", "bce", 0, 0.5, data="xor")
    add_run(tmp_path, "sigmoid", "se", 0, 0.4, data="xor")
    found = content.read(tmp_path)
    assert page.verdicts(found) == [
        "neuron: sigmoid + BCE: test accuracy 99.00 %.",
        "xor: sigmoid + BCE comes first with test accuracy 50.00 %, sigmoid + SE last with "
        "40.00 %. One run each: add 'seed=range(0,5)' to see what is chance.",
    ]
    assert page.apart(found) == "Different data are not compared with each other: neuron, xor."
    assert page.spread(found) == ""


def test_one_run(tmp_path):
    found = content.read(add_run(tmp_path, "sigmoid", "se", 0, 0.5))
    assert page.verdicts(found) == ["sigmoid + SE: test accuracy 50.00 %."]
    assert page.counts(found) == "1 run of 1 pair of head and loss: 1 done, 0 diverged."
    assert page.spread(found) == ""


def test_losses_of_another_kind_are_not_compared(tmp_path):
    for loss, value in (("se", 0.1), ("mae", 0.2)):
        metrics = {"loss/test": value}
        write_run(tmp_path / loss, f"linear+{loss}", overrides=[f"loss={loss}"], metrics=metrics)
    found = content.read(tmp_path)
    assert page.verdicts(found) == [
        "loss mae: linear + MAE: test loss 0.2.",
        "loss se: linear + SE: test loss 0.1.",
    ]
    assert page.apart(found) == (
        "Values of different losses (mae, se) have different units and are not compared with "
        "each other. The data of some runs were not recorded: they are ranked as if of one data."
    )


def test_nothing_has_ended(tmp_path):
    write_run(tmp_path / "run", status="running")
    found = content.read(tmp_path)
    assert page.verdicts(found) == ["No run has ended well yet."]
    assert "1 running, 0 diverged" in page.counts(found)
