"""From the command line and configs/ to the checked parts of a run.

An override is refused, in one sentence, by the first of these that it concerns:

    - `arguments`: words that are not written as options are, and unknown choices;
    - `config_policy`: files that would have Hydra call code, and folders that would do harm;
    - `config_errors`: errors of Hydra and OmegaConf, put into a sentence: unknown options, types;
    - `run_spec.make_run_spec`: values out of range, and parts that do not go together; it calls
      `mlr.objectives.compatibility.check_pair` for head and loss, and the parts' constructors;
    - `mlr.app.sweep.sweep` and `mlr.app.run.resume`: commands of sweeps, and runs that cannot
      go on.

`--debug` shows the traceback of a refusal. `schema` has the types of the root options,
`catalogue` the choices of the groups, `output_paths` the checks of output folders.
"""
