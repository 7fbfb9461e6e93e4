"""Remedies of a program of a user's own, tried: trained next to the program as it is, and judged.

`program` trains what a user hands over, `score` measures it in a unit that all remedies share,
`changes` are remedies as changes of a program, and `candidates` chooses them by the findings.
`trial` trains and judges them, and `result` is what `mlr.try_remedies` returns.
"""
