"""The application: from a command line to runs in their folders.

`config` composes a configuration, checks it and builds the parts that it names, all before torch
is imported. `run` carries runs through their one life. `sweep` makes programs of many jobs, here
or on a cluster. `cli` has every command, as `mlr` and scripts/ call them; `board` opens
TensorBoard, and `export` draws figures into files.
"""
