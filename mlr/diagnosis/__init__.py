"""Faults of a program of a user's own, named by the evidence that a probe gathered of it.

`program.WatchedProgram` are its numbers; a rule looks at them and returns a `Finding` or None. By
subject: outputs that do not fit the loss, the loop and its optimizer, data and weights.
`mlr.analysis.explain` applies the rules in their order.
"""
