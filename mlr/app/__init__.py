"""The application: Hydra's configuration turned into plain objects, runs and their reports.

`schema` types and checks the root; `parts` makes the object that a group names; `plan`
joins them and refuses what cannot run, all before torch is imported; `job` trains one
run into its folder; `console` is what a person sees; `errors` turns Hydra's messages
into one sentence; `session` and `command` are the entry. `cli` has every command, as `mlr` and
scripts/ call them; `board` opens TensorBoard.

A sweep: `launch` and `compose` make the jobs (`sweepjob`; `bases` are compositions by Hydra,
`documents` the texts of `.hydra`), `sweep` judges them and leaves out what is equal or
finished (`identity`, `sweep_folder`, `runs_begun`), `engines` hands chunks to
`chunk.run_chunk`, here or on a cluster, which trains them by `batch`; each ends as an
`outcome`, which `live` counts; `ranking` shows the `cells`. `compare` sets runs of any sweeps
side by side.
"""
