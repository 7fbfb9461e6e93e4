"""The callback in a real Trainer, and accelerate alone; `make test-extras` installs both."""

from __future__ import annotations

import copy

import hypothesis  # noqa: F401  before trio, which transformers imports: see pyproject.toml
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.analysis.explain.diagnose import findings
from mlr.core.checks import InputError
from mlr.records.reading import read_runs
from tests.loop.loops import batches, module, table

transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed: make test-extras installs it"
)

from mlr.loop.huggingface import GradientProbeCallback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

RATE, WORDS = 0.1, 11


@pytest.fixture(autouse=True)
def no_accelerator():
    """A process has one accelerator, whose state outlives it."""
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


class Classifier(nn.Module):
    """A model that computes its own loss, as those of transformers."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.net = module(dropout=dropout)

    def forward(self, inputs, labels=None):
        logits = self.net(inputs)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return transformers.modeling_outputs.SequenceClassifierOutput(loss=loss, logits=logits)


def examples(count=12):
    inputs, labels = map(torch.cat, zip(*batches(count), strict=True))
    return [{"inputs": x, "labels": t} for x, t in zip(inputs, labels, strict=True)]


def language_model():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=WORDS, hidden_size=8, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


def older_model():
    """A language model of whose texts the Trainer also counts the first words, as predicted."""
    torch.manual_seed(0)
    sizes = {"vocab_size": WORDS, "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 2}
    none = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
    config = transformers.GPT2Config(**sizes, **none, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config)


def texts(count=96):
    """Texts of words, of which the first ones are not to be predicted."""
    generator = torch.Generator().manual_seed(2)
    found = []
    for number in range(count):
        words = torch.randint(WORDS, (6,), generator=generator)
        labels = words.clone()
        labels[: number % 5] = -100
        found.append({"input_ids": words, "labels": labels})
    return found


def trainer(folder, model, own, data, cls=transformers.Trainer, **more):
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=RATE)
    times = more.pop("rate", 1.0)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: times)
    extra = {key: more.pop(key) for key in ("eval_dataset", "compute_loss_func") if key in more}
    options = {"max_steps": 6, "report_to": [], "max_grad_norm": 0.0, **more}
    args = transformers.TrainingArguments(
        str(folder / "out"), per_device_train_batch_size=16, use_cpu=True, disable_tqdm=True,
        save_strategy="no", logging_strategy="no", **options,
    )  # fmt: skip
    callbacks = [] if own is None else [own]
    made = cls(model, args, train_dataset=data, callbacks=callbacks, optimizers=(optimizer, rate),
               **extra)  # fmt: skip
    made.remove_callback(transformers.PrinterCallback)
    return made


def trained(folder, model, own, data, **more):
    """Train, and return the model with its batches in order."""
    made, seen = trainer(folder, model, own, data, **more), []
    handle = made.model.register_forward_pre_hook(
        lambda part, arguments, named: seen.append({**named}), with_kwargs=True
    )
    made.train()
    handle.remove()
    return made.model, seen


def same(model, other):
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(one, two) for one, two in pairs)


def by_hand(folder, model, seen, accumulate=1):
    """The same by a plain loop, over the batches that the Trainer took."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    words = "input_ids" in seen[0]
    total = len(seen) // accumulate
    with GradientProbe(
        model, optimizer, folder, settings="full", accumulate=accumulate, total_steps=total
    ) as probe:
        for number, batch in enumerate(seen):
            targets = batch["labels"]
            logits = model(batch["input_ids" if words else "inputs"]).logits
            if words:  # each is to predict the next
                targets = torch.cat((targets[:, 1:], torch.full_like(targets[:, :1], -100)), 1)
            loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten())
            probe.watch(logits, targets, loss)
            (loss / accumulate).backward()
            if (number + 1) % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
    return table(folder)


def rule_of(folder):
    (run,) = read_runs(folder)
    return next(iter(findings(run)), None)


def gradient_norms(logits, targets):
    """‖softmax − one-hot‖ of each word that is predicted."""
    grads = logits.detach().softmax(-1) - F.one_hot(targets.clamp(0), WORDS)
    return grads[targets != -100].norm(dim=-1)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_trainer_records_what_a_plain_loop_does(tmp_path, accumulate):
    own = GradientProbeCallback(tmp_path / "own", settings="full")
    more = {"gradient_accumulation_steps": accumulate}
    start = Classifier()
    fitted, seen = trained(tmp_path, start, own, examples(), **more)
    expected = by_hand(tmp_path / "hand", start, seen, accumulate)
    rows = table(tmp_path / "own")
    assert len(rows) == 6
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, rel=1e-5, abs=1e-7, nan_ok=True)
    (run,) = read_runs(tmp_path / "own")
    assert run.status == "done"
    assert run.entries["program"].get("accumulate", 1) == accumulate
    assert not any(part._forward_hooks for part in fitted.modules())
    assert same(fitted, trained(tmp_path, start, None, examples(), **more)[0])


def test_words_that_are_not_predicted_are_no_examples(tmp_path):
    own = GradientProbeCallback(tmp_path / "own", settings="full")
    start = language_model()
    fitted, seen = trained(tmp_path, start, own, texts())
    rows = table(tmp_path / "own")
    for row, other in zip(rows, by_hand(tmp_path / "hand", start, seen), strict=True):
        assert row == pytest.approx(other, rel=1e-4, abs=1e-6, nan_ok=True)
    assert same(fitted, trained(tmp_path, start, None, texts())[0])
    logits = start(seen[0]["input_ids"]).logits[:, :-1]
    targets = seen[0]["labels"][:, 1:]
    there = targets != -100
    wanted = gradient_norms(logits, targets)
    assert rows[0]["logit_grad/mean"] == pytest.approx(float(wanted.mean()), rel=1e-5)
    right = (logits.argmax(-1) == targets)[there].float().mean()
    assert rows[0]["accuracy/train"] == pytest.approx(float(right), rel=1e-6)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("model", [language_model, older_model])
def test_words_have_the_mean_of_their_batch(tmp_path, model, accumulate):
    own = GradientProbeCallback(tmp_path / "own", settings="full")
    start = model()
    _, seen = trained(tmp_path, start, own, texts(), gradient_accumulation_steps=accumulate)
    row, batch = table(tmp_path / "own")[0], seen[accumulate - 1]  # the last of the update
    logits, targets = start(batch["input_ids"]).logits[:, :-1], batch["labels"][:, 1:]
    there = targets != -100
    loss = F.cross_entropy(logits[there], targets[there])
    assert row["loss/train"] == pytest.approx(float(loss.detach()), rel=1e-5)
    wanted = gradient_norms(logits, targets)
    assert row["logit_grad/mean"] == pytest.approx(float(wanted.mean()), rel=1e-5)
    (run,) = read_runs(tmp_path / "own")
    look = run.entries["program"]["looks"][0]
    assert look["forms"][0].startswith("ce:")
    assert look["loss"] == pytest.approx(
        float(start(**{**seen[0], "num_items_in_batch": None}).loss), rel=1e-5
    )


@pytest.mark.parametrize("kind", ["dropout", "bf16", "smoothed"])
def test_the_training_is_the_same_with_it(tmp_path, kind):
    more = {"bf16": {"bf16": True}, "smoothed": {"label_smoothing_factor": 0.1}}.get(kind, {})
    start = Classifier(dropout=0.5) if kind == "dropout" else language_model()
    data = examples() if kind == "dropout" else texts()
    own = GradientProbeCallback(tmp_path / "own", settings="full")
    fitted, _ = trained(tmp_path, start, own, data, **more)
    assert same(fitted, trained(tmp_path, start, None, data, **more)[0])
    rows = table(tmp_path / "own")
    assert len(rows) == 6
    for row in rows:
        assert row["grad_norm/total"] > 0
        assert 0 < row["logit_grad/mean"] < 1.5
        assert 0 < row["loss/train"] < 3


class TwoSoftmaxes(transformers.Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **more):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = F.cross_entropy(outputs.logits.softmax(-1), labels)
        return (loss, outputs) if return_outputs else loss


class Cut(transformers.Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **more):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = F.cross_entropy(outputs.logits.detach(), labels)
        return loss + 0 * sum(one.sum() for one in model.parameters())


def frozen():
    model = Classifier()
    model.net[0].requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("model", "more", "rules"),
    [
        (Classifier, {"cls": TwoSoftmaxes}, ["softmax_before_cross_entropy"]),
        (Classifier, {"cls": Cut}, ["wrong_loss", "graph_cut"]),
        (frozen, {}, ["frozen"]),
        (Classifier, {"rate": 0.0, "max_steps": 40}, ["rate_too_low"]),
        (Classifier, {}, [None]),
    ],
    ids=["two softmaxes", "cut", "frozen", "no rate", "sound"],
)
def test_a_planted_fault_is_named(tmp_path, model, more, rules):
    trained(tmp_path, model(), GradientProbeCallback(tmp_path / "own"), examples(), **more)
    assert rule_of(tmp_path / "own") in rules


class Failing(Classifier):
    def forward(self, inputs, labels=None):
        if getattr(self, "calls", 0) == 3:
            raise ZeroDivisionError("on purpose")
        self.calls = getattr(self, "calls", 0) + 1
        return super().forward(inputs, labels)


def test_an_error_in_a_step_makes_the_run_failed(tmp_path):
    made = trainer(tmp_path, Failing(), GradientProbeCallback(tmp_path / "own"), examples())
    with pytest.raises(ZeroDivisionError):
        made.train()
    (run,) = read_runs(tmp_path / "own")
    assert (run.status, run.entries["reason"]) == ("failed", "ZeroDivisionError: on purpose")
    assert len(table(tmp_path / "own")) == 3
    assert not {"compute_loss", "training_step"} & vars(made).keys()


class Spans(Classifier):
    def forward(self, inputs, labels=None):
        found = super().forward(inputs, labels)
        return {"loss": found.loss, "starts": found.logits}


def test_what_it_cannot_find_is_said(tmp_path):
    with pytest.raises(InputError, match="has nowhere to write: give it a folder"):
        trainer(tmp_path, Classifier(), GradientProbeCallback(), examples()).train()
    lost = GradientProbeCallback(tmp_path / "a")
    with pytest.raises(InputError, match="with loss, starts, have no logits; say where they are"):
        trainer(tmp_path, Spans(), lost, examples()).train()
    named = GradientProbeCallback(tmp_path / "b", logits=lambda outputs: outputs["starts"])
    trainer(tmp_path, Spans(), named, examples()).train()
    assert len(table(tmp_path / "b")) == 6
    made = trainer(tmp_path, Classifier(), None, examples())
    with pytest.raises(InputError, match="is called by no Trainer"):
        GradientProbeCallback(tmp_path / "c").on_train_begin(made.args, made.state, made.control)


def test_results_of_evaluations_are_recorded(tmp_path):
    own = GradientProbeCallback(tmp_path / "own")
    more = {"eval_strategy": "steps", "eval_steps": 3, "eval_dataset": examples(2)}
    made = trainer(tmp_path, Classifier(), own, examples(), **more)
    made.compute_metrics = lambda found: {
        "accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())
    }
    made.train()
    rows = [row for row in table(tmp_path / "own") if row["loss/val"] > 0]
    (run,) = read_runs(tmp_path / "own")
    assert len(rows) == 2
    found = made.evaluate()  # which is after the training, and not recorded
    assert run.metrics["loss/val"] == pytest.approx(found["eval_loss"], rel=1e-5)
    assert run.metrics["accuracy/val"] == pytest.approx(found["eval_accuracy"])
    assert not any("runtime" in tag or "second" in tag for tag in run.metrics)


def test_it_writes_to_the_trainers_own_board(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = trainer(tmp_path, Classifier(), GradientProbeCallback(), examples())
    board = transformers.integrations.TensorBoardCallback()
    made.callback_handler.callbacks.insert(0, board)
    made.train()
    events = EventAccumulator(str(next(tmp_path.rglob("events.out*")).parent))
    events.Reload()
    assert [scalar.step for scalar in events.Scalars("logit_grad/wrong")] == list(range(6))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_accelerate_alone(tmp_path, accumulate):
    from accelerate import Accelerator

    def run(folder, accelerator):
        model = module()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        if accelerator is not None:
            model, optimizer = accelerator.prepare(model, optimizer)
        with GradientProbe(
            model, optimizer, folder, settings="full", accumulate=accumulate
        ) as probe:
            for number, (inputs, targets) in enumerate(batches(6)):
                logits = model(inputs)
                loss = F.cross_entropy(logits, targets)
                probe.watch(logits, targets, loss)
                if accelerator is not None:
                    with accelerator.accumulate(model):
                        accelerator.backward(loss)
                        optimizer.step()
                        optimizer.zero_grad()
                    continue
                (loss / accumulate).backward()
                if (number + 1) % accumulate == 0:
                    optimizer.step()
                    optimizer.zero_grad()
        return model

    own = Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
    assert same(run(tmp_path / "own", own), run(tmp_path / "plain", None))
    rows, others = table(tmp_path / "own"), table(tmp_path / "plain")
    assert len(rows) == 6 // accumulate
    for row, other in zip(rows, others, strict=True):
        assert row == pytest.approx(other, rel=0, abs=0, nan_ok=True)
