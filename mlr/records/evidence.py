"""Evidence on a program of a user's own, as an entry of status.json: batches that were looked at.

`mlr.loop.evidence` gathers it, and `mlr.analysis.explain` reads it. A field that has its default is
left out of the file; a number that is not known is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from math import nan
from typing import Any, Self, get_type_hints

_NOT_FINITE = ("nan", "inf", "-inf")


class _Entry:
    """A dataclass of numbers, texts, lists of them, and lists of other entries."""

    def encode(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, as plain values."""
        found: dict[str, Any] = {}
        defaults = _defaults(type(self))  # type: ignore[arg-type]
        for name, value in vars(self).items():
            if value in (defaults[name], []) or value != value:
                continue
            if isinstance(value, _Entry):
                if inner := value.encode():
                    found[name] = inner
            elif isinstance(value, list) and isinstance(value[0], _Entry):
                found[name] = [each.encode() for each in value]
            else:
                found[name] = value
        return found

    @classmethod
    def decode(cls, found: Any) -> Self:
        """Read an entry; fields that are not known are left out.

        Raises:
            ValueError: a field is of another type.
        """
        if not isinstance(found, Mapping):
            raise ValueError("not an object")
        kinds = _kinds(cls)  # type: ignore[arg-type]
        return cls(**{key: _value(kinds[key], own) for key, own in found.items() if key in kinds})


@cache
def _defaults(cls: Any) -> dict[str, Any]:
    return {one.name: one.default for one in fields(cls)}


@cache
def _kinds(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _value(kind: Any, found: Any) -> Any:
    if kind is float and (found in _NOT_FINITE or type(found) in (int, float)):
        return float(found)
    if kind in (int, bool, str) and type(found) is kind:
        return found
    if isinstance(kind, type) and issubclass(kind, _Entry):
        return kind.decode(found)
    of = getattr(kind, "__args__", (None,))[0]
    if of is not None and isinstance(found, list):
        if issubclass(of, _Entry):
            return [of.decode(one) for one in found]
        return [_value(of, one) for one in found]
    raise ValueError(f"{found!r} is not of {kind}")


@dataclass(frozen=True, kw_only=True)
class Look(_Entry):
    """One batch, before its backward pass and at the update that followed.

    In the order: the loss and its graph, what its node was given, outputs, targets, inputs, and
    the update.
    """

    call: int = 0
    updates: int = 0
    loss: float = nan
    known: bool = False  # whether a loss was given, and its graph read
    attached: bool = True  # the loss has a graph, …
    reaches: bool = True  # … which comes through the outputs, …
    aside: bool = False  # … or does not, but from what they are computed from, …
    trains: bool = True  # … and to a parameter of the model
    pairs: list[str] = field(default_factory=list)  # `softmax>log_softmax`, see loop.evidence.graph
    axes: list[str] = field(default_factory=list)  # `axis/axes/size` of each softmax
    spread: list[int] = field(default_factory=list)  # shape of a difference that is broadcast
    ignored: int = -1  # class that the loss of a model without embeddings leaves out
    along_first: list[int] = field(default_factory=list)  # softmaxes over the first axis, by size
    weighted: bool = False
    forms: list[str] = field(default_factory=list)  # `softmax+ce:mean`, or a factor for the mean
    freed: bool = False  # the backward pass was over
    returned: bool = False  # a gradient came to the outputs, …
    place: int = -1  # … and to this one of the places of (B, T, K) alone
    fed: str = ""  # the loss whose node keeps what it was given
    fed_low: float = nan
    fed_high: float = nan
    fed_count: int = 0
    fed_edge: float = nan  # share equal to the lowest or the highest
    fed_cost: float = nan  # its mean
    fed_log_sum: float = nan  # largest |log Σ exp| of a row
    wanted_low: float = nan
    wanted_high: float = nan
    output_graph: bool = True
    output_shape: list[int] = field(default_factory=list)
    output_low: float = nan
    output_high: float = nan
    output_std: float = nan  # largest over the examples of the batch of any output
    output_lost: float = nan  # share that is not finite
    output_edge: float = nan  # share equal to the lowest or the highest
    output_log_sum: float = nan  # largest |log Σ exp| of a row
    row_low: float = nan  # sums of rows
    row_high: float = nan
    target_shape: list[int] = field(default_factory=list)
    target_integer: bool = False
    copied: bool = False  # a model that sees no later words reads the targets themselves
    foreseen: bool = False  # a model that sees later words reads the targets one place later
    target_whole: bool = False
    target_low: float = nan
    target_high: float = nan
    target_lost: float = nan
    target_row_low: float = nan
    target_row_high: float = nan
    input_shape: list[int] = field(default_factory=list)
    input_size: float = nan  # root mean square
    input_largest: float = nan  # of the columns
    input_smallest: float = nan
    input_offset: float = nan  # largest |mean| / std of a column
    input_constant: float = nan  # share of the columns
    input_lost: float = nan
    rates: list[float] = field(default_factory=list)  # of the parameter groups
    training: bool = True  # mode of the model
    layers: int = 0  # layers in the graph
    cosines: bool = False  # whether the outputs are cosines, or a multiple of them
    linear: bool = False  # whether there is nothing but layers below the outputs
    flat: list[str] = field(default_factory=list)  # functions whose gradient is 0 everywhere
    dead: list[float] = field(default_factory=list)  # share of each ReLU's units that are 0 for all
    saturated: list[float] = field(default_factory=list)  # share of each tanh's or sigmoid's
    zero: bool = False  # whether all weights of those layers are 0
    symmetric: list[str] = field(default_factory=list)  # hidden layers of equal units
    before: float = nan  # norm of the gradients when the backward pass begins, …
    stale: bool = False  # … which is that of the update before
    since: int = 0  # batches since the update before, with this one
    factor: float = nan  # by which the backward pass multiplies the loss
    after: float = nan  # norm at the end of the backward pass
    at_step: float = nan  # norm at the optimizer's step
    decay: float = nan  # largest weight_decay · ‖w‖ / ‖g‖ at the step
    moved: float = nan  # median of ‖Δw‖ / ‖w‖ of the parameters by the step


@dataclass(frozen=True, kw_only=True)
class Untrained(_Entry):
    """Parameters that are not trained, for one reason."""

    count: int = 0
    names: list[str] = field(default_factory=list)  # the first of them
    before: bool = False  # whether they stand before all others of the model
    fresh: bool = False  # whether their weights are those of torch's default initialisation


@dataclass(frozen=True, kw_only=True)
class Rehearsal(_Entry):
    """Look of a preflight: calls that torch refused, steps of a copy, examples compared.

    In the order: the refusal, types and devices; one step; many steps; columns and examples.
    """

    refused_by: str = ""  # model or loss
    error: str = ""  # first line of torch's text
    mended_by: str = ""  # name of the change with which it is accepted
    input_type: str = ""
    input_shape: list[int] = field(default_factory=list)
    input_low: float = nan
    input_high: float = nan
    output_kind: str = ""  # as tuple, of what the model returns
    output_type: str = ""
    output_shape: list[int] = field(default_factory=list)
    target_type: str = ""
    target_shape: list[int] = field(default_factory=list)
    target_low: float = nan  # of the targets before any change
    target_high: float = nan
    target_whole: bool = False
    devices: list[str] = field(default_factory=list)
    loss_shape: list[int] = field(default_factory=list)  # of a loss that is no single number
    kept_gradient: float = nan  # norm of the gradients before the look, …
    fresh_state: bool = False  # … and the optimizer keeps a state and has none yet
    warming: bool = False  # a scheduler holds the rate below its own
    rehearsed: bool = False
    gradient: float = nan
    moved: float = nan  # median of ‖Δw‖ / ‖w‖ of the weights by the step
    still: bool = False  # no number of any parameter changed
    decay: float = nan  # ‖Δ − Δ₀‖ / ‖Δ₀‖, Δ₀ being the step without weight decay
    loss_before: float = nan
    loss_after: float = nan
    steps: int = 0  # of a copy that learns the batch
    own_optimizer: bool = False  # by a copy of the program's
    first_loss: float = nan
    last_loss: float = nan  # mean of the last tenth
    same_inputs: bool = False  # of all examples
    columns: int = 0
    constant_columns: int = 0  # not of the least value
    repeated_columns: int = 0
    validation_examples: int = 0
    shared_examples: int = 0  # of them in the batch
    batch_examples: int = 0
    distinct_examples: int = 0  # of the batch


@dataclass(frozen=True, kw_only=True)
class Evidence(_Entry):
    """All that was seen of a program."""

    preflight: bool = False  # one batch alone, without a training
    rehearsal: Rehearsal = field(default_factory=Rehearsal)
    calls: int = 0  # batches that were watched
    updates: int = 0
    accumulate: int = 1
    model: str = ""
    last_layers: list[str] = field(default_factory=list)
    modes: bool = False  # whether the model has dropout or batch normalisation that reads its mode
    train_calls: int = 0  # batches in train mode
    eval_after_train: int = 0  # in eval mode, after one in train mode
    optimizer: str = ""
    dropout: float = nan  # largest probability
    norm: bool = False  # whether it has such batch normalisation
    untracked: int = 0  # such that will never learn its statistics
    start_statistics: float = nan  # largest share that those of the start have of such statistics
    optimizers: int = 1
    idle: int = 0  # of several, whose parameters are in the graph and all stay the same
    maximize: bool = False
    momentum: float = nan
    parameters: int = 0  # trained ones of the model
    fresh: bool = False  # whether the weights were those of torch's default initialisation
    frozen: Untrained = field(default_factory=Untrained)  # require no gradient
    unowned: Untrained = field(default_factory=Untrained)  # in no optimizer
    unreached: Untrained = field(default_factory=Untrained)  # without a gradient
    unchanged: Untrained = field(default_factory=Untrained)  # with one, and the same at the end
    strangers: int = 0  # parameters of the optimizer that are not the model's, nor in the graph
    outside: int = 0  # parameters in the graph of neither model nor optimizer that stay the same
    same_outputs: int = 0  # batches whose outputs are those of before an update
    copies: int = 0  # looks with the inputs of the look before, and targets elsewhere in memory
    lost_targets: int = 0  # batches with targets that are not finite
    tested: int = 0  # batches under no_grad in train mode, after one in train mode with gradients
    class_counts: list[int] = field(default_factory=list)
    sequences: list[str] = field(default_factory=list)  # `steps/examples` of layers that read
    # steps along the first axis
    mixed: list[int] = field(default_factory=list)  # steps and examples of one whose input a view
    # of (examples, steps, …) is
    target_mean: float = nan
    target_variance: float = nan
    target_size: float = nan  # root mean square
    target_deviation: float = nan  # mean distance of numbers from the median of their column
    target_entropy: float = nan  # −p log p − (1 − p) log(1 − p) for the means p of the columns
    target_columns: int = 0
    same_successive: float = nan  # share of targets equal to the one before in the batch
    batches: int = 0  # with several examples and class numbers, …
    one_class_batches: int = 0  # … all of one class
    looks: list[Look] = field(default_factory=list)


def is_evidence(found: Any) -> bool:
    """Test the entry of a status.json."""
    try:
        Evidence.decode(found)
    except ValueError:
        return False
    return True
