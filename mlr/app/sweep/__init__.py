"""Sweeps: from jobs to tensor programs, engines, folders and their summary.

`launch` makes the jobs of Hydra's overrides. `sweep` judges them and leaves out those that are
equal or finished; `engines` hands chunks of the others to `packing.run_chunk`, here or on a
cluster, which trains as many as fit into memory as one program (`mlr.app.run.lifecycle`).
`summary` prints the results.
"""
