"""Files for TensorBoard, written without TensorFlow: event files, and what its pages show.

`framing` and `encoding` are the format, `event_writer` the file of a run; `hparams`, `layout`,
`pictures`, `pins`, `colours` and `ticks` arrange its pages.
"""
