"""Measure every promise about speed and memory, and what mlr is compared with, in one run.

A section measures and yields rows; `SECTIONS` names them all. What can be measured within this
process is measured in turn with the other thing, so that both meet the same machine.
"""

from mlr.benchmarks.sections import SECTIONS, Section, chosen, measure

__all__ = ["SECTIONS", "Section", "chosen", "measure"]
