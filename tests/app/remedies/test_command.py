"""`explain --try`: remedies trained in real runs, what it says, refuses and leaves behind."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path

import pytest

from mlr.analysis.explain import command as explaining
from mlr.app.cli.main import exit_code_of
from mlr.app.remedies import jobs, rounds
from mlr.app.remedies.command import main
from mlr.diagnosis.findings import Diagnosis, Finding
from mlr.records.reading import read_runs
from tests.analysis.explain.made import run as made_run
from tests.analysis.explain.test_command import stuck

BLOBS = ("data=blobs", "epochs=3")
DEAD = (*BLOBS, "head=clipped_linear", "loss=se", "model.bias=8")
WELL = ("data=blobs", "epochs=10", "head=sigmoid", "loss=bce")


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder of temporary files, of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def seeds(monkeypatch, request) -> None:
    """Fewer seeds than a person needs, unless a test asks for all."""
    if "all_seeds" not in request.fixturenames:
        monkeypatch.setattr(jobs, "SEEDS", 3)


@pytest.fixture
def all_seeds() -> None:
    """Mark of a test that needs every seed."""


@pytest.fixture
def dead(trained_before) -> Path:
    return trained_before("dead", *DEAD)


@pytest.fixture
def well(trained_before) -> Path:
    return trained_before("well", *WELL)


def listed(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tried(folder: Path, capfd, *words: str) -> dict:
    """The only object of the JSON of a trial."""
    capfd.readouterr()
    assert main(str(folder), words, as_json=True, trial=True) == 0
    (one,) = json.loads(capfd.readouterr().out)["diagnoses"]
    return one


def advise(monkeypatch, *remedies: str) -> None:
    """Let the first run have a fault with these remedies, and nothing else be tried."""
    monkeypatch.setattr(rounds, "MOST_STAGES", 1)

    def explain(runs):
        finding = Finding("A fault.", "none", remedies[0], spare=remedies[1:])
        return [Diagnosis("planted", "A fault.", "none", remedies[0], (), findings=[finding])]

    monkeypatch.setattr(explaining, "explain", explain)


def test_the_remedy_that_wins_is_printed_with_both_numbers_and_a_command(
    dead, temporary, capfd, train, all_seeds
):
    before = listed(dead)
    capfd.readouterr()
    assert main(str(dead), trial=True) == 0
    out, err = capfd.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "clipped_dead"
    assert lines[3] == "  tried     57 updates, seeds 0 to 7; accuracy/val:"
    assert lines[4] == "    as it is               50.00 ± 0.00 %"
    assert lines[5].startswith("    head=sigmoid loss=bce  9")
    assert lines[5].endswith("helps (p < 1e-6)")
    assert "± 0" not in lines[5]  # the seeds differ
    assert lines[6].startswith("    loss=matching          9")
    best, paste = lines[7].split(), lines[8].split()
    assert best[0] == "best"
    assert paste[:3] == ["paste", "python", "scripts/train.py"]
    assert not any(line.strip().startswith("try ") for line in lines)
    assert listed(dead) == before
    assert list(temporary.iterdir()) == []
    # the command, with a seed that was not tried
    cured = train(*paste[3:], "seed=50")
    (run,) = read_runs(cured.runs[-1])
    assert run.metrics["accuracy/test"] > 0.9


@pytest.mark.slow
def test_numbers_as_it_is_are_those_of_the_same_runs_trained_alone(dead, train, capfd):
    (told,) = tried(dead, capfd)["tried"]
    swept = train("-m", *DEAD, "seed=0,1,2")
    found = [run.metrics["accuracy/val"] for run in read_runs(*swept.folder.rglob("*,seed=*"))]
    assert told["mean"] == pytest.approx(sum(found) / 3, abs=1e-12)
    best = next(one for one in told["remedies"] if one["remedy"] == "loss=matching")
    words = ["loss=matching" if word == "loss=se" else word for word in DEAD]
    swept = train("-m", *words, "seed=0,1,2", "hydra.sweep.dir=other")
    found = [run.metrics["accuracy/val"] for run in read_runs(*swept.folder.glob("other/*=*"))]
    assert best["mean"] == pytest.approx(sum(found) / 3, abs=1e-12)


@pytest.mark.parametrize(
    ("line", "best"),
    [
        ("data=blobs epochs=20 head=sigmoid loss=se model.weight=0 model.bias=-12", "loss=bce"),
        ("data=digits epochs=2 head=linear loss=se optimizer.lr=1", "optimizer.lr=0.1"),
        ("data=digits epochs=20 optimizer.lr=0.0005", "optimizer.lr=0.5"),
        ("data=xor epochs=30 model=linear head=sigmoid loss=bce", "model=mlp"),
    ],
    ids=["saturated", "rate too high", "rate too low", "model too small"],
)
def test_planted_faults_are_cured(line, best, train, capfd):
    told = tried(train(*line.split()).runs[0], capfd)
    assert told["best"] == best
    assert told["command"].endswith(f" {best}")
    each = [one for stage in told["tried"] for one in stage["remedies"]]
    (won,) = [one for one in each if one["remedy"] == best]
    assert won["mean"] > 0.8


def test_a_remedy_that_does_not_help_is_not_recommended(well, monkeypatch, capfd):
    advise(monkeypatch, "model.weight=0 optimizer.lr=1e-7", "optimizer.momentum=0.01")
    capfd.readouterr()
    assert main(str(well), trial=True) == 0
    lines = capfd.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in reversed(lines)}  # of the first trial
    assert "tried, makes it worse" in rows["model.weight=0"]
    assert "tried, does not help (p = " in rows["optimizer.momentum=0.01"]
    assert rows["best"].strip() == "best      none of them helps"
    assert "paste" not in rows
    told = tried(well, capfd)
    assert (told["best"], told["command"]) == (None, None)


def test_a_remedy_that_cannot_be_trained_is_told_with_the_reason(dead, monkeypatch, capfd):
    advise(monkeypatch, "loss=matching", "batch_size=100000")
    told = tried(dead, capfd)
    assert told["best"] == "loss=matching"
    (refused,) = [one for one in told["tried"][0]["remedies"] if not one["helps"]]
    assert refused["text"].startswith("cannot be trained: batch_size=100000 is more than the")
    assert refused["mean"] is None


def test_a_fault_that_is_left_with_the_best_remedy_is_tried_too(train, capfd):
    """Bce moves the saturated sigmoids, whose weights are still too large."""
    line = "data=digits epochs=5 head=sigmoid loss=se model.init=normal model.init_scale=4"
    (folder,) = train(*line.split()).runs
    capfd.readouterr()
    assert main(str(folder), trial=True) == 0
    lines = [line.strip() for line in capfd.readouterr().out.splitlines()]
    (then,) = [place for place, line in enumerate(lines) if line.startswith("then ")]
    assert lines[then] == "then      with loss=bce: initial_loss in 3 of 3 runs; accuracy/val:"
    own, further = lines[then + 1 : then + 3]
    # what was best is what the next one is compared with
    assert own.split("  ")[-1] == lines[then - 1].split("  ")[1]
    both = "loss=bce model.init=torch model.init_scale=1"
    assert further.startswith(f"{both}  9")
    assert "helps (p" in further
    assert lines[then + 3] == f"best      {both}"
    assert lines[then + 4].endswith(f"data=digits epochs=5 head=sigmoid {both}")


def test_a_healthy_run_has_nothing_to_try(well, capfd):
    capfd.readouterr()
    assert main(str(well), trial=True) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("No fault found: ")
    assert lines[1:] == ["There is nothing to try."]


@pytest.mark.slow
def test_each_failing_configuration_is_tried_once(trained_before, monkeypatch, capfd):
    folder = trained_before(
        "sweep", "-m", *BLOBS, "model.bias=8", "head=clipped_linear,sigmoid", "seed=0,1,2",
        "loss=bce",
    )  # fmt: skip
    trained = []
    run_chunk = rounds_of(monkeypatch, lambda chunk, *rest: trained.extend(chunk))
    assert run_chunk
    capfd.readouterr()
    assert main(str(folder), trial=True) == 0
    out = capfd.readouterr().out
    assert out.count("clipped_dead  clipped_linear+bce  in 3 of 3 runs") == 1
    assert out.count("  tried     57 updates, seeds 0 to 2; accuracy/val:") == 1
    # as it is and two remedies in three seeds; sigmoid+bce is healthy
    assert len(trained) == len({job.hash for job in trained}) == 9


def rounds_of(monkeypatch, seen):
    """Let `seen` have the arguments of each chunk before it is trained."""
    from mlr.app.sweep import packing

    own = packing.run_chunk

    def run_chunk(*arguments):
        seen(*arguments)
        own(*arguments)

    monkeypatch.setattr(packing, "run_chunk", run_chunk)
    return run_chunk


def refused(folder: Path, capfd, *words: str) -> str:
    """The one line on standard error."""
    capfd.readouterr()
    assert exit_code_of(lambda: main(str(folder), words, trial=True)) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_a_loop_of_ones_own_is_refused(tmp_path, capfd, monkeypatch):
    made_run(tmp_path / "own", overrides=None)
    advise(monkeypatch, "loss=bce")
    assert (
        "own comes from a loop of your own, which mlr cannot train again: give your functions to "
        "mlr.try_remedies, or change them as explain says without --try."
    ) in refused(tmp_path / "own", capfd)


def test_a_run_whose_overrides_mean_something_else_now_is_refused(tmp_path, capfd):
    stuck(tmp_path / "run")
    assert "give another configuration now" in refused(tmp_path / "run", capfd)


def test_a_run_that_names_what_there_is_no_more_is_refused(tmp_path, capfd):
    folder = tmp_path / "run"
    made_run(folder, "clipped_linear+se", overrides=["head=none"], anatomy={"wrong": 0.5,
             "stuck_zero": 0.5, "examples": 9})  # fmt: skip
    assert "run cannot be composed again: " in refused(folder, capfd)


TABLE = "\n".join(["a,b,label", *(f"{n % 7},{n % 5 + 9 * (n % 2)},{n % 2}" for n in range(120))])


def test_data_that_are_gone_or_other_ones_are_refused(tmp_path, trained_before, capfd):
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    folder = trained_before(
        "run", "data=csv", f"data.path={path}", *DEAD[1:3], "loss=bce", "model.bias=8"
    )
    path.write_text(TABLE.replace("3,", "4,"))
    assert "loads other data now than run was trained on." in refused(folder, capfd)
    path.unlink()
    assert "table.csv does not exist; name another file" in refused(folder, capfd)


@pytest.fixture
def own_part(tmp_path, monkeypatch, trained_before) -> Path:
    """The folder of a run whose model is a class of a user's own."""
    (tmp_path / "trial_parts.py").write_text(
        "from torch import nn\n\n\nclass Line(nn.Linear):\n"
        "    def __init__(self, shape, outputs):\n"
        "        super().__init__(shape[0], outputs)\n"
        "        self.bias.data += 8\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return trained_before(
        "run", *BLOBS, "head=clipped_linear", "loss=se", "model=custom",
        "model._target_=trial_parts.Line", "+model.shape=[2]", "+model.outputs=1",
        "allow_targets=[trial_parts]",
    )  # fmt: skip


def test_parts_of_ones_own_are_not_imported_by_the_word_of_a_file(own_part, capfd):
    assert "allow_targets=[trial_parts]" in refused(own_part, capfd)


@pytest.mark.slow
def test_parts_of_ones_own_are_imported_if_that_is_allowed(own_part, capfd):
    told = tried(own_part, capfd, "allow_targets=[trial_parts]")
    assert told["best"] in ("head=sigmoid loss=bce", "loss=matching")


def test_a_second_folder_is_refused(dead, capfd):
    message = "explain takes one folder; leave out runs"
    assert message in refused(dead, capfd, "runs")


def test_ctrl_c_leaves_nothing(dead, temporary, monkeypatch, capfd):
    made = []

    def interrupt(chunk, *rest):
        made.extend(temporary.iterdir())
        signal.raise_signal(signal.SIGINT)

    rounds_of(monkeypatch, interrupt)
    capfd.readouterr()
    assert main(str(dead), trial=True) == 130
    out, err = capfd.readouterr()
    assert "  tried     nothing is known yet" in out
    assert err == "mlr: interrupted; what was known by then is printed.\n"
    assert len(made) == 1
    assert list(temporary.iterdir()) == []


@pytest.fixture
def short(monkeypatch):
    """Rounds of a tenth of a small run."""
    monkeypatch.setattr(jobs, "FEWEST_UPDATES", 5)


def test_a_long_run_is_tried_for_as_long_as_it_takes(dead, short, capfd):
    """57 updates: after a quarter of them the unit is cured, and better than the run ended."""
    (told,) = tried(dead, capfd)["tried"]
    assert told["updates"] == 16
    capfd.readouterr()
    main(str(dead), trial=True)
    assert "  tried     16 updates of 57, seeds 0 to 2; accuracy/val:" in capfd.readouterr().out


def test_no_remedy_is_given_up_before_the_end(well, short, monkeypatch, capfd):
    advise(monkeypatch, "optimizer.momentum=0.01")
    updates = []
    rounds_of(monkeypatch, lambda chunk, *rest: updates.append(chunk[0].config["steps"]))
    told = tried(well, capfd)
    assert told["tried"][0]["remedies"][0]["text"].startswith("tried, does not help")
    assert updates == [24, 48, None]
    assert told["tried"][0]["updates"] == 190


@pytest.mark.slow
def test_what_an_earlier_round_told_is_printed_after_ctrl_c(well, short, monkeypatch, capfd):
    advise(monkeypatch, "optimizer.momentum=0.01")
    chunks = []

    def interrupt(chunk, *rest):
        chunks.append(chunk)
        if len(chunks) == 3:
            signal.raise_signal(signal.SIGINT)

    rounds_of(monkeypatch, interrupt)
    capfd.readouterr()
    assert main(str(well), trial=True) == 130
    out = capfd.readouterr().out
    assert "  tried     48 updates of 190, seeds 0 to 2; accuracy/val:" in out
    assert "does not help so far" in out


def test_the_time_is_limited(dead, temporary, monkeypatch, capfd):
    monkeypatch.setattr(rounds.Rounds.__init__, "__defaults__", (0.0,))
    capfd.readouterr()
    assert main(str(dead), trial=True) == 0
    out, err = capfd.readouterr()
    assert "  tried     nothing is known yet" in out
    assert err == "mlr: stopped after 0 minutes; what was known by then is printed.\n"
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("total", "schedule", "expected"),
    [
        (800, "Constant", [800]),
        (3999, "Constant", [3999]),
        (4000, "Constant", [2000, 4000]),
        (16000, "Constant", [2000, 4000, 8000, 16000]),
        (80001, "Constant", [10001, 20002, 80001]),  # 40,004 is more than half
        (80000, "Cosine", [80000]),
    ],
)
def test_rounds_double_from_an_eighth(total, schedule, expected):
    assert jobs.lengths(f"mlr.training.{schedule}", total) == expected


def test_seeds_are_those_of_the_runs_then_others(tmp_path, all_seeds):
    runs = [made_run(tmp_path / str(seed), seed=seed) for seed in (4, 0, 1)]
    assert jobs._seeds(runs) == [4, 0, 1, 5, 6, 7, 8, 9]
    assert jobs._seeds(runs[:1]) == [4, 5, 6, 7, 8, 9, 10, 11]
    assert jobs.SEEDS == 8  # as --help and the page say
