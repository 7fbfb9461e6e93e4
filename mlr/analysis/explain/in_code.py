"""Remedies of mlr's own trainings as code, for a program of a user's own."""

from __future__ import annotations

import re
from dataclasses import replace

from mlr.diagnosis.findings import OR, Finding

LINES = {
    "loss=bce": "loss = F.binary_cross_entropy_with_logits(outputs, targets)",
    "loss=ce": "loss = F.cross_entropy(outputs, targets)",
    "head=sigmoid loss=bce": "loss = F.binary_cross_entropy_with_logits(outputs, targets)",
    "head=softmax loss=ce": "loss = F.cross_entropy(outputs, targets)",
    "loss=matching": "",
    "patience=5 optimizer.weight_decay=0.001": "stop when the validation loss rises, and raise "
    "weight_decay (to 1e-3 where it is 0)",
    "model.init=he model.init_scale=1 model.activation=relu": "nn.ReLU after hidden layers, and "
    "nn.init.kaiming_normal_(layer.weight)",
}
"""Lines by the overrides that do the same."""
RATE = "optimizer.lr="
_RATE = re.compile(r"lr=([-+.e\d]+)")


def in_code(finding: Finding) -> Finding:
    """Return a finding in the words of code; a remedy without a line in `LINES` is left out."""
    lines = [_line(one) for one in finding.remedy.split(OR)]
    spare = [line for one in finding.spare if (line := _line(one))]
    template, evidence = (
        text.replace(RATE, "lr=") for text in (finding.template, finding.evidence)
    )
    remedy = OR.join(filter(None, lines))
    return replace(finding, template=template, evidence=evidence, remedy=remedy, spare=spare)


def rate_in_code(remedy: str) -> dict[str, str]:
    """Return the setting that a line as `lr=0.1` changes; empty for other lines."""
    number = _RATE.fullmatch(remedy)
    return {RATE.removesuffix("="): number[1]} if number else {}


def _line(remedy: str) -> str:
    if remedy.startswith(RATE):
        return f"lr={remedy.removeprefix(RATE)}"
    looks_like_override = "=" in remedy.partition(" ")[0] and "." in remedy.partition("=")[0]
    return LINES.get(remedy, "" if looks_like_override else remedy)
