from mlr.app.run.job import Job
from mlr.app.sweep.sweep import MOST_DRAWN, jobs_to_draw


def job(number, head="sigmoid", loss="se", model="linear", **config):
    parts = {"head": head, "loss": loss, "model": model, "data": "digits"}
    targets = {group: {"_target_": name} for group, name in parts.items()}
    return Job(number, (), {**targets, **config}, folder=None, files={})


def test_the_first_run_of_each_kind_is_drawn():
    jobs = [
        *(job(0, seed=0), job(1, seed=1), job(2, loss="bce", seed=0), job(3, loss="bce", seed=1)),
        *(job(4, model="mlp"), job(5, lr=0.3)),
    ]
    seen = set()
    assert jobs_to_draw(jobs, seen) == {0, 2, 4}
    assert jobs_to_draw([job(6), job(7, head="softmax")], seen) == {7}  # a later batch


def test_no_more_than_a_person_looks_at():
    jobs = [job(number, head=f"head{number}") for number in range(2 * MOST_DRAWN)]
    assert jobs_to_draw(jobs, set()) == set(range(MOST_DRAWN))
