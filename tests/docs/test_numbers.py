"""Numbers and lists that stand on the pages: recomputed, or compared with those of the program."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from mlr.analysis.quantities import named
from mlr.core.checks import InputError
from mlr.heads import HEADS
from mlr.heads.distributions.base import NumbersHead
from mlr.losses import LOSSES, OTHER_NAMES
from mlr.objectives.compatibility import USUAL_LOSSES, check_pair, find_head
from tests.docs import claims

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
MORE = [(name, 5) for name in ("saturated", "outliers", "sparsemax")]


def page(name: str) -> str:
    """The text of a page, with a blank for each line end."""
    text = (ROOT / "mlr" / "docs" / f"{name}.md").read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", text)


def default(file: str) -> Mapping[str, object]:
    return yaml.safe_load((CONFIGS / file).read_text(encoding="utf-8"))


def test_the_start_of_the_saturated_sigmoids():
    """σ(−10), which is the output and, next to it, the slope; dL/dz of target 1."""
    y = 1 / (1 + math.exp(10))
    assert f"{y:.5f}" == f"{y * (1 - y):.5f}" == "0.00005"
    assert "σ(−10) = 0.00005" in page("tutorial")
    assert "the slope y(1 − y) of the sigmoid is 0.00005" in page("tutorial")
    assert "start with outputs of 0.00005" in page("../../README")


def test_groups_are_those_of_the_folder():
    text = (ROOT / "mlr" / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)`[^|]*\| (.+) \|$", text, re.MULTILINE)
    listed: dict[str, str] = {}
    for group, choices in rows:
        listed[group] = f"{listed.get(group, '')} {choices}"
    folders = {path.name for path in CONFIGS.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert {*listed} == folders
    for group in folders - {"experiment"}:  # which have a page
        names = {path.stem for path in (CONFIGS / group).glob("*.yaml")}
        assert names <= {*re.findall(r"\w+", listed[group])}, group


def test_every_experiment_is_on_its_page():
    names = {path.stem for path in (CONFIGS / "experiment").glob("*.yaml")}
    rows = re.findall(r"^\| `.*experiment=(\S+?)[ `]", claims.PAGE, re.MULTILINE)
    assert {name for row in rows for name in row.split(",")} == names


def test_usual_losses():
    sentence = re.search(r"trained with its usual loss: (.+?)\.", page("heads_and_losses"))
    listed = {}
    for part in sentence[1].split("; "):
        loss, heads = re.fullmatch(r"`(\w+)` for (.+)", part).groups()
        listed |= dict.fromkeys(re.split(", | and ", heads), loss)
    assert listed == USUAL_LOSSES
    assert {*listed} == {head.name for head in HEADS}


def legal(head: str, loss: str, outputs: int) -> bool:
    per_target = find_head(head).range.per_target
    try:
        check_pair(head, loss, outputs * per_target, regression=per_target > 1 or None)
    except InputError:
        return False
    return True


def test_what_to_take_is_legal():
    text = (ROOT / "mlr" / "docs" / "heads_and_losses.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|`]+) \| `(\w+)` \| `(\w+)` \|$", text, re.MULTILINE)
    assert len(rows) == 10
    for targets, head, loss in rows:
        assert legal(head, loss, 1 if "one output" in targets else 3), targets


def test_further_losses_go_with_the_heads_that_the_page_says():
    def partners(loss: str) -> set[tuple[str, int]]:
        names = [head.name for head in HEADS]
        return {(head, k) for head in names for k in (1, 3) if legal(head, loss, k)}

    everywhere = {(head.name, k) for head in HEADS for k in (1, 3)}
    of_one = {"softmax", "sparsemax", "entmax15", "evidential"}
    everywhere -= {(head, 1) for head in of_one}  # the constant 1
    of_numbers = {head.name for head in HEADS if issubclass(head, NumbersHead)}
    points = {pair for pair in everywhere if pair[0] not in of_numbers}
    for loss in ("hinge", "se", "mae", "huber", "log_cosh", "pinball", "expectile"):
        assert partners(loss) == points, loss
    in_order = {pair for pair in everywhere if pair[0] in ("cumulative", "corn")}
    assert partners("ordinal_nll") == in_order
    assert partners("matching") == points - in_order - {("evidential", 3)}
    for loss in ("arcface", "cosface"):
        assert partners(loss) == {(head, 3) for head in of_one}, loss
    assert partners("evidential_se") == {("evidential", 3)}
    of_softmax = {one.name for one in LOSSES if legal("softmax", one.name, 3)} - {"matching"}
    of_evidential = {one.name for one in LOSSES if legal("evidential", one.name, 3)}
    assert of_evidential == of_softmax | {"evidential_se"}
    for loss in ("asymmetric", "tversky"):
        assert partners(loss) == {pair for pair in points if pair[0] != "linear"}, loss
    of_densities = {(head, k) for head in of_numbers - {"quantiles"} for k in (1, 3)}
    assert partners("nll") == of_densities
    assert partners("beta_nll") == {("gaussian", 1), ("gaussian", 3)}
    assert partners("quantile_score") == {("quantiles", 1), ("quantiles", 3)}
    for loss in ("focal", "gce", "smoothed_ce", "symmetric_ce", "phuber_ce", "poly1"):
        assert partners(loss) == partners("ce"), loss


def test_the_columns_of_compare_are_on_its_page():
    from mlr.analysis.compare import table

    text = page("compare")
    found = [named(tag)[0].label for tag, _ in (*table.FURTHER, *table.CALIBRATED)]
    assert len(found) == 5
    for words in (*found, *("‖dL/dz‖ wrong", "stuck %", "lost", "against the first")):
        assert re.search(rf"\| [^|]*{words}[^|]* \| ", text), words
    assert table.FEW == 10
    assert text.count("training data of ten examples or fewer") == 2


def test_every_head_and_loss_that_can_be_chosen_is_on_the_page():
    """By the files of configuration, which the page's other tests do not read."""
    text = (ROOT / "mlr" / "docs" / "heads_and_losses.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| [^|`]", text, re.MULTILINE)
    heads = {name for cell in tables for name in re.findall(r"\w+", cell)}
    assert heads == {path.stem for path in (ROOT / "configs" / "head").glob("*.yaml")}
    losses = {path.stem for path in (ROOT / "configs" / "loss").glob("*.yaml")}
    assert losses <= {*re.findall(r"`(?:loss=)?(\w+)", text)}


def test_defaults_that_pages_name():
    text = page("heads_and_losses")
    scalars = re.findall(r"`(\w+)` \(`loss\.(\w+)=([^`]+)`", text)
    for loss, key, value in scalars:
        assert value == f"{default(f'loss/{loss}.yaml')[key]:g}", loss
    named = {"focal", "gce", "smoothed_ce", "symmetric_ce", "phuber_ce", "poly1"}
    named |= {"huber", "pinball", "expectile", "beta_nll", "arcface", "cosface", "evidential_se"}
    assert {loss for loss, *_ in scalars} >= named
    for file in ("loss/arcface.yaml", "loss/cosface.yaml", "model/cosine.yaml"):
        assert f"`loss.scale={default(file)['scale']:g}` and `model.scale=64` are s" in text
    assert "`cross_entropy`, `mse` and `dice` are other names of `ce`, `se` and `tversky`" in text
    assert OTHER_NAMES == {"cross_entropy": "ce", "dice": "tversky", "mse": "se"}
    assert {loss.name for loss in LOSSES} <= {*re.findall(r"\w+", text)}
    assert f"The default learning rate, {default('optimizer/sgd.yaml')['lr']:g}," in text
    assert default("train.yaml")["checkpoint"] == {"seconds": 10}
    assert "every ten seconds (`checkpoint.seconds`)" in page("runs")
    basic = default("probes/basic.yaml")
    assert f"`probes.threshold` ({basic['threshold']:g} by default)" in page("index")
    assert f"`probes.points={basic['points']}`" in page("configuration")
    assert default("probes/full.yaml")["figures"] == 6
    assert "`probes=full` draws the pictures at six moments" in page("dashboards")


@pytest.mark.parametrize(("rate", "learns"), [(0.5, False), (0.05, True)])
def test_a_linear_unit_needs_the_smaller_rate(rate, learns):
    """Squared error by numpy: of ten linear units on the digits, 200 updates."""
    import numpy as np

    from mlr.data import Digits

    train = Digits().load(0).train
    x, t = train.features.flatten(1).numpy(), np.eye(10)[train.targets]
    x = np.hstack([x, np.ones((len(x), 1))])
    weights = np.zeros((65, 10))
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for _ in range(200):
            rows = rng.choice(len(x), 32, replace=False)
            weights -= rate * x[rows].T @ (x[rows] @ weights - t[rows]) / 32
        loss = 0.5 * np.square(x @ weights - t).sum(-1).mean()
    assert (loss < 0.3) == learns  # that of a constant prediction is 0.45
    text = page("heads_and_losses")
    assert "A linear unit with squared error diverges with it on the digits" in text
    assert "learns with `optimizer.lr=0.05`" in text


def test_thresholds_of_the_diagnoses():
    from mlr.analysis.explain import command, rules_data, rules_network, rules_output

    text = page("not_learning")
    assert f"is above {rules_data.LARGE:g} or below {rules_data.SMALL:g}" in text
    for rule in ("clipped_dead", "saturated"):
        assert f"`{rule}`: at least {100 * rules_output.STUCK:g} % of the training" in text
    assert f"(recall below {rules_output.LOST:g})" in text
    assert rules_network.STARVED == 1 / 100
    assert "is below a hundredth of the output layer's" in text
    assert command.SCREENFUL == 12
    assert "up to twelve diagnoses" in text


def test_limits_of_a_trial_of_remedies():
    from mlr.analysis.compare.significance import LEVEL
    from mlr.analysis.explain import diagnose, gain
    from mlr.app.remedies import command, jobs, rounds
    from mlr.benchmarks import remedies

    text = " ".join(page("not_learning").split())
    for number, said in (
        (jobs.SEEDS == 8, "are trained with eight seeds"),
        (command.MOST_GROUPS == 12, "is tried once, up to twelve of them"),
        (LEVEL == 0.05, "(p ≤ 0.05, corrected for the number of remedies)"),
        (gain.FEWEST_EXAMPLES == 4, "by at least four examples of the split"),
        (diagnose.CURED == 1 - 1 / 10, "and by a tenth of the errors"),
        (jobs.FEWEST_UPDATES == 2000, "A run of fewer than 4,000 updates is trained in full."),
        (jobs.FIRST == 8, "for an eighth of its updates (2,000 at least)"),
        (rounds.MINUTES == 10, "After ten minutes, or on Ctrl-C"),
        (remedies.BAND == 0.03, "at most 0.03 is left to the training without the fault"),
        (rounds.MOST_STAGES == 3, "Up to three remedies are put together"),
    ):
        assert number, said
        assert said in text
    found = re.search(r"Of (\d+) faults that cost test accuracy, (\d+) are cured", text)
    of, cured = map(int, found.groups())
    assert 0.8 * of <= cured <= of <= len(remedies.curable())


def test_numbers_of_planted_runs():
    from mlr.benchmarks.explain import FINE, PLANTED

    planted, healthy = (sum(one.seeds for one in kind) for kind in (PLANTED, FINE))
    found = re.search(
        r"in (\d+) real trainings.+first in (\d+) of.+in (\d+) healthy", page("not_learning")
    )
    assert int(found[3]) == healthy
    # some faults do not come about with every seed
    assert int(found[2]) <= int(found[1]) <= planted


def test_numbers_of_programs():
    from mlr.benchmarks.programs.corpus import FAULTY, LOOK_ALIKES
    from mlr.benchmarks.programs.faults import MISMATCHES

    text = " ".join(page("not_learning").split())
    published = sum(one.source is not None for one in FAULTY)
    assert f"{len(FAULTY)} PyTorch programs with a fault in one line, {published} of them" in text
    assert f"and {len(LOOK_ALIKES)} sound programs that look odd" in text
    blind = [one for one in (*FAULTY, *LOOK_ALIKES) if one.blind]
    assert round(3 * len(blind) / len((*FAULTY, *LOOK_ALIKES))) == 2
    # each blind program was judged once: all that are faulty, those whose loss does not fit the
    # output, and all, of which each has a sound form
    judged = re.search(r"At first sight (.+?) faults .+? fit the loss (.+?); and (.+?) sound", text)
    first, of_loss, sound = (
        [[int(one) for one in pair] for pair in re.findall(r"(\d+) of (\d+)", part)]
        for part in judged.groups()
    )
    faulty = [one for one in FAULTY if one.blind]
    mismatched = sum(one.faults[0] in MISMATCHES for one in faulty)
    for pairs, programs in ((first, len(faulty)), (of_loss, mismatched), (sound, len(blind))):
        assert len(pairs) == 4
        assert sum(of for _, of in pairs) == programs
        assert all(found <= of for found, of in pairs)


def test_pictures_and_limits_of_tensorboard():
    from mlr.app.sweep import summary, sweep
    from mlr.figures import confusion, pr_curves, record
    from mlr.records.tensorboard import layout
    from mlr.training.examples import JUDGED

    text = page("dashboards")
    listed = re.findall(r"\| `figure/(\w+)` \|", text)
    assert {*listed} == {one.name for one in record.PICTURES} | {"output"}
    assert confusion.MOST_CLASSES == 30
    assert "for up to 30 classes" in text
    assert pr_curves.MOST_CLASSES == 10
    assert "for up to ten classes" in text
    assert sweep.MOST_DRAWN == 12
    assert "at most twelve runs have" in text
    assert f"Of more than {layout.MOST_TICKED} runs" in text
    assert f"A sweep of more than {summary.MOST_SHOWN} runs" in text
    assert f"in sweeps of more than {summary.MOST_SHOWN} runs" in page("sweeps")
    least, most = (f"{count:,}" for count in JUDGED)
    assert f"Of a training split of more than {least} examples it is computed over a tenth" in text
    assert f"but at least {least} and at most {most}, drawn once." in text


def test_the_sweep_of_the_page_has_as_many_runs_as_it_says():
    text = page("sweeps")
    line = re.search(r"train\.py -m (head=\S+) (loss=\S+) (\S+) 'seed=range\(0,(\d+)\)'", text)
    counts = [len(line[place].split(",")) for place in (1, 2, 3)] + [int(line[4])]
    heads, losses, rates, seeds = counts
    said = f"{heads} heads, {losses} losses, {rates} learning rates and {seeds} seeds, "
    assert f"here {said}{math.prod(counts)} runs" in text


def updates_until_right(loss: str, z: float) -> int:
    """Count steps of −dL/dz from z until a sigmoid with target 1 is right, in plain Python."""
    count = 0
    while z < 0:
        y = 1 / (1 + math.exp(-z))
        z -= (y - 1) * y * (1 - y) if loss == "se" else y - 1
        count += 1
    return count


def test_steps_of_the_lecture():
    from mlr.lecture.slides import SLIDES

    text = page("lecture")
    assert f"for each of the {len(SLIDES)} steps of the lecture" in text
    slow, fast = (updates_until_right(loss, -12) for loss in ("se", "bce"))
    said = f"z = −12, which needs {slow:,} updates with squared error and {fast} with cross-entropy"
    assert said in text
    assert (slow, fast) == (162_799, 13)


def test_the_exceptions_are_those_that_pairs_are_held_to():
    from tests.objectives.exactness import limit
    from tests.objectives.test_further import bound
    from tests.objectives.test_likelihoods import BOUND

    text = page("numerics")
    for words, head, loss in (
        ("sigmoid with se", "sigmoid", "se"),
        ("softmax with se", "softmax", "se"),
        ("softmax with bce", "softmax", "bce"),
        ("clipped-linear with its matching loss", "clipped_linear", "matching"),
    ):
        assert f"| {words} | {limit(head, loss):g} |" in text
    assert f"| further heads and losses | {bound('hard_sigmoid', 'focal')} |" in text
    assert f"| heads that predict another density, with nll | {BOUND}, of what" in text
    heads = ("probit", "sparsemax", "entmax15", "cloglog")
    largest = [*(bound(head, "ce") for head in heads), *(bound("sigmoid", "gce"),) * 2]
    assert bound("sigmoid", "asymmetric") == largest[-1]
    words = ", ".join((*heads, "gce", "asymmetric"))
    assert f"| {words} | {', '.join(map(str, largest))} |" in text


@pytest.mark.slow
@pytest.mark.parametrize(("experiment", "seeds"), MORE)
def test_ranges_hold_for_five_seeds(experiment, seeds, tmp_path, train):
    found = re.search(rf"^\| `(-m experiment={experiment} .*?)` \|", claims.PAGE, re.MULTILINE)
    words = [*found[1].split(), f"seed=range(0,{seeds})", "probes.figures=0"]
    assert train(*words, f"hydra.sweep.dir={tmp_path / 'sweep'}").code == 0
    claims.check(experiment, tmp_path, "")
    assert len(claims.runs_of(tmp_path)) >= 2 * seeds


@pytest.mark.slow
def test_the_nine_cells_reach_what_their_line_says(tmp_path, train):
    """Means over seeds, at the better rate of each pair."""
    (line,) = [line for line in claims.PAGE.splitlines() if "experiment=nine_cells" in line]
    words = re.search(r"`(-m .*?)`", line)[1].replace("'", "").split()
    assert train(*words, "probes.figures=0", f"hydra.sweep.dir={tmp_path / 'sweep'}").code == 0
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for run in claims.runs_of(tmp_path):
        rates = found.setdefault((run["head"], run["loss"]), {})
        rates.setdefault(run["optimizer.lr"], []).append(float(run["accuracy/test"]))
    best = {
        pair: max(sum(values) / len(values) for values in rates.values())
        for pair, rates in found.items()
    }
    assert len(best) == 9
    for pair in (("sigmoid", "bce"), ("softmax", "bce"), ("softmax", "ce")):
        assert best.pop(pair) == pytest.approx(0.96, abs=0.01)
    assert best.pop(("softmax", "se")) == pytest.approx(0.90, abs=0.02)
    assert best.pop(("sigmoid", "se")) == pytest.approx(0.82, abs=0.02)
    assert max(best.values()) < 0.25
    said = (
        "about 96 % with sigmoid+bce, softmax+bce and softmax+ce; about 90 % with softmax+se and "
    )
    assert f"{said}82 % with sigmoid+se, at the better rate; below 25 % on average" in line
