"""TensorBoard, opened where there is something to see.

`view` finds in a folder what is shown and how, at the moment when it is asked for; `server` runs
TensorBoard, whose plain address leads to that view; `browser` says whether there is one.
"""
