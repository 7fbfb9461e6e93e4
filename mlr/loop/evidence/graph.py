"""Evidence in the autograd graph: the operations from the last layer to the loss, and the leaves.

Nodes are read and never called. A path from the loss that does not come through the outputs, as
that of an auxiliary head or of weight decay by hand, adds leaves but no operations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor

MOST_NODES = 50_000
"""Nodes of a graph above which it is not read."""
MOST_BELOW = 12
"""Nodes between the last layer and the outputs."""
_END = re.compile(r"Backward\d*$")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
NAMES = {
    **{"nll_loss": "nll", "nll_loss2d": "nll", "nll_loss_nd": "nll", "mse_loss": "mse"},
    **{"binary_cross_entropy": "bce", "binary_cross_entropy_with_logits": "bce_logits"},
    **{"smooth_l1_loss": "smooth_l1", "huber_loss": "huber", "addmm": "layer", "mm": "layer"},
    **{"bmm": "layer", "baddbmm": "layer", "convolution": "layer", "embedding": "layer"},
    **{"mkldnn_linear": "layer", "linear": "layer", "clamp_min": "clamp", "hardtanh": "clamp"},
    **{"clamp_max": "clamp", "squeeze_multiple": "squeeze", "soft_margin_loss": "soft_margin"},
    **{"ctc_loss": "ctc", "nll_loss2_d": "nll", "mkldnn_rnn_layer": "lstm"},
}
"""Names of operations that differ from torch's own."""
SHAPES = frozenset(
    (
        *("view", "unsafe_view", "reshape_alias", "squeeze", "unsqueeze", "permute", "transpose"),
        *("t", "expand", "clone", "alias", "to_copy", "slice", "select", "as_strided"),
    )
)
"""Operations that change no value."""
LINEAR = frozenset((*SHAPES, "layer", "add", "native_dropout", "accumulate_grad"))
"""Operations of a model without any activation."""
UNITS = frozenset(
    (
        *("softmax", "log_softmax", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"),
        *("mish", "softplus", "log_sigmoid", "clamp", "exp", "log", "prelu", "hardsigmoid"),
        "hardswish",
    )
)
"""Operations on each output, or on each row of them."""
FLAT = frozenset(("round", "floor", "ceil", "trunc", "sign"))
"""Functions whose gradient is 0 everywhere."""
MULTIPLES = frozenset((*SHAPES, "mul", "div"))
"""Operations that may scale outputs."""
NORMS = ("linalg_vector_norm", "norm")
BOUNDED = ("tanh", "sigmoid")
"""Units that saturate at both ends."""
LOSSES = frozenset(["nll", "bce", "bce_logits", "mse", "smooth_l1", "huber", "soft_margin", "ctc"])
"""Operations that keep what they were given, and the targets."""
KEPT = ("self", "result", "mat1", "input", "other")
"""Names of tensors that nodes keep until the end of their backward pass."""


@lru_cache(maxsize=512)
def operation(kind: str) -> str:
    """Name the operation of a node by the name of its class, as `LogSoftmaxBackward0`."""
    name = _WORD.sub("_", _END.sub("", kind)).lower()
    return NAMES.get(name, name)


@dataclass
class GraphSeen:
    """The graph of one loss.

    Attributes:
        attached: True if the loss has a graph.
        whole: False for a graph that is too large to read.
        reaches: True if it comes through the outputs.
        aside: True if it does not, and they are computed from the same without parameters.
        direct: True if it does so through the very tensor, and not through another view of it.
        pairs: `before>after` of operations that follow each other from the last layer to the loss,
            but for those that change only the shape.
        axes: (axis, number of axes, size) of each softmax among them.
        fed: what the loss was given and what it was compared with, of the nodes that keep them.
        weighted: True if the loss weights its examples or classes.
        leaves: tensors that get a gradient.
        inputs: the tensor that a layer reads without passing a gradient on; None if unknown.
        read: all such tensors, as that and the first state of a recurrent layer, which is 0.
        hidden: outputs of ReLUs.
        layers: number of layers below the outputs.
        bounded: outputs of hidden tanh and sigmoid, by name.
        flat: functions in it whose gradient is 0 everywhere.
        freed: True if its backward pass is over.
        cosines: True if the outputs are products of normalised vectors, or a multiple of them.
        ignored: class that the loss leaves out; −1 for none.
        looked_up: numbers that embeddings were given.
        causal: True if an attention sees no later word.
        along_first: sizes of the first axis of what softmaxes share out along it.
        ahead: True if an attention sees later words.
        spread: shape of the widest difference between outputs and a constant that is broadcast.
        linear: True if there are only layers below the outputs, and what adds to them.
    """

    attached: bool
    whole: bool = True
    reaches: bool = False
    aside: bool = False
    direct: bool = False
    pairs: list[str] = field(default_factory=list)
    axes: list[tuple[int, int, int]] = field(default_factory=list)
    fed: list[tuple[str, Tensor, Tensor]] = field(default_factory=list)
    weighted: bool = False
    leaves: list[Tensor] = field(default_factory=list)
    inputs: Tensor | None = None
    read: list[Tensor] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)
    layers: int = 0
    linear: bool = False
    cosines: bool = False
    bounded: list[tuple[str, Tensor]] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)
    freed: bool = False
    ignored: int = -1
    looked_up: list[Tensor] = field(default_factory=list)
    causal: bool = False
    ahead: bool = False
    along_first: list[int] = field(default_factory=list)
    spread: list[int] = field(default_factory=list)


def seen(outputs: Tensor, loss: Tensor) -> GraphSeen:
    """Read the graph of a loss before its backward pass."""
    found = GraphSeen(attached=loss.grad_fn is not None)
    if loss.grad_fn is None:
        return found
    nodes, readers = _nodes(loss.grad_fn)
    if len(nodes) > MOST_NODES:
        found.whole = False
        return found
    for node in nodes:
        _note(node, found)
    found.freed = _freed(nodes)
    found.inputs = _inputs(found.read)
    top = outputs.grad_fn
    found.direct = top is not None and top in nodes
    while top is not None and top not in nodes and operation(type(top).__name__) in SHAPES:
        top = _first(top)  # a view that the loss does not use, of what it does use
    found.reaches = top is not None and top in nodes
    if outputs.grad_fn is not None and not found.reaches:
        found.aside = _is_aside(outputs.grad_fn, nodes)
    if top is not None and found.reaches:
        path = _above(top, readers)
        below = list(_below(top))
        _pairs(path, below, readers, found)
        found.cosines = _is_cosine(below[-1] if below else top)
        _body(below[-1] if below else top, {*path, *below}, found)
    return found


def _inputs(read: list[Tensor]) -> Tensor | None:
    """Choose among what layers read: the last found is the first layer's, but for one of zeros."""
    if len(read) < 2:
        return next(iter(read), None)
    return next((one for one in reversed(read) if bool(one.any())), read[-1])


def listen(outputs: Tensor, loss: Tensor | None, hook: Callable[[Tensor | None], None]) -> None:
    """Call a function with the gradient of the outputs, in a backward pass of the loss.

    Outputs may be a wider copy of those that the loss was computed from within the model.
    """
    top: Any = outputs.grad_fn
    copied = operation(type(top).__name__) == "to_copy"
    root = None if loss is None else loss.grad_fn
    if copied and root is not None and top not in _nodes(root)[0]:
        original, place = top.next_functions[0]
        original.register_prehook(
            lambda grads: None if grads[place] is None else hook(grads[place])
        )
    else:
        outputs.register_hook(hook)


def _is_aside(top: Any, nodes: Container[Any]) -> bool:
    """Tell if nodes outside of a graph read nodes of it alone, and no leaves of their own."""
    left, own, meets = [top], {top}, False
    while left and len(own) <= MOST_BELOW:
        for former in _read(left.pop()):
            if former in nodes:
                meets = meets or type(former).__name__ != "AccumulateGrad"
            elif type(former).__name__ == "AccumulateGrad":
                return False
            elif former not in own:
                own.add(former)
                left.append(former)
    return meets and not left


def _body(top: Any, above: Container[Any], found: GraphSeen) -> None:
    """Note the layers and hidden units below the outputs."""
    nodes = _nodes(top)[0]
    names = [operation(type(node).__name__) for node in nodes]
    for node, name in zip(nodes, names, strict=True):
        result = saved(node, "result") if name in BOUNDED and node not in above else None
        if result is not None:
            found.bounded.append((name, result))
    found.layers = names.count("layer")
    found.linear = found.layers > 0 and LINEAR.issuperset(names)


def _nodes(top: Any) -> tuple[dict[Any, None], dict[Any, list[Any]]]:
    """Return all nodes below the loss, and the nodes that read each of them."""
    nodes: dict[Any, None] = {top: None}
    readers: dict[Any, list[Any]] = {}
    left = [top]
    while left and len(nodes) <= MOST_NODES:
        node = left.pop()
        for former, _ in node.next_functions:
            if former is not None:
                readers.setdefault(former, []).append(node)
                if former not in nodes:
                    nodes[former] = None
                    left.append(former)
    return nodes, readers


def _note(node: Any, found: GraphSeen) -> None:
    kind = type(node).__name__
    if kind == "AccumulateGrad":
        found.leaves.append(node.variable)
        return
    name = operation(kind)
    if name in FLAT and name not in found.flat:
        found.flat.append(name)
    if kind.startswith("Embedding"):
        found.looked_up += [one for one in [saved(node, "indices")] if one is not None]
    elif "attention" in name or name == "masked_fill":
        causal = _is_causal(node)
        found.causal = found.causal or causal
        found.ahead = found.ahead or ("attention" in name and not causal and not _is_masked(node))
    elif name == "softmax":
        result = saved(node, "result")
        if result is not None and result.dim() > 1 and node._saved_dim == 0:
            found.along_first.append(len(result))
        if result is not None and result.dim() > 2 and result.shape[-1] == result.shape[-2] > 1:
            found.ahead = found.ahead or bool(result.detach()[..., 0, 1:].any())
    if name == "relu":
        found.hidden += [result for result in [saved(node, "result")] if result is not None]
    elif name == "layer" and node.next_functions:
        read = saved(node, "input", "mat1", "self")
        place = 1 if kind.startswith("Addmm") else 0
        passes_on = len(node.next_functions) <= place or node.next_functions[place][0] is not None
        if read is not None and not passes_on and not read.requires_grad:
            found.read.append(read)


def _is_causal(node: Any) -> bool:
    """Tell if an attention, or a fill before its softmax, leaves out later words alone."""
    if getattr(node, "_saved_is_causal", False):
        return True
    mask = saved(node, "attn_mask", "attn_bias", "mask")
    if mask is None or mask.dim() < 2 or not mask.shape[-1] == mask.shape[-2] > 1:
        return False
    one = mask.flatten(0, -3)[0] if mask.dim() > 2 else mask
    if one.is_floating_point():
        later = one == float("-inf")
    else:  # an attention's says what is seen, that of a fill what is not
        later = one if hasattr(node, "_saved_mask") else ~one
    return bool(later[0, 1:].all()) and not bool(later[-1].any())


def _is_masked(node: Any) -> bool:
    return saved(node, "attn_mask", "attn_bias", "mask") is not None


def _freed(nodes: Iterable[Any]) -> bool:
    """Tell if a backward pass has freed what the nodes keep, by the first that keeps a tensor."""
    for node in nodes:
        for name in KEPT:
            try:
                if isinstance(getattr(node, f"_saved_{name}", None), torch.Tensor):
                    return False
            except RuntimeError as error:
                return "freed" in str(error)
    return False


def _first(node: Any) -> Any:
    return next(iter(_read(node)), None)


def _above(top: Any, readers: dict[Any, list[Any]]) -> list[Any]:
    """Return `top` and the nodes between it and the loss."""
    path, left = {top: None}, [top]
    while left:
        for reader in readers.get(left.pop(), ()):
            if reader not in path:
                path[reader] = None
                left.append(reader)
    return list(path)


def _below(top: Any) -> Iterator[Any]:
    """Yield the chain of nodes from below `top` to the last layer."""
    node = top
    for _ in range(MOST_BELOW):
        if operation(type(node).__name__) not in SHAPES | UNITS:
            return
        node = _first(node)
        if node is None:
            return
        yield node


def _pairs(
    path: list[Any], below: list[Any], readers: dict[Any, list[Any]], found: GraphSeen
) -> None:
    here = dict.fromkeys([*below, *path])
    for node in here:
        name = operation(type(node).__name__)
        if name in SHAPES:
            continue
        if name in ("sub", "rsub", "mul", "div"):
            found.spread = max(found.spread, _broadcast(node), key=prod)
        for later in _later(node, here, readers):
            pair = f"{name}>{operation(type(later).__name__)}"
            if pair not in found.pairs:
                found.pairs.append(pair)
        if name == "mul" and _is_hinge(node, here, readers):
            labels = saved(node, "other", "self")
            if labels is not None and not labels.requires_grad:
                found.fed.append(("hinge", labels, labels))
        if name in ("softmax", "log_softmax"):
            result = saved(node, "result")
            if result is not None and result.dim():
                axis = node._saved_dim
                axis = axis - (1 << 64) if axis >= 1 << 63 else axis
                axis %= result.dim()
                found.axes.append((axis, result.dim(), result.shape[axis]))
        if name in LOSSES:
            given, wanted = saved(node, "self", "log_probs"), saved(node, "target", "targets")
            if given is not None and wanted is not None:
                found.fed.append((name, given.detach(), wanted.detach()))
            left_out = getattr(node, "_saved_ignore_index", -1)  # −100 as 2⁶⁴ − 100
            found.ignored = max(found.ignored, left_out if left_out < 1 << 63 else -1)
            if any(saved(node, which) is not None for which in ("weight", "pos_weight")):
                found.weighted = True


def _broadcast(node: Any) -> list[int]:
    """Return the shape of a difference from a constant, or a product, that is wider, or []."""
    given = [(former, place) for former, place in node.next_functions if former is not None]
    if len(given) != 1:
        return []
    (former, place), (result,) = given[0], node._input_metadata
    read = former._input_metadata
    wider = len(read) > place and prod(result.shape) > prod(read[place].shape)
    return list(result.shape) if wider else []


def _is_cosine(node: Any) -> bool:
    """Tell if a layer, or a fixed multiple of its outputs, multiplies normalised vectors alone."""
    read = _read(node)
    while operation(type(node).__name__) in MULTIPLES and len(read) == 1:
        node, read = read[0], _read(read[0])
    layer = operation(type(node).__name__) == "layer" and len(read) == 2
    return layer and all(map(_is_normalised, read))


def _read(node: Any) -> list[Any]:
    return [former for former, _ in node.next_functions if former is not None]


def _is_normalised(node: Any) -> bool:
    """Tell if a tensor is a quotient by a norm."""
    node = _beyond(node, SHAPES | {"mul"})
    if node is None or operation(type(node).__name__) != "div" or len(node.next_functions) < 2:
        return False
    norm = _beyond(node.next_functions[1][0], SHAPES | {"clamp", "add"})
    return norm is not None and operation(type(norm).__name__) in NORMS


def _beyond(node: Any, passed: Container[str]) -> Any:
    while node is not None and operation(type(node).__name__) in passed:
        node = _first(node)
    return node


def _is_hinge(node: Any, here: dict[Any, None], readers: dict[Any, list[Any]]) -> bool:
    """Tell if a product p is read by 1 − p alone, and that by a clamp or ReLU."""
    after = _later(node, here, readers)
    if [operation(type(one).__name__) for one in after] != ["rsub"]:
        return False
    cut = {operation(type(one).__name__) for one in _later(after[0], here, readers)}
    return bool(cut) and cut <= {"clamp", "relu"}


def _later(node: Any, here: dict[Any, None], readers: dict[Any, list[Any]]) -> list[Any]:
    """Return the nodes that read a node, also through those that change only the shape."""
    found, left = [], [node]
    for one in left:
        for reader in readers.get(one, ()):
            if reader not in here:
                continue
            if operation(type(reader).__name__) in SHAPES:
                left.append(reader)
            else:
                found.append(reader)
    return found


def saved(node: Any, *names: str) -> Tensor | None:
    """Return the first tensor that a node keeps under one of the names; None without any."""
    for name in names:
        try:
            value = getattr(node, f"_saved_{name}", None)
        except RuntimeError:  # changed in place since, or freed
            continue
        if isinstance(value, torch.Tensor):
            return value
    return None
