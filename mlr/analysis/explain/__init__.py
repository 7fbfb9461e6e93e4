"""A diagnosis of finished runs in plain words, with its evidence and the remedy as an override.

`Facts` are the numbers of one run; a rule looks at them and answers with a `Finding` or with
None; `RULES` are in the order of causes before effects, so that the first finding is the one to
mend. `explain` puts the findings of many runs together, cell by cell. No torch, no training.
"""

from mlr.analysis.explain.diagnosis import Diagnosis, Finding
from mlr.analysis.explain.judge import RULES, explain, findings
from mlr.analysis.explain.printing import print_diagnosis

__all__ = ["RULES", "Diagnosis", "Finding", "explain", "findings", "print_diagnosis"]
