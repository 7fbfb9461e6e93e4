"""Figures of one run at some moments, drawn after its training into its event file.

A `Moment` is the run with the parameters it had then, and its view of two splits (`Seen`). Each
figure is a file: `collect` computes its numbers from a moment, None if it does not suit the run,
and `draw` draws them on a `canvas`; `record` goes through all of them. `draw` imports no torch, for
a `process` of its own calls it where a command trains a single run.
"""
