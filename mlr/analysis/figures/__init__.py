"""Figures of one run at some moments, drawn after its training into its event file.

A `Moment` is the run with the parameters it had then, and what it says of two splits (`Seen`).
Each picture is a file: `shown` makes its numbers of a moment, None where it means nothing for
this run, and `draw` draws them; `canvas` alone knows matplotlib. `record` goes through them.
"""
