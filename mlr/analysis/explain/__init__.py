"""Diagnosis of finished runs in sentences, with evidence and a remedy as an override.

`Facts` are the numbers of one run; a rule looks at them and returns a `Finding` or None.
"""

from mlr.analysis.explain.command import print_diagnosis
from mlr.analysis.explain.diagnose import RULES, explain, findings
from mlr.diagnosis.findings import Diagnosis, Finding

__all__ = ["RULES", "Diagnosis", "Finding", "explain", "findings", "print_diagnosis"]
