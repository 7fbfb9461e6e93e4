"""The command board: TensorBoard on a folder, with settings that show it well.

`view` chooses the logdir and builds the address, `run_selection` colours, ticks and pins runs in
it, `server` runs TensorBoard so that its plain address leads there.
"""
