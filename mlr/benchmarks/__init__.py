"""Benchmarks: measure every promise about speed, memory and accuracy, next to other programs.

A module measures and yields rows; `cli.SECTIONS` names them all. Programs that run in this process
are measured in turn, so that both meet the same state of the machine. Ratios are kept in
`history.csv`: run `make benchmark` before an issue is called resolved. Needs a checkout.
"""
