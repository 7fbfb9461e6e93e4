"""The application: Hydra's configuration turned into plain objects, runs and their reports.

`schema` types and checks the root; `parts` makes the object that a group names; `plan`
joins them and refuses what cannot run, all before torch is imported; `job` trains one
run into its folder; `console` is what a person sees; `errors` turns Hydra's messages
into one sentence; `command` is the entry point.
"""
