"""Finished runs next to each other: what the command compare prints.

`groups` sorts runs by head, loss or any other key; `measures` says how long they took;
`statistics` says which differences could be chance, `verdicts` what that means for each row;
`comparison` joins them to rankings, one for each data set, by the rule of `mlr.records.ranking`;
`headline` puts a ranking into a sentence, `table` prints it and `export` writes it.
"""
