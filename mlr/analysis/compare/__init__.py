"""Comparison of finished runs: what the command compare prints.

`comparison` makes a ranking for each data set, with a row per configuration; `time_to_target` and
`significance` compute the times and tests in it; `headline` puts a ranking into a sentence,
`table` prints it and `command` also writes it to files.
"""
