"""The command board: TensorBoard on a folder, with settings that show it well.

`view` chooses the logdir and builds the address; `command` runs TensorBoard so that its plain
address leads there.
"""
