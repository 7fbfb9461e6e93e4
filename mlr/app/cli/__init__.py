"""The commands: `mlr <command>` where mlr is installed, scripts/<command>.py in its repository.

One module a command. Its docstring is the help, `add_options` declares what it takes and `run`
does it; `train` alone has a `main`, because Hydra reads its command line. `main` starts them all.
They import what they need when they run: numpy and torch take seconds, and --help needs neither.
"""
