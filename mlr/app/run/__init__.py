"""The life of a run: judged, claimed, trained, recorded, ended, resumed.

A `Job` is a composed configuration and a folder. `single` judges and builds the job of one
command, `mlr.app.sweep.packing` those of a sweep; both hand a list of `PreparedRun` to
`lifecycle.train_program`, which reports an `Outcome` of each. `resume` finds runs that go on.
"""
