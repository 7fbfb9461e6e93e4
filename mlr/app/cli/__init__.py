"""The commands: `mlr <command>` where mlr is installed, scripts/<command>.py in its repository.

`main` starts them all; `commands` has the help and the arguments of those that read runs, and
`command` is train, whose command line Hydra reads.
"""
