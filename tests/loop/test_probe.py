"""A probe hears everything and changes nothing, whatever the loop does."""

from __future__ import annotations

import gc
import math
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.core.checks import InputError
from mlr.records.reading import read_runs
from mlr.records.run_folder import read_status
from tests.loop.loops import batches, module, table, train

RATE = 0.1


def sgd(model, rate=RATE):
    return torch.optim.SGD(model.parameters(), lr=rate)


def every_step(model, optimizer, folder, **more):
    more = {"head": "softmax", "settings": "full", "schedule": "every:1", **more}
    return GradientProbe(model, optimizer, folder, **more)


def has_hooks(model, optimizer):
    of_modules = any(
        part._forward_hooks or part._forward_pre_hooks or part._backward_hooks
        for part in model.modules()
    )
    return bool(
        of_modules
        or optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or any(p._backward_hooks for p in model.parameters())
    )


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_training_is_the_same_bit_for_bit(tmp_path, kind, dropout):
    ends = []
    for watched in (False, True):
        model = module(dropout=dropout)
        optimizer = kind(model.parameters(), lr=RATE)
        probe = every_step(model, optimizer, tmp_path / "run") if watched else None
        torch.manual_seed(7)
        train(model, optimizer, probe)
        if probe is not None:
            probe.close()
        values = [*model.parameters(), *(p.grad for p in model.parameters())]
        ends.append(([v.detach().clone() for v in values], torch.get_rng_state()))
    (plain, plain_state), (watched, watched_state) = ends
    assert all(map(torch.equal, plain, watched))
    assert torch.equal(plain_state, watched_state)


def test_hooks_are_there_on_scheduled_steps_only(tmp_path):
    model = module()
    optimizer = sgd(model)
    probe = every_step(model, optimizer, tmp_path / "run", schedule="every:3")
    seen = []
    for one in batches(5):
        seen.append(bool(model[0]._forward_hooks))
        train(model, optimizer, probe, data=[one])
    assert seen == [True, False, False, True, False]
    probe.close()
    probe.close()
    assert not has_hooks(model, optimizer)
    train(model, optimizer, probe)
    assert [row["step"] for row in table(tmp_path / "run")] == [0, 3]


def test_the_folder_is_a_run_as_others_are(tmp_path):
    model = module()
    optimizer = sgd(model)
    probe = GradientProbe(model, optimizer, tmp_path / "run", head="softmax", total_steps=6)
    train(model, optimizer, probe)
    probe.close({"accuracy/test": 0.5})
    (run,) = read_runs(tmp_path)
    assert (run.status, run.pair) == ("done", "softmax+ce")
    assert run.metrics["accuracy/test"] == 0.5
    rows = table(tmp_path / "run")  # of the steps 0 to 5, of which 4 and 5 are the last quarter
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4, 5]
    for tag in ("loss/train", "accuracy/train", "logit_grad/right"):
        assert run.metrics[tag] == pytest.approx((rows[4][tag] + rows[5][tag]) / 2, rel=1e-6)
    assert run.series is not None


def test_a_second_run_of_a_script_goes_to_a_folder_beside(tmp_path):
    places = []
    for number in range(3):
        model = module()
        optimizer = sgd(model)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            probe = GradientProbe(model, optimizer, tmp_path / "run", head="softmax")
        train(model, optimizer, probe, data=batches(2 + number))
        probe.close()
        places.append((probe.folder.name, [str(one.message) for one in told]))
    run = tmp_path / "run"
    assert places == [
        ("run", []),
        ("run-2", [f"{run} holds a run already; this one is recorded in {run}-2."]),
        ("run-3", [f"{run} holds a run already; this one is recorded in {run}-3."]),
    ]
    assert [len(table(tmp_path / name)) for name, _ in places] == [2, 3, 4]


def test_a_folder_that_cannot_be_made_is_refused_in_words_of_the_probe(tmp_path):
    (tmp_path / "file").write_text("")
    model = module()
    with pytest.raises(InputError, match=r"GradientProbe\(model, optimizer, .….\)") as found:
        GradientProbe(model, sgd(model), tmp_path / "file" / "run")
    assert "hydra" not in str(found.value)


def test_an_exception_makes_the_run_failed_and_keeps_its_numbers(tmp_path):
    model = module()
    optimizer = sgd(model)

    def broken():
        yield from batches(6)
        raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError), every_step(model, optimizer, tmp_path / "run") as probe:
        train(model, optimizer, probe, data=broken())
    (run,) = read_runs(tmp_path)
    assert (run.status, run.entries["reason"]) == ("failed", "ZeroDivisionError: on purpose")
    assert len(table(tmp_path / "run")) == 6
    assert not has_hooks(model, optimizer)


def test_a_step_that_breaks_off_is_left_out(tmp_path):
    model = module()
    optimizer = sgd(model)
    with every_step(model, optimizer, tmp_path / "run") as probe:
        data = list(batches(3))
        train(model, optimizer, probe, data=data[:1])
        logits = model(data[1][0])
        probe.watch(logits, data[1][1])  # and never a backward pass
        train(model, optimizer, probe, data=data[1:])
    assert [row["step"] for row in table(tmp_path / "run")] == [0, 1, 2]


def test_accumulated_gradients_are_whole(tmp_path):
    (inputs, targets), = batches(1, 24)  # fmt: skip
    rows = []
    for parts in (1, 3):
        model = module()
        optimizer = sgd(model)
        folder = tmp_path / str(parts)
        with every_step(model, optimizer, folder, accumulate=parts) as probe:
            for x, t in zip(inputs.chunk(parts), targets.chunk(parts), strict=True):
                logits = model(x)
                loss = F.cross_entropy(logits, t)
                probe.watch(logits, t, loss)
                (loss / parts).backward()
            optimizer.step()
        rows += table(folder)
    whole, last = rows
    for tag in ("grad_norm/total", "grad_norm/0", "update_to_weight/3"):
        assert last[tag] == pytest.approx(whole[tag], rel=1e-6)
    own = F.cross_entropy(module()(inputs[16:]), targets[16:])
    assert last["loss/train"] == pytest.approx(own.item(), rel=1e-6)
    pulls = (module()(inputs[16:]).softmax(-1) - F.one_hot(targets[16:], 3)).norm(dim=1)
    assert last["logit_grad/mean"] == pytest.approx(pulls.mean().item(), rel=1e-6)


@pytest.mark.parametrize("unscaled", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_mixed_precision_is_told_unscaled(tmp_path, unscaled, fused):
    rows = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=2.0**14)):
        model = module()
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=fused)
        folder = tmp_path / str(scaler is None)
        with every_step(model, optimizer, folder, scaler=scaler) as probe:
            for inputs, targets in batches(3):
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16):
                    logits = model(inputs)
                    loss = F.cross_entropy(logits.float(), targets)
                probe.watch(logits, targets, loss)
                if scaler is None:
                    loss.backward()
                    optimizer.step()
                    continue
                scaler.scale(loss).backward()
                if unscaled:
                    scaler.unscale_(optimizer)
                    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
                scaler.step(optimizer)
                scaler.update()
        rows.append(table(folder))
    plain, scaled = rows
    last = 1 if unscaled else 3  # clipping trains otherwise, from the second step on
    for one, other in zip(plain[:last], scaled[:last], strict=True):
        for tag, number in one.items():
            if not (unscaled and tag.startswith("update")):
                assert other[tag] == pytest.approx(number, rel=1e-5, nan_ok=True), tag


def test_a_step_that_a_scaler_skips_is_watched_again(tmp_path):
    model = module()
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=1e-30)
    with every_step(model, optimizer, tmp_path / "run", scaler=scaler) as probe:
        while probe.step < 1:
            for inputs, targets in batches(1, 512):
                optimizer.zero_grad()
                logits = model(inputs)
                probe.watch(logits, targets)
                scaler.scale(512 * F.cross_entropy(logits, targets)).backward()
                scaler.step(optimizer)
                scaler.update()
    (row,) = table(tmp_path / "run")
    assert row["nonfinite/3"] == 0
    assert math.isfinite(row["grad_norm/total"])


def test_numbers_that_are_not_finite_are_counted_and_named(tmp_path):
    model = module()
    optimizer = sgd(model)
    with every_step(model, optimizer, tmp_path / "run") as probe:
        train(model, optimizer, probe, data=list(batches(1)))
        with torch.no_grad():
            model[3].weight[0, 0] = torch.nan
        train(model, optimizer, probe, data=list(batches(1)))
    good, bad = table(tmp_path / "run")
    assert good["nonfinite/logits"] == 0
    assert bad["nonfinite/logits"] == 16
    assert bad["nonfinite/3"] > 0
    assert math.isnan(bad["grad_norm/3"])


def test_several_optimizers_and_parameter_groups(tmp_path):
    models = [module(), module()]
    for number, model in enumerate(models):
        first, last = model[0].parameters(), model[3].parameters()
        if number == 0:
            optimizers = [torch.optim.SGD([{"params": first}, {"params": last}], lr=RATE)]
        else:
            optimizers = [torch.optim.SGD(first, lr=RATE), torch.optim.SGD(last, lr=RATE)]
        with every_step(model, optimizers, tmp_path / str(number)) as probe:
            for inputs, targets in batches(3):
                model.zero_grad()
                logits = model(inputs)
                loss = F.cross_entropy(logits, targets)
                probe.watch(logits, targets, loss)
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()
        assert probe.step == 3
    one, other = (table(tmp_path / name) for name in "01")
    for row, twin in zip(one, other, strict=True):
        for tag, number in row.items():
            assert twin[tag] == pytest.approx(number, rel=1e-6, nan_ok=True), tag


def test_a_step_that_takes_a_closure(tmp_path):
    model, twin = module(), module()
    data = list(batches(3))
    optimizer = sgd(model)
    with every_step(model, optimizer, tmp_path / "closed") as probe:
        for inputs, targets in data:

            def closure(inputs=inputs, targets=targets):
                optimizer.zero_grad()
                logits = model(inputs)
                loss = F.cross_entropy(logits, targets)
                probe.watch(logits, targets, loss)
                loss.backward()
                return loss

            optimizer.step(closure)
    plain = sgd(twin)
    with every_step(twin, plain, tmp_path / "open") as probe:
        train(twin, plain, probe, data=data)
    for row, other in zip(table(tmp_path / "closed"), table(tmp_path / "open"), strict=True):
        assert row == pytest.approx(other, rel=0, abs=0, nan_ok=True)


def test_frozen_layers_have_no_numbers_and_unreached_ones_no_gradient(tmp_path):
    model = module()
    model.add_module("unused", nn.Identity())
    model.unused.extra = nn.Linear(2, 2)
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=RATE)
    with every_step(model, optimizer, tmp_path / "run") as probe:
        train(model, optimizer, probe)
    row = table(tmp_path / "run")[-1]
    assert "grad_norm/0" not in row
    assert row["grad_norm/unused/extra"] == 0
    assert row["grad_norm/total"] == pytest.approx(row["grad_norm/3"])
    assert row["sample_grad/mean"] > 0


def test_nothing_is_heard_under_no_grad(tmp_path):
    model = module()
    optimizer = sgd(model)
    with every_step(model, optimizer, tmp_path / "run") as probe:
        (inputs, targets), = batches(1)  # fmt: skip
        with torch.no_grad():
            probe.watch(model(inputs), targets)
        train(model, optimizer, probe)
    assert len(table(tmp_path / "run")) == 6


def test_a_probe_leaves_nothing_in_memory(tmp_path):
    model = module()
    optimizer = sgd(model)
    probe = every_step(model, optimizer, tmp_path / "run")

    def tensors():
        gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own names that it gives up
            return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    counts = []
    for _ in range(4):
        train(model, optimizer, probe, data=batches(70))
        probe.flush()
        counts.append(tensors())
    assert min(counts[2:]) <= counts[1]  # threads of other tests may hold some for a while
    gone = weakref.ref(probe)
    probe.close()
    del probe
    gc.collect()
    assert gone() is None


def test_a_compiled_model_is_told_of_and_watched_from_outside(tmp_path):
    model = torch.compile(module(), backend="eager")
    optimizer = sgd(model)
    with pytest.warns(UserWarning, match="cannot be measured in a model compiled"):
        probe = every_step(model, optimizer, tmp_path / "run")
    with probe:
        train(model, optimizer, probe)
    row = table(tmp_path / "run")[-1]
    assert row["grad_norm/0"] > 0
    assert row["logit_grad/mean"] > 0
    assert not any(tag.startswith(("sample_grad", "dead_units")) for tag in row)


def test_logits_that_no_loss_was_computed_from_are_told_of(tmp_path):
    model = module()
    optimizer = sgd(model)
    probe = every_step(model, optimizer, tmp_path / "run")
    (inputs, targets), = batches(1)  # fmt: skip
    loss = F.cross_entropy(model(inputs), targets)
    probe.watch(model(inputs), targets)
    loss.backward()
    with pytest.warns(UserWarning, match="Nothing is recorded of step 0: no gradient"):
        optimizer.step()
    probe.close()


def test_a_copy_of_the_loss_is_recorded_and_is_no_fault(tmp_path):
    from mlr.analysis.explain import explain

    torch.manual_seed(0)
    model, told = nn.Linear(4, 2), []
    optimizer = sgd(model, 0.5)
    with every_step(model, optimizer, tmp_path / "it") as probe:
        for _ in range(20):
            inputs = torch.randn(16, 4)
            logits, targets = model(inputs), (inputs[:, 0] > 0).long()
            loss = F.cross_entropy(logits, targets)
            probe.watch(logits, targets, loss.detach())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            told.append(float(loss.detach()))
    rows = table(tmp_path / "it")
    assert [float(row["loss/train"]) for row in rows] == pytest.approx(told, rel=1e-6)
    assert not explain(read_runs(tmp_path))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"head": "sofmax"}, "Unknown head=sofmax. Did you mean head=softmax"),
        ({"settings": "ful"}, "Unknown settings=ful"),
        ({"schedule": "often"}, "probes.points=often must be a schedule"),
        ({"reduction": "none"}, "Unknown reduction=none"),
        ({"accumulate": 0}, "accumulate=0 must be a whole number"),
        ({"total_steps": 0}, "total_steps=0 must be a whole number"),
        ({"writer": object()}, "needs a folder or a writer=, and not both"),
    ],
)
def test_what_a_person_gets_wrong_is_said(tmp_path, more, message):
    model = module()
    with pytest.raises(InputError, match=message):
        GradientProbe(model, sgd(model), tmp_path / "run", **more)
    assert not (tmp_path / "run").exists()
    assert not has_hooks(model, sgd(model))


def test_a_frozen_model_is_refused_and_a_batch_that_does_not_fit_is_told_of(tmp_path):
    frozen = module().requires_grad_(False)
    with pytest.raises(InputError, match="no parameter that is trained"):
        GradientProbe(frozen, sgd(module()), tmp_path / "run")
    labels = torch.zeros(4, dtype=torch.long)
    wrong = {
        r"targets of shape \(3,\) do not fit logits of shape \(4, 3\)": lambda z: (z, labels[1:]),
        r"are class numbers: targets.long\(\)": lambda z: (z, torch.zeros(4)),
        "logits without a graph": lambda z: (z.detach(), labels),
        "targets of type NoneType must be a tensor": lambda z: (z, None),
        "loss of type dict must be a tensor": lambda z: (z, labels, {"loss": z.sum()}),
        "logits of type tuple must be a tensor": lambda z: ((z,), labels),
    }
    for number, (message, given) in enumerate(wrong.items()):
        model = module()
        probe = every_step(model, sgd(model), tmp_path / str(number))
        batch = given(model(torch.randn(4, 5)))
        with pytest.warns(UserWarning, match=f"stopped at step 0, .*{message}.* training goes on"):
            probe.watch(*batch)
        train(model, sgd(model), probe)  # without another word
        probe.close()
        assert read_status(tmp_path / str(number)).status == "failed"


def test_a_full_disk_stops_the_recording_and_not_the_training(tmp_path, monkeypatch):
    model, twin = module(), module()
    optimizer, plain = sgd(model), sgd(twin)
    probe = every_step(model, optimizer, tmp_path / "run")
    monkeypatch.setattr("mlr.probes.measuring.FLUSH_BYTES", 999)

    def refuse(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlr.core.durable.append", refuse)
    with pytest.warns(UserWarning, match="stops recording: .*No space left"):
        train(model, optimizer, probe)
    probe.close()
    train(twin, plain)
    assert all(map(torch.equal, model.parameters(), twin.parameters()))


def test_a_pass_outside_the_module_leaves_its_layers_unknown(tmp_path):
    model = module()
    optimizer = sgd(model)
    with every_step(model, optimizer, tmp_path / "run") as probe:
        train(model, optimizer, probe, data=list(batches(2)))
        train(lambda x: F.linear(x, model[3].weight @ model[0].weight), optimizer, probe)
    rows = table(tmp_path / "run")
    assert rows[1]["sample_grad/mean"] > 0
    assert math.isnan(rows[2]["sample_grad/mean"])
    assert math.isnan(rows[2]["dead_units/0"])
    assert rows[2]["grad_norm/total"] > 0


class Words(nn.Module):
    """Sparse gradients, a time axis and a layer of another batch."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 6, sparse=True)
        self.times = nn.Linear(6, 6)
        self.pooled = nn.Linear(6, 3)

    def forward(self, words):
        times = self.times(self.words(words).flatten(0, 1)).tanh()
        return self.pooled(times.view(*words.shape, 6).mean(1))


def test_sparse_gradients_and_layers_of_another_batch(tmp_path):
    torch.manual_seed(0)
    model = Words()
    optimizer = sgd(model)
    data = [(torch.randint(20, (8, 4)), torch.arange(8) % 3) for _ in range(3)]
    with every_step(model, optimizer, tmp_path / "run") as probe:
        train(model, optimizer, probe, data=data)
    dense = [p.grad.to_dense() for p in model.words.parameters()]
    row = table(tmp_path / "run")[-1]
    assert row["grad_norm/words"] == pytest.approx(dense[0].norm().item(), rel=1e-6)
    assert "grad_snr/pooled" in row
    assert "grad_snr/times" not in row
    assert -1 <= row["grad_cosine/total"] <= 1


def test_without_an_optimizer_it_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least one optimizer"):
        GradientProbe(torch.nn.Linear(2, 1), [], tmp_path / "mine")


@pytest.mark.filterwarnings("error")
def test_layers_that_have_the_names_of_totals(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("total", nn.Linear(4, 6))
    model.add_module("logits", nn.Linear(6, 3))
    x, t = torch.randn(20, 4), torch.arange(20) % 3
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        for _ in range(3):
            loss = F.cross_entropy(z := model(x), t)
            probe.watch(z, t, loss)
            optimizer.zero_grad()
            loss.backward()
            last = {name: part.weight.grad.norm() for name, part in model.named_children()}
            own = {name: part.bias.grad.norm() for name, part in model.named_children()}
            optimizer.step()
    row = table(tmp_path / "run")[-1]
    for name in ("total", "logits"):
        expected = math.hypot(float(last[name]), float(own[name]))
        assert float(row[f"grad_norm/{name}.layer"]) == pytest.approx(expected, rel=1e-5)
