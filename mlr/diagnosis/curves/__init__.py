"""Faults that the logged curves of a training show, and nothing more.

Losses, accuracies and the learning rate alone tell little of causes: a finding that leaves several
names them all.
"""

from mlr.diagnosis.curves.judge import REMARKS, RULES, curve_findings

__all__ = ["REMARKS", "RULES", "curve_findings"]
