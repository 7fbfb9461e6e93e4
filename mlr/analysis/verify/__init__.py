"""The command `mlr verify`: every file of runs and sweeps, compared with its checksum.

`findings` compares the files of one folder; `command` finds the folders and prints the result.
Folders may be anybody's: they are only read, links out of them are not followed, and nothing
in them is run.
"""
