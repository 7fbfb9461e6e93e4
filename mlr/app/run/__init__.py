"""The life of a run: judged, claimed, trained, recorded, ended, resumed.

A `Job` is a composed configuration and a folder. `single` judges the job of one command, and
`mlr.app.sweep.packing` those of a sweep; both hand a list of `PreparedRun` to
`lifecycle.train_program`. It claims the folders (`claiming`), trains with checkpoints
(`checkpointing`), records, and reports an `Outcome` of each. `resume` finds runs that go on.
"""
