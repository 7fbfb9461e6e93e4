"""The report at the end of a sweep: its tables and its exit code."""

LOST = ("-m", "data=blobs", "epochs=1", "head=linear", "loss=se", "seed=0,1")


def test_a_sweep_in_which_every_run_diverged_ends_as_one_such_run_does(train):
    alone = train("data=blobs", "epochs=1", "head=linear", "loss=se", "optimizer.lr=1e8")
    assert alone.code == 4
    finished = train(*LOST, "optimizer.lr=1e8,1e9")
    assert finished.code == 4
    assert "Every run diverged." in finished.out
    # what is refused has no run
    assert train(*LOST, "optimizer.lr=1e8,1e30").code == 4


def test_a_sweep_in_which_some_runs_diverged_is_fine_and_says_so(train):
    finished = train(*LOST, "optimizer.lr=0.1,1e8")
    assert finished.code == 0
    assert "2 of 4 runs diverged" in finished.out
    assert "2 diverged" in finished.out


def test_runs_that_were_lost_before_count_when_a_sweep_goes_on(train, tmp_path):
    place = f"{tmp_path}/sweep"
    line = ("-m", "data=blobs", "epochs=1", "head=linear", "loss=se")
    assert train(*line, "optimizer.lr=1e8", f"hydra.sweep.dir={place}").code == 4
    assert train(*line, "optimizer.lr=1e8", f"sweep.resume={place}").code == 4
    assert train(*line, "optimizer.lr=1e8,0.1", f"sweep.resume={place}").code == 0


def test_the_table_of_a_sweep_of_one_seed(train):
    """Two losses that learn the same line bit for bit are equal, whatever their values."""
    line = ("-m", "experiment=line", "epochs=2", "head=linear", "loss=se,matching")
    out = train(*line).out.splitlines()
    head = next(line for line in out if line.startswith("head+loss"))
    assert "test RMSE ↓" in head
    assert "std" not in head
    assert "diverged" not in head
    assert not any("mean ± std" in line for line in out)
    assert any("linear+matching and linear+se have the same test RMSE" in line for line in out)


def test_each_data_set_of_a_sweep_has_its_own_table(train):
    finished = train("-m", "data=blobs,moons", "epochs=1", "head=sigmoid", "loss=se,bce")
    out = finished.out.splitlines()
    assert [line for line in out if line in ("blobs", "moons")] == ["blobs", "moons"]
    assert "different data are not compared with each other: blobs, moons" in out
    assert sum(line.split()[:2] == ["head+loss", "runs"] for line in out) == 2
