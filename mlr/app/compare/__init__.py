"""Finished runs side by side: what scripts/compare.py prints.

`groups` sorts runs by head, loss or any other key, and finds the best learning rate of each;
`measures` takes one number from what a run recorded; `statistics` says which differences
could be chance, `verdicts` what that means for each group; `comparison` joins them to rows,
which `table` prints and `export` writes.
"""
